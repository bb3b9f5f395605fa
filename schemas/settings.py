"""Settings that every process shares, read from GRIS_ variables; a process adds its own in a subclass."""

import re
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.errors import Fatal

MASK = "***"
SECRET_NAME = re.compile(r"password|passwd|secret|token|api_?key", re.IGNORECASE)
USER_INFO = re.compile(r"(?<=//)([^/?#@:\s]*):\S*@")  # to the last @: a password may hold one; rather hide too much
SECRET_PARAMETER = re.compile(
    r"([?&;][^=&#\s]*(?:password|passwd|secret|token|api_?key)[^=&#\s]*=)[^&#\s]*", re.IGNORECASE
)


class Settings(BaseSettings):
    """Where the broker, the database, the catalogue and the registry are. Prints itself masked, always."""

    # An empty variable means the default. Errors must not quote what they found: it may be a secret.
    model_config = SettingsConfigDict(
        env_prefix="GRIS_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    kafka: str = "127.0.0.1:9092"
    clickhouse: str = "http://127.0.0.1:8123/gris"
    catalogue: Path | None = None
    registry: str | None = None

    @classmethod
    def read(cls) -> Self:
        """Read the environment; Fatal names the variables that do not fit."""
        try:
            return cls()
        except ValidationError as error:
            prefix = cls.model_config.get("env_prefix", "")
            faults = [f"{prefix}{fault['loc'][0]}".upper() + f": {fault['msg']}" for fault in error.errors()]
            raise Fatal(f"Settings that do not fit: {'; '.join(faults)}. Set or unset these variables.") from None

    def masked(self) -> dict[str, str]:
        """Give every variable's name and value, fit to be printed."""
        prefix = self.model_config.get("env_prefix", "")
        return {f"{prefix}{name}".upper(): masked(name, getattr(self, name)) for name in type(self).model_fields}

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return [(name, masked(name, getattr(self, name))) for name in type(self).model_fields]

    def __str__(self) -> str:
        return repr(self)


def masked(name: str, value: object) -> str:
    """Show one setting without the secrets in it: passwords of URLs, secret parameters, fields with a telling name."""
    if value is None:
        return ""
    if isinstance(value, SecretStr) or SECRET_NAME.search(name):
        return MASK
    return SECRET_PARAMETER.sub(rf"\g<1>{MASK}", USER_INFO.sub(rf"\g<1>:{MASK}@", str(value)))
