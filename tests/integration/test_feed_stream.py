"""The stream over a real broker: nothing twice, nothing left out, and a reset when the log cannot tell."""

import concurrent.futures
import contextlib
import dataclasses
import datetime as dt
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from schemas import topics
from schemas.catalogue import load
from sinks.clickhouse.client import connect
from sinks.clickhouse.writer import Writer
from sinks.feed.line import AreaTotal, Line, day_of
from tests.support.feed import (
    HEARD_WITHIN,
    RunningFeed,
    announce,
    key_of,
    make_log,
    remove_log,
    settings_for,
    totals,
    value_of,
)
from tests.support.kafka import running_kafka
from tests.support.wait import wait_for

CATALOGUE = load()
DAY = dt.date(2026, 11, 23)
NOW = 1_795_413_600_000
CODE = "G18.001"
PROVINCES = [area.code for area in CATALOGUE.map_on(DAY).areas]


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a broker of this module's own."""
    with running_kafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running.bootstrap


@pytest.fixture
def kafka(bootstrap: str) -> str:
    """Give a broker with an empty gris.daily: offsets are what these tests are about."""
    remove_log(bootstrap)
    make_log(bootstrap)
    return bootstrap


def line(version: int, code: str = CODE, day: dt.date = DAY) -> Line:
    """Make a line with every area; its value is its version."""
    areas = tuple(AreaTotal(area, version * 10000, None, None, 1, 1, 1) for area in PROVINCES)
    return Line(day_of(day), code, "_T", version, NOW + version, "A", (), areas)


def feed_on(kafka: str, database: str, **more: Any) -> RunningFeed:
    """Make a feed."""
    return RunningFeed(settings_for(kafka, database, **more))


def test_a_client_that_goes_on_from_a_report_gets_every_line_after_it_as_the_report_has_it(
    kafka: str, database: str
) -> None:
    client = connect(database)
    with feed_on(kafka, database) as feed:
        cursor = feed.ready().report(DAY)["cursor"]
        assert cursor == -1
        for version in (1, 2, 3):
            Writer(client).day_totals(totals([line(version)]))
            announce(kafka, [line(version)])
        with feed.stream(after=cursor) as stream:
            events = stream.take(3)
        wait_for(lambda: feed.report(DAY)["cursor"] == 2, "the cursor")

        assert [(event.kind, event.id, event.data["value"]) for event in events] == [
            ("line", 0, 1),
            ("line", 1, 2),
            ("line", 2, 3),
        ]
        assert events[-1].data == feed.report(DAY)["lines"][0]
    client.close()


def test_without_an_id_a_stream_starts_now(kafka: str, database: str) -> None:
    announce(kafka, [line(1)])
    with feed_on(kafka, database) as feed, feed.ready().stream() as stream:
        announce(kafka, [line(2)])
        assert stream.take(1)[0].id == 1


@pytest.mark.parametrize("held", [4, 4096], ids=["from the topic", "from memory"])
def test_a_client_resumes_at_any_offset_without_gap_or_repetition(kafka: str, database: str, held: int) -> None:
    announce(kafka, [line(version) for version in range(1, 41)])
    with feed_on(kafka, database, feed_recent_lines=held) as feed:
        feed.ready()
        announce(kafka, [line(version) for version in range(41, 61)])
        for after in (-1, 0, 17, 39, 40, 58):
            with feed.stream(after=after) as stream:
                assert [event.id for event in stream.take(59 - after)] == list(range(after + 1, 60))
        with feed.stream(after=59) as stream:  # the last id there is
            announce(kafka, [line(61)])
            assert stream.take(1)[0].id == 60
            announce(kafka, [line(62)])


@pytest.mark.parametrize("held", [5, 4096], ids=["from the topic", "from memory"])
def test_a_client_goes_on_after_the_feed_was_restarted_without_gap_or_repetition(
    kafka: str, database: str, held: int
) -> None:
    heard: list[int | None] = []
    version = 0
    for _ in range(3):
        with feed_on(kafka, database, feed_recent_lines=held) as feed:
            feed.ready()
            last = None if not heard else str(heard[-1])
            with feed.stream(after=-1, last=last) as stream:
                announce(kafka, [line(version := version + 1) for _ in range(4)])
                heard += [event.id for event in stream.take(version - len(heard) - 1)]  # one is left for the next
        announce(kafka, [line(version := version + 1) for _ in range(8)])  # nobody is there to hear
    assert heard == list(range(len(heard)))


