"""The feed while the broker or the database is away: it says so, serves what it knows, and recovers by itself."""

import asyncio
import datetime as dt
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.local.kafka import Broker
from schemas.catalogue import load
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.writer import Writer
from sinks.feed.line import AreaTotal, Line, day_of
from sinks.feed.metrics import FeedMetrics
from sinks.feed.store import PATIENCE, Store
from tests.support.clickhouse import LocalClickHouse
from tests.support.feed import RunningFeed, announce, make_log, remove_log, settings_for, totals
from tests.support.kafka import running_kafka
from tests.support.wait import wait_for

DAY = dt.date(2026, 11, 23)
LONG_SECONDS = 3  # the most that ClickHouse sleeps for one block, and more than PATIENCE
TOLD_WITHIN = 8 * PATIENCE  # what is expected are one and two times; what is not looked after takes a minute


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run one broker for all of this."""
    with running_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def kafka(running: Broker) -> Broker:
    """Give a broker that the test may kill, as long as it starts it again; without gris.daily."""
    remove_log(running.bootstrap)
    return running


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[LocalClickHouse]:
    """Give a database server that the test may kill, as long as it starts it again."""
    server = LocalClickHouse(tmp_path / "clickhouse")
    server.start()
    yield server
    server.stop()


def line(version: int, day: dt.date = DAY) -> Line:
    """Make a line of VN alone."""
    areas = (AreaTotal("VN", version * 10000, None, None, 1, 1, 1),)
    return Line(day_of(day), "G18.001", "_T", version, 1_795_413_600_000, "A", (), areas)


def test_the_feed_starts_before_topics_and_tables_are_there_and_finds_them(
    kafka: Broker, clickhouse: LocalClickHouse
) -> None:
    url = f"{clickhouse.url}/gris"
    with RunningFeed(settings_for(kafka.bootstrap, url)) as feed:
        wait_for(lambda: "gris.daily does not exist" in feed.http.get("/readyz").text, "the sentence on the topic")
        assert feed.http.get(f"/v1/daily/{DAY}").status_code == 503
        make_log(kafka.bootstrap)
        wait_for(lambda: "gris migrate" in feed.http.get("/readyz").text, "the sentence on the tables")
        client = connect(url)
        migrate(client)
        client.close()
        assert feed.ready().report(DAY)["cursor"] == -1


def test_a_database_that_dies_is_named_and_found_again(kafka: Broker, clickhouse: LocalClickHouse) -> None:
    make_log(kafka.bootstrap)
    url = f"{clickhouse.url}/gris"
    client = connect(url)
    migrate(client)
    Writer(client).day_totals(totals([line(1), line(2, DAY - dt.timedelta(days=1))]))
    client.close()
    with RunningFeed(settings_for(kafka.bootstrap, url)) as feed:
        assert feed.ready().report(DAY)["lines"][0]["value"] == 1
        clickhouse.kill()

        wait_for(lambda: "ClickHouse" in feed.http.get("/readyz").text, "readiness to be lost")
        assert feed.report(DAY)["lines"][0]["value"] == 1  # what is held is still served
        away = feed.http.get(f"/v1/daily/{DAY - dt.timedelta(days=1)}")
        assert (away.status_code, away.headers["retry-after"]) == (503, "1")
        assert "ClickHouse" in away.json()["detail"]
        assert feed.http.get("/healthz").status_code == 200

        clickhouse.start()
        assert feed.ready().report(DAY - dt.timedelta(days=1))["lines"][0]["value"] == 2


ASKED = (
    f"/v1/daily/{DAY - dt.timedelta(days=1)}",
    f"/v1/daily/{DAY}?as_of=2026-11-23T10:00:00Z",
    "/v1/observations?indicator=G18.001",
    "/v1/observations?indicator=G18.001&format=csv",
    "/v1/submissions/g18/S1",
    "/v1/coverage",
    f"/v1/completeness/{DAY}",
    "/coverage",
)
HELD = (
    "/healthz",
    f"/v1/daily/{DAY}",
    "/v1/indicators",
    "/indicators/G18.001",
    "/metrics",
    "/openapi.json",
    f"/?day={DAY}",
)


def test_a_database_that_hangs_is_named_in_time_everywhere_and_what_is_held_is_served(
    kafka: Broker, clickhouse: LocalClickHouse
) -> None:
    make_log(kafka.bootstrap)
    url = f"{clickhouse.url}/gris"
    client = connect(url)
    migrate(client)
    Writer(client).day_totals(totals([line(1), line(2, DAY - dt.timedelta(days=1))]))
    client.close()
    assert clickhouse.process is not None
    with RunningFeed(settings_for(kafka.bootstrap, url)) as feed, ThreadPoolExecutor(len(ASKED)) as threads:
        for path in HELD:
            assert feed.ready().http.get(path).status_code == 200, path
        clickhouse.process.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            ready = feed.http.get("/readyz")
            assert (ready.status_code, "ClickHouse has not answered" in ready.json()["detail"]) == (503, True)
            assert time.monotonic() - began < TOLD_WITHIN
            for path in HELD:
                assert feed.http.get(path).status_code == 200, path
            began = time.monotonic()
            for path, answer in zip(ASKED, threads.map(feed.http.get, ASKED), strict=True):
                assert (answer.status_code, "ClickHouse" in answer.text) == (503, True), path
            assert time.monotonic() - began < TOLD_WITHIN
        finally:
            clickhouse.process.send_signal(signal.SIGCONT)
        wait_for(lambda: feed.http.get("/readyz").status_code == 200, "readiness to be back")
        for path in ASKED:
            wait_for(lambda path=path: feed.http.get(path).status_code == 200, f"{path} to answer")  # type: ignore[misc]


def test_a_question_that_only_takes_long_is_waited_for(clickhouse: LocalClickHouse) -> None:
    store = Store(f"{clickhouse.url}/default", load(None), FeedMetrics())

    def slow(client: Client) -> object:
        return client.query(f"SELECT sleep({LONG_SECONDS})")

    async def asked() -> object:
        await store.ping()  # connects: the next is answered at once
        return await store._ask(slow)

    assert asyncio.run(asked()) == [(0,)]
    assert store.trouble is None
    store.close()


def test_a_broker_that_dies_is_named_and_found_again_and_no_client_misses_a_line(
    kafka: Broker, clickhouse: LocalClickHouse
) -> None:
    make_log(kafka.bootstrap)
    url = f"{clickhouse.url}/gris"
    client = connect(url)
    migrate(client)
    client.close()
    with RunningFeed(settings_for(kafka.bootstrap, url, feed_heartbeat_seconds=1)) as feed:
        feed.ready()
        announce(kafka.bootstrap, [line(1)])
        wait_for(lambda: feed.report(DAY)["cursor"] == 0, "the first line")
        with feed.stream(after=-1) as stream:
            assert stream.take(1)[0].id == 0
            kafka.kill()
            wait_for(lambda: "Kafka" in feed.http.get("/readyz").text, "readiness to be lost")
            assert feed.report(DAY)["cursor"] == 0
            assert feed.http.get("/v1/daily/stream?after=7").status_code == 503  # nobody can tell whether it exists

            kafka.start()
            feed.ready()
            announce(kafka.bootstrap, [line(2)])
            assert stream.take(1)[0].id == 1
            wait_for(lambda: feed.report(DAY)["cursor"] == 1, "the second line")
