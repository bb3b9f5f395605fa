"""Settings come from GRIS_ variables, never change, and never print a secret."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from schemas.errors import Fatal
from schemas.settings import Settings


class EntrySettings(Settings):
    """A process with settings of its own, some of them secret."""

    port: int = 8081
    session_secret: str = "hidden-1"  # noqa: S105 - what must not be printed
    signing: SecretStr = SecretStr("hidden-2")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA", "CLICKHOUSE", "CATALOGUE", "REGISTRY", "PORT", "SESSION_SECRET", "SIGNING"):
        monkeypatch.delenv(f"GRIS_{name}", raising=False)


def test_without_variables_everything_is_on_this_machine() -> None:
    settings = Settings()
    assert settings.kafka == "127.0.0.1:9092"
    assert settings.clickhouse == "http://127.0.0.1:8123/gris"
    assert settings.catalogue is None
    assert settings.registry is None


def test_variables_are_read_and_an_empty_one_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIS_KAFKA", "broker-1:9092,broker-2:9092")
    monkeypatch.setenv("GRIS_CATALOGUE", "catalogues/other")
    monkeypatch.setenv("GRIS_CLICKHOUSE", "")
    settings = Settings.read()
    assert settings.kafka == "broker-1:9092,broker-2:9092"
    assert settings.catalogue == Path("catalogues/other")
    assert settings.clickhouse == "http://127.0.0.1:8123/gris"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().kafka = "elsewhere:9092"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8123/gris", "http://127.0.0.1:8123/gris"),
        ("http://gris:hidden@db:8123/gris", "http://gris:***@db:8123/gris"),
        ("https://:hidden@db/gris", "https://:***@db/gris"),
        ("http://gris:hid:den@hid/den@db/gris", "http://gris:***@db/gris"),
        ("http://db/gris?user=gris&password=hidden&x=1", "http://db/gris?user=gris&password=***&x=1"),
        ("http://db/gris?access_token=hidden#x", "http://db/gris?access_token=***#x"),
    ],
)
def test_the_password_of_an_address_is_masked_wherever_settings_are_printed(url: str, shown: str) -> None:
    settings = Settings(clickhouse=url, registry=url)
    assert settings.clickhouse == url
    assert settings.masked() == {
        "GRIS_KAFKA": "127.0.0.1:9092",
        "GRIS_CLICKHOUSE": shown,
        "GRIS_CATALOGUE": "",
        "GRIS_REGISTRY": shown,
    }
    for printed in (str(settings), repr(settings), f"{settings}", f"{[settings]}"):
        assert shown in printed
        assert "hid" not in printed
        assert "den" not in printed


def test_a_process_adds_settings_and_its_secrets_are_masked_too() -> None:
    settings = EntrySettings()
    assert settings.masked()["GRIS_PORT"] == "8081"
    assert [settings.masked()[f"GRIS_{name}"] for name in ("SESSION_SECRET", "SIGNING")] == ["***", "***"]
    assert "hidden" not in f"{settings}{settings!r}{settings.masked()}"


def test_a_variable_that_does_not_fit_is_named_without_its_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIS_PORT", "hidden-port")
    with pytest.raises(Fatal) as fault:
        EntrySettings.read()
    assert str(fault.value).startswith("Settings that do not fit: GRIS_PORT: ")
    assert "hidden" not in str(fault.value)