def test_a_line_without_areas_takes_its_bucket_out_of_the_report(kafka: str, database: str) -> None:
    before = DAY - dt.timedelta(days=1)
    client = connect(database)
    Writer(client).day_totals(totals([line(1, day=before), line(2)]))
    with feed_on(kafka, database) as feed:
        feed.ready()
        assert feed.report(DAY)["lines"][0]["bucket"] == str(DAY)
        with feed.stream() as stream:
            client.command("DELETE FROM day_totals WHERE bucket = {day:Date}", {"day": DAY})
            announce(kafka, [dataclasses.replace(line(3), status="M", areas=())])
            (event,) = stream.take(1)
        said = {name: event.data[name] for name in ("value", "status", "areas", "areas_reported")}
        assert said == {"value": None, "status": "M", "areas": [], "areas_reported": 0}
        wait_for(lambda: feed.report(DAY)["cursor"] == 0, "the line to be taken in")
        report = feed.report(DAY)
        assert [(found["indicator"], found["bucket"]) for found in report["lines"]] == [(CODE, str(before))]
        assert feed.http.get("/").status_code == 200
        assert feed.http.get(f"/indicators/{CODE}").status_code == 200
    with feed_on(kafka, database) as again:
        assert again.ready().report(DAY)["lines"] == report["lines"]
    with feed_on(kafka, database) as feed:
        feed.ready()
        Writer(client).day_totals(totals([line(4)]))  # as the worker does it: stored, then announced
        announce(kafka, [line(4)])
        wait_for(lambda: feed.report(DAY)["lines"][0]["bucket"] == str(DAY), "the bucket to be back")
    client.close()


def test_the_header_wins_over_the_parameter(kafka: str, database: str) -> None:
    announce(kafka, [line(1), line(2), line(3)])
    with feed_on(kafka, database) as feed, feed.ready().stream(after=0, last="1") as stream:
        assert stream.take(1)[0].id == 2


@pytest.mark.parametrize("last", ["3", "1000000", "-2", "not a number", "99999999999999999999999"])
def test_an_id_that_the_log_cannot_continue_is_answered_with_a_reset(kafka: str, database: str, last: str) -> None:
    announce(kafka, [line(1), line(2), line(3)])
    with feed_on(kafka, database) as feed:
        feed.ready()
        with feed.stream(last=last) as stream:
            event = stream.take(1)[0]
            assert (event.kind, event.id) == ("reset", None)
            assert stream.ended()


def test_an_id_before_the_logs_start_is_answered_with_a_reset(kafka: str, database: str) -> None:
    announce(kafka, [line(version) for version in range(1, 11)])
    admin = AdminClient({"bootstrap.servers": kafka})
    both = ConfigEntry("cleanup.policy", "compact,delete", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topics.DAILY, incremental_configs=[both])
    for future in admin.incremental_alter_configs([resource]).values():  # else the broker refuses to delete records
        future.result(20)
    for future in admin.delete_records([TopicPartition(topics.DAILY, 0, 5)]).values():
        future.result(20)
    with feed_on(kafka, database, feed_recent_lines=2) as feed:
        feed.ready()
        with feed.stream(after=3) as stream:
            assert stream.take(1)[0].kind == "reset"
        with feed.stream(after=4) as stream:
            assert [event.id for event in stream.take(5)] == [5, 6, 7, 8, 9]


def test_an_id_that_another_feed_has_given_already_is_not_beyond_the_end(kafka: str, database: str) -> None:
    with feed_on(kafka, database) as feed:
        feed.ready()
        feed.app.state.feed.live.cursor = -1
        announce(kafka, [line(1), line(2)])
        with feed.stream(after=1) as stream:
            announce(kafka, [line(3)])
            assert stream.take(1)[0].id == 2


def test_lines_of_an_aborted_transaction_were_never_said(kafka: str, database: str) -> None:
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": "worker"})
    producer.init_transactions(20)

    def send(version: int, *, commit: bool) -> None:
        producer.begin_transaction()
        producer.produce(topics.DAILY, key=key_of(line(version)), value=value_of(line(version)), partition=0)
        producer.flush(20)
        (producer.commit_transaction if commit else producer.abort_transaction)(20)

    with feed_on(kafka, database, feed_recent_lines=1) as feed:
        feed.ready()
        send(1, commit=True)
        send(2, commit=False)
        send(3, commit=True)
        send(4, commit=False)
        for _ in range(2):  # the second time from the topic: the buffer holds one line
            with feed.stream(after=-1) as stream:
                assert [event.data["version"] for event in stream.take(2)] == [1, 3]
        wait_for(lambda: feed.report(DAY)["cursor"] == 7, "the cursor to pass the markers")
        with feed.stream(after=7) as stream:
            send(5, commit=True)
            assert stream.take(1)[0].data["version"] == 5


