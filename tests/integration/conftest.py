"""What integration tests share: one broker a session, one engine a session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clickhouse import fresh_database, running_clickhouse
from tests.support.kafka import running_kafka


@pytest.fixture(scope="module", autouse=True)
def patient() -> Iterator[None]:
    """Have feeds in the tests' own process wait for a database that is late; tests/fault is about one that is away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sinks.feed.store.PATIENCE", 30.0)
        yield


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a real broker; every test makes topics with names of its own."""
    with running_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker.bootstrap


@pytest.fixture(scope="session")
def clickhouse_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Name the folder of the engine."""
    return tmp_path_factory.mktemp("clickhouse")


@pytest.fixture(scope="session")
def clickhouse_url(clickhouse_path: Path) -> Iterator[str]:
    """Give the address of a real engine, without a database."""
    with running_clickhouse(clickhouse_path) as url:
        yield url


@pytest.fixture
def database(clickhouse_url: str) -> Iterator[str]:
    """Give the URL of an empty, migrated database that only this test uses."""
    with fresh_database(clickhouse_url) as url:
        yield url
