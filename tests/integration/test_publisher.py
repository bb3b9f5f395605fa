"""The publisher on a real broker: where records lie, that each lies there once, and what a deadline does."""

import csv
import datetime as dt
import gc
import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, TopicPartition

from deploy.local.ports import free_port
from deploy.topics import ensure
from producers.cli import publish
from producers.publisher import CONNECT, MAX_REQUEST, Message, Publisher
from producers.sample import publish_week
from producers.settings import PublisherSettings
from schemas.catalogue import load
from schemas.codec import EventCodec
from schemas.errors import Fatal, Retry
from schemas.partition import partition_for
from schemas.registry import BundledSchemas
from schemas.spans import Spans
from schemas.topics import EVENTS, TopicSpec, event_topic, specs
from tests.support.day import day_lasting
from tests.support.kafka import running_kafka

DEADLINE = 10.0  # seconds, in which a broker on a busy machine confirms something


@pytest.fixture
def topic(kafka_bootstrap: str, request: pytest.FixtureRequest) -> str:
    name = f"gris.test.{request.node.name}"[:200].replace("[", ".").replace("]", "")
    ensure(kafka_bootstrap, [TopicSpec(name, 5, EVENTS)])
    return name


def settings(bootstrap: str) -> PublisherSettings:
    return PublisherSettings(kafka=bootstrap)


