"""Settings of a publishing process: who it is to the broker, besides what every process shares."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from schemas.settings import Settings


class PublisherSettings(Settings):
    """How to reach the broker as an agency. Without a user the connection is plain, as the local broker wants it."""

    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_user: str | None = None
    kafka_password: SecretStr | None = None
    kafka_ca_file: Path | None = None
    schema_id: int = Field(1, ge=1, lt=2**31)  # the registry's id of indicator_event.v1, where a registry gave its own
