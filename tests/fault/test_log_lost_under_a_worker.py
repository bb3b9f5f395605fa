"""A log that is cut or made again while a worker reads it: the worker stops with a sentence, and resets nothing."""

import contextlib
import dataclasses
import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka import admin as kafka

from deploy.local.kafka import Broker
from streams.run import TOLD_SECONDS
from tests.support.clickhouse import LocalClickHouse
from tests.support.kafka import running_kafka
from tests.support.sending import Record, of_event, send
from tests.support.stack import Process
from tests.support.topic_of_its_own import SECONDS, TopicOfItsOwn
from tests.support.wait import wait_for

NOTICED_WITHIN = 60.0
TRIES = 5
# By default a broker looks for what has expired half a minute after its start, and then every five minutes.
EXPIRY = {"log.initial.task.delay.ms": "500", "log.retention.check.interval.ms": "500"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_kafka(tmp_path_factory.mktemp("kafka"), EXPIRY) as running:
        yield running


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalClickHouse]:
    with LocalClickHouse(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """What /readyz answered, nothing where it did not; asked and answered in seconds since the epoch."""

    asked: float
    answered: float
    text: str


class Scene(TopicOfItsOwn):
    """A worker has stored three events of the topic and waits for more."""

    def begin(self) -> None:
        """Bring that about."""
        # One that stood still for most of its session may store observations, but neither totals nor ledger.
        self.stack.environment["GRIS_SESSION_SECONDS"] = "60"
        self.worker: Process = self.stack.worker()
        self.publish(range(3))
        self.stack.wait_caught_up(alive=[self.worker])
        self.before = self.state()

    def delete_before(self, offset: int) -> None:
        """Delete the records before an offset."""
        partition = TopicPartition(self.topic, 0)
        self.admin.delete_records([TopicPartition(self.topic, 0, offset)])[partition].result(SECONDS)

    def expire(self) -> None:
        """Have the broker expire what is in the log by the topic's retention."""
        end = self._offset(kafka.OffsetSpec.latest())
        self._retain("1")
        wait_for(lambda: self._offset(kafka.OffsetSpec.earliest()) == end, "the records to expire", within=SECONDS)
        self._retain("-1")

    def last_words_on_losing_unread(self, lose: Callable[[int], None]) -> str:
        """Publish while the worker stands still, ``lose`` records, given the log's end; gives the worker's last words.

        A fetch of the worker's may wait at the broker meanwhile, and bring the records before they are lost: what it
        brought is stored as ever, and others are lost.
        """
        for _ in range(TRIES):
            self.worker.pause()
            self.publish(range(6))
            end = self._offset(kafka.OffsetSpec.latest())
            lose(end)
            self.worker.resume()
            if words := self.last_words(unless_stored=end):
                return words
            self.before = self.state()
        raise AssertionError(f"the worker had read what was to be lost {TRIES} times")

    def _offset(self, which: kafka.OffsetSpec) -> int:
        (found,) = self.admin.list_offsets({TopicPartition(self.topic, 0): which}).values()
        return int(found.result(SECONDS).offset)

    def _retain(self, milliseconds: str) -> None:
        entry = kafka.ConfigEntry("retention.ms", milliseconds, incremental_operation=kafka.AlterConfigOpType.SET)
        topic = kafka.ConfigResource(kafka.ResourceType.TOPIC, self.topic, incremental_configs=[entry])
        self.admin.incremental_alter_configs([topic])[topic].result(SECONDS)

        def told() -> bool:
            return bool(self.admin.describe_configs([topic])[topic].result(SECONDS)[entry.name].value == milliseconds)

        wait_for(told, "the broker to know of it", within=SECONDS)

    def state(self) -> tuple[object, ...]:
        """Read all that is stored; of statements, those that the ledger accounts for."""
        rows = (self.stack.query(f"SELECT * FROM {table} FINAL ORDER BY ALL") for table in ("rejected", "day_totals"))
        ledger = self.stack.ledger()
        statements = self.stack.query(
            f"SELECT offset, value FROM observations FINAL WHERE offset < {ledger[self.topic, 0][0]} ORDER BY offset"
        )
        return ledger, statements, *rows

    def last_words(self, *, unless_stored: int | None = None) -> str:
        """Wait for the worker to stop by itself, with 1; gives its sentence, which /readyz and one line of log say.

        With ``unless_stored`` it gives nothing once so many records are stored and the worker runs.
        """
        said: list[Said] = []

        def stored() -> bool:
            return unless_stored is not None and self.worker.alive() and self.stack.stored() == unless_stored

        def ended() -> bool:
            said.append(self._asked(client))
            return not self.worker.alive() or stored()

        with httpx.Client(timeout=5) as client:
            wait_for(ended, "the worker to stop by itself", within=NOTICED_WITHIN)
        if stored():
            return ""
        assert self.worker.ended(1) == 1, self.worker.tail()
        lines = self.worker.log.read_text().splitlines()
        (stopping,) = [json.loads(line) for line in lines if '"stopping"' in line]
        sentence = stopping["reason"]
        began = dt.datetime.fromisoformat(stopping["timestamp"]).timestamp()
        # Whoever asks then is told. On a machine that stands still for as long, nobody does.
        heard = {one.text for one in said if began < one.asked and one.answered < began + TOLD_SECONDS}
        assert heard <= {sentence}
        assert lines[-1] == f"gris: {sentence}"
        return str(sentence)

    def _asked(self, client: httpx.Client) -> Said:
        asked, text = time.time(), ""
        with contextlib.suppress(httpx.TransportError):
            text = client.get(f"{self.stack.metrics['worker-1']}/readyz").text.strip()
        return Said(asked, time.time(), text)


@pytest.fixture
def scene(tmp_path: Path, broker: Broker, engine: LocalClickHouse) -> Iterator[Scene]:
    with contextlib.closing(Scene(tmp_path, broker, engine)) as found:
        found.begin()
        yield found


def test_records_deleted_before_they_were_read_stop_the_worker(scene: Scene) -> None:
    sentence = scene.last_words_on_losing_unread(lambda end: scene.delete_before(end - 2))
    assert scene.topic in sentence
    assert "begins after the ledger's next offset" in sentence or "does not hold the offset" in sentence
    assert scene.state() == scene.before


def test_records_that_expire_before_they_were_read_stop_the_worker(scene: Scene) -> None:
    sentence = scene.last_words_on_losing_unread(lambda _: scene.expire())
    assert scene.topic in sentence
    assert "begins after the ledger's next offset" in sentence or "does not hold the offset" in sentence
    assert scene.state() == scene.before


def test_no_worker_starts_on_a_log_of_which_records_expired_before_they_were_read(scene: Scene) -> None:
    assert scene.worker.stop() == 0
    scene.publish(range(6))
    scene.expire()
    again = scene.stack.worker(ready=False)
    assert again.ended(NOTICED_WITHIN) == 1, again.tail()
    assert "records expired or were deleted unread" in again.tail(1)
    assert scene.state() == scene.before


def test_records_that_expire_after_they_were_read_stop_nothing(scene: Scene) -> None:
    scene.expire()
    scene.publish(range(2))
    scene.stack.wait_caught_up(alive=[scene.worker])
    assert scene.worker.stop() == 0
    again = scene.stack.worker()
    assert again.stop() == 0


def test_records_deleted_after_they_were_read_stop_nothing(scene: Scene) -> None:
    scene.delete_before(3)
    scene.publish(range(2))
    scene.stack.wait_caught_up(alive=[scene.worker])
    assert scene.worker.stop() == 0


def test_a_topic_that_is_deleted_stops_the_worker(scene: Scene) -> None:
    scene.delete()
    assert "does not exist" in scene.last_words()
    assert scene.state() == scene.before


def test_a_topic_that_is_made_again_stops_the_worker_within_seconds(scene: Scene) -> None:
    scene.worker.pause()
    scene.make_again()
    scene.publish(range(2))  # fewer than were read of the old one
    scene.worker.resume()
    sentence = scene.last_words()
    assert scene.topic in sentence
    assert "not the one that the ledger speaks of" in sentence or "does not hold the offset" in sentence
    assert scene.state() == scene.before


def test_partitions_added_stop_the_worker_before_a_record_of_them_is_judged(scene: Scene) -> None:
    scene.add_partition()
    one = of_event(scene.hour(7))
    send(scene.stack.bootstrap, [Record(one.topic, one.key, one.value, partition=1)])
    assert "2 partitions, the ledger knows 1" in scene.last_words()
    assert scene.state() == scene.before