def records(bootstrap: str, topic: str, partitions: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Read all there is of a topic: partition, key, value."""
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.partition.eof": False})
    try:
        ends = {}
        for partition in range(partitions):
            _, end = reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            if end:
                ends[partition] = end
        reader.assign([TopicPartition(topic, partition, 0) for partition in ends])
        deadline = time.monotonic() + 20
        while ends and time.monotonic() < deadline:
            for record in reader.consume(5_000, timeout=1):
                assert record.error() is None
                yield record.partition(), record.key(), record.value()
                if record.offset() + 1 == ends[record.partition()]:
                    del ends[record.partition()]
        assert not ends
    finally:
        reader.close()


def test_a_record_lies_in_the_partition_of_its_key_in_order_and_once(kafka_bootstrap: str, topic: str) -> None:
    messages = [Message(topic, f"G{at % 97:02}.{at % 7:03}".encode(), b"%d" % at, at) for at in range(30_000)]
    heard: list[int] = []
    with Publisher(settings(kafka_bootstrap)) as publisher:
        assert publisher.partitions(topic) == 5
        receipt = publisher.publish(messages, heard.append)
    assert (receipt.confirmed, receipt.failures) == (30_000, ())
    assert heard == sorted(heard)
    assert heard[-1] == 30_000
    found = list(records(kafka_bootstrap, topic, 5))
    assert all(partition == partition_for(key, 5) for partition, key, _ in found)
    assert {partition for partition, _, _ in found} == set(range(5))
    assert sorted(int(value) for _, _, value in found) == list(range(30_000))
    for wanted in range(5):
        share = [int(value) for partition, _, value in found if partition == wanted]
        assert share == sorted(share)


def test_a_record_beyond_the_request_size_fails_alone_and_by_its_row(kafka_bootstrap: str, topic: str) -> None:
    messages = [Message(topic, b"k", value, at) for at, value in enumerate([b"a", b"x" * (MAX_REQUEST + 1), b"b"])]
    with Publisher(settings(kafka_bootstrap)) as publisher:
        receipt = publisher.publish(messages)
    assert receipt.confirmed == 2
    (failure,) = receipt.failures
    assert failure.row == 1
    assert isinstance(failure.error, Fatal)
    assert [value for _, _, value in records(kafka_bootstrap, topic, 5)] == [b"a", b"b"]


def test_the_deadline_is_for_a_broker_that_confirms_nothing_and_not_for_the_whole(
    kafka_bootstrap: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One at a time: nearly all of the time goes by in waiting for confirmations, and each begins the deadline anew.
    monkeypatch.setattr("producers.publisher.IN_FLIGHT", 1)
    never = threading.Event()

    def for_a_while() -> Iterator[Message]:
        """Go on for longer than the deadline, which begins when the first is asked for."""
        until = time.monotonic() + DEADLINE + 0.5
        at = 0
        while time.monotonic() < until:
            yield Message(topic, b"k", b"%d" % at, at)
            at += 1

    def late() -> Iterator[Message]:
        """Begin when the deadline would have passed: it is the source that takes its time, not the broker."""
        until = time.monotonic() + DEADLINE + 0.5
        while time.monotonic() < until:
            never.wait(0.1)
        yield Message(topic, b"k", b"late", "late")

    with Publisher(settings(kafka_bootstrap), deadline=DEADLINE) as publisher:
        receipt = publisher.publish(for_a_while())
        assert receipt.failures == ()
        assert receipt.confirmed > 1
        assert publisher.publish(late()).confirmed == 1


def test_a_topic_that_is_not_there_is_named_with_the_remedy(kafka_bootstrap: str) -> None:
    with (
        Publisher(settings(kafka_bootstrap), deadline=DEADLINE) as publisher,
        pytest.raises(Fatal, match="gris up --bare"),
    ):
        publisher.partitions("gris.test.nowhere")


def test_no_broker_is_a_retry_within_the_deadline() -> None:
    began = time.monotonic()
    with pytest.raises(Retry, match="GRIS_KAFKA"):
        Publisher(settings(f"127.0.0.1:{free_port()}"), deadline=0.5)
    assert time.monotonic() - began < CONNECT, "it takes the usual time, and not the one it is given"


# kafka-python leaks the socket of every connection attempt that is refused; it is collected here, not in another test.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_a_broker_that_dies_did_not_confirm_is_reported_row_by_row_and_may_be_sent_again(tmp_path: Path) -> None:
    with running_kafka(tmp_path / "kafka") as broker:
        ensure(broker.bootstrap, [TopicSpec("gris.test.dying", 1, EVENTS)])
        messages = [Message("gris.test.dying", b"k", b"%d" % at, at) for at in range(200)]
        with Publisher(settings(broker.bootstrap), deadline=DEADLINE) as publisher:
            assert publisher.publish(messages[:100]).confirmed == 100
            broker.kill()
            began = time.monotonic()
            receipt = publisher.publish(messages[100:])
            assert time.monotonic() - began < 5 * DEADLINE, "it waits for each row, and not for all"
        assert [failure.row for failure in receipt.failures] == list(range(100, 200))
        assert all(isinstance(failure.error, Retry) for failure in receipt.failures)
        broker.start()
        with Publisher(settings(broker.bootstrap)) as publisher:
            assert publisher.publish(messages[100:]).confirmed == 100
        found = [int(value) for _, _, value in records(broker.bootstrap, "gris.test.dying", 1)]
        assert set(found) == set(range(200))
    gc.collect()


@pytest.fixture(scope="module")
def with_topics(kafka_bootstrap: str) -> str:
    ensure(kafka_bootstrap, specs(load()))
    return kafka_bootstrap


def published(bootstrap: str, agency: str) -> list[dict[str, object]]:
    values = [value for _, _, value in records(bootstrap, event_topic(agency), 1)]
    decoded = EventCodec(BundledSchemas()).decode(Spans.of(values))
    assert decoded.refused == []
    return decoded.batch.to_pylist()


def test_the_good_rows_of_a_file_are_in_and_the_wrong_ones_only_unchecked(
    with_topics: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIS_KAFKA", with_topics)
    path = tmp_path / "g20.csv"
    own = next(one for one in load().indicators if one.agency == "g20")
    lines = [f"{own.code},VN,2019,x", f"{own.code},VN,nonsense,1", f"{own.code},VN,1990,"]
    path.write_text("indicator,area,time_period,value\n" + "\n".join(lines) + "\n", encoding="utf-8")
    words = [str(path), "--agency", "g20", "--json", "--submission"]
    checked = CliRunner().invoke(publish, [*words, "checked"], catch_exceptions=False)
    assert checked.exit_code == 1
    assert json.loads(checked.stdout)["files"][0]["published"] == 0
    unchecked = CliRunner().invoke(publish, [*words, "unchecked", "--unchecked"], catch_exceptions=False)
    assert unchecked.exit_code == 1
    report = json.loads(unchecked.stdout)["files"][0]
    assert (report["published"], [row["encodable"] for row in report["refused"]]) == (2, [False, True, True])
    assert [event["submission"] for event in published(with_topics, "g20")] == ["unchecked"] * 2


def test_the_sample_publishes_the_rows_of_its_files_in_their_order(with_topics: str, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    yesterday = day_lasting(30) - dt.timedelta(days=1)
    summary = publish_week(settings(with_topics), tmp_path, lambda done, total: heard.append((done, total)), days=1)
    assert summary.unconfirmed == ()
    assert summary.confirmed == summary.events == sum(summary.agencies.values())
    assert heard[-1] == (summary.events, summary.events)
    assert summary.end == yesterday
    for agency, size in summary.agencies.items():
        written = list(csv.DictReader(io.StringIO((tmp_path / f"{agency}.csv").read_text("utf-8"))))
        assert len(written) == size
        for row, event in zip(written, published(with_topics, agency), strict=True):
            assert [row[name] for name in ("indicator", "area", "breakdown", "time_period", "submission")] == [
                event[name] for name in ("indicator", "area", "breakdown", "time_period", "submission")
            ]
            assert (float(row["value"]) if row["value"] else None) == event["value"]
            assert int(row["revision"]) == event["revision"]
            assert (row["note"] or None) == event["note"]