def test_a_log_made_anew_resets_the_clients_and_the_report(kafka: str, database: str) -> None:
    announce(kafka, [line(version) for version in range(1, 6)])
    with feed_on(kafka, database) as feed:
        assert feed.ready().report(DAY)["cursor"] == 4
        with feed.stream() as stream:
            remove_log(kafka)
            make_log(kafka)
            assert stream.take(1)[0].kind == "reset"
        feed.ready()
        assert feed.report(DAY)["cursor"] == -1
        with feed.stream(after=-1) as stream:
            announce(kafka, [line(1)])
            assert stream.take(1)[0].id == 0


def test_a_client_that_accepts_nothing_is_cut_off_and_the_others_are_not(kafka: str, database: str) -> None:
    with feed_on(kafka, database, feed_patience_seconds=10.0) as feed:
        feed.ready()
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", int(feed.url.rpartition(":")[2])))
            slow.sendall(b"GET /v1/daily/stream?after=-1 HTTP/1.1\r\nHost: feed\r\n\r\n")
            with feed.stream(after=-1) as stream:
                # Beside the taking: who takes nothing while they are sent may be cut off as well.
                with concurrent.futures.ThreadPoolExecutor(1) as announcing:
                    sent = announcing.submit(announce, kafka, [line(version) for version in range(1, 1301)])
                    assert [event.id for event in stream.take(1300)] == list(range(1300))
                    sent.result(30)
                wait_for(
                    lambda: "gris_feed_clients_cut_off_total 1.0" in feed.http.get("/metrics").text,
                    "the cut",
                    within=60,
                )
                assert "gris_feed_clients 1.0" in feed.http.get("/metrics").text


def test_a_deflated_stream_says_the_same_and_ends_as_it_should(kafka: str, database: str) -> None:
    def told(answer: httpx.Response) -> Iterator[bytes]:
        """Give all the text there was, whenever there is more."""
        reader, text = zlib.decompressobj(), b""
        deadline = time.monotonic() + HEARD_WITHIN
        deflated = answer.headers.get("content-encoding") == "deflate"
        for raw in answer.iter_raw():
            text += reader.decompress(raw) if deflated else raw
            yield text
            assert time.monotonic() < deadline, text  # heartbeats come also where nothing else does
        assert reader.eof == deflated

    announce(kafka, [line(version) for version in range(1, 31)])
    with feed_on(kafka, database, feed_recent_lines=8) as feed, contextlib.ExitStack() as open_streams:
        feed.ready()
        texts = []
        for coding in ("identity", "deflate"):
            headers = {"Accept-Encoding": coding, "Last-Event-ID": "4"}  # partly from the topic, partly from memory
            answer = open_streams.enter_context(feed.http.stream("GET", "/v1/daily/stream", headers=headers))
            assert answer.headers["vary"] == "Accept-Encoding"
            assert answer.headers.get("content-encoding", "identity") == coding
            texts.append(told(answer))
        for text in texts:
            assert next(found for found in text if found.endswith(b"\n\n") and b"\nid: 29\n" in found)
        remove_log(kafka)
        make_log(kafka)  # which ends the streams
        plain, deflated = (list(text)[-1] for text in texts)

    assert plain.count(b"event: line") == 25
    assert plain.endswith(b"}\n\n")
    assert plain == deflated


def test_many_clients_are_told_the_same(kafka: str, database: str) -> None:
    clients, count = 40, 20
    connected = threading.Barrier(clients + 1)

    def listen(feed: RunningFeed) -> list[int | None]:
        with feed.stream() as stream:
            connected.wait(30)
            return [event.id for event in stream.take(count)]

    with feed_on(kafka, database) as feed, concurrent.futures.ThreadPoolExecutor(clients) as pool:
        feed.ready()
        listening = [pool.submit(listen, feed) for _ in range(clients)]
        connected.wait(30)
        announce(kafka, [line(version) for version in range(1, count + 1)])
        assert {tuple(future.result(30)) for future in listening} == {tuple(range(count))}


def test_a_client_hears_a_comment_when_there_is_nothing_to_say(kafka: str, database: str) -> None:
    with feed_on(kafka, database, feed_heartbeat_seconds=0.1) as feed, feed.ready().stream() as stream:
        heard = stream.response.iter_lines()
        assert next(text for text in heard if text.startswith(":"))


def test_one_client_too_many_is_told_to_come_back(kafka: str, database: str) -> None:
    with feed_on(kafka, database, feed_clients=1) as feed, feed.ready().stream():
        answer = feed.http.get("/v1/daily/stream")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
