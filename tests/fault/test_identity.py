"""A log that is not the one the ledger speaks of stops the worker with a sentence; nothing is reset by itself."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka import admin as kafka

from deploy.local.kafka import Broker
from tests.support.clickhouse import LocalClickHouse
from tests.support.kafka import running_kafka
from tests.support.topic_of_its_own import SECONDS, TopicOfItsOwn
from tests.support.wait import wait_for


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_kafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalClickHouse]:
    with LocalClickHouse(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


class Scene(TopicOfItsOwn):
    """A worker has stored three events of the topic and has stopped."""

    def begin(self) -> None:
        """Bring that about."""
        worker = self.stack.worker()
        self.publish(range(3))
        self.stack.wait_caught_up(alive=[worker])
        assert worker.stop() == 0, worker.tail()

    def last_words(self) -> str:
        """Start a worker that must refuse to go on, and give its sentence."""
        before = self.stack.ledger()
        worker = self.stack.worker(ready=False)
        wait_for(lambda: not worker.alive(), "the worker to stop by itself", within=60)
        assert worker.stop() not in (0, -15), worker.tail()
        assert self.stack.ledger() == before
        return worker.tail(3)


@pytest.fixture
def scene(tmp_path: Path, broker: Broker, engine: LocalClickHouse) -> Iterator[Scene]:
    with contextlib.closing(Scene(tmp_path, broker, engine)) as found:
        found.begin()
        yield found


def test_a_topic_that_was_made_again_is_not_read(scene: Scene) -> None:
    scene.make_again()
    scene.publish(range(8))
    assert "not the one that the ledger speaks of" in scene.last_words()


def test_a_partition_added_to_a_topic_in_use_is_not_read(scene: Scene) -> None:
    scene.add_partition()
    assert "partitions" in scene.last_words()


def test_a_log_that_begins_behind_the_ledger_is_not_read(scene: Scene) -> None:
    scene.publish(range(3, 9))
    place = TopicPartition(scene.topic, 0, 6)
    scene.admin.delete_records([place])[TopicPartition(scene.topic, 0)].result(SECONDS)
    assert "begins after the ledger's next offset" in scene.last_words()


def test_a_topic_stamped_by_its_writers_is_not_read(scene: Scene) -> None:
    entry = kafka.ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=kafka.AlterConfigOpType.SET)
    resource = kafka.ConfigResource(kafka.ResourceType.TOPIC, scene.topic, incremental_configs=[entry])
    scene.admin.incremental_alter_configs([resource])[resource].result(SECONDS)
    sentence = scene.last_words()
    assert "LogAppendTime" in sentence


def test_a_ledger_ahead_of_its_log_is_not_read(scene: Scene) -> None:
    rows = scene.stack.query(f"SELECT rules, topic_id FROM ledger FINAL WHERE topic = '{scene.topic}'")
    rules, topic_id = map(json.dumps, rows[0])
    values = f"{scene.topic!r}, 0, 50, 50, 0, 0, {rules}, {topic_id}, 1".replace('"', "'")
    scene.stack.command(
        "INSERT INTO ledger (topic, partition, next_offset, accepted, rejected, skipped, rules, topic_id, partitions)"
        f" VALUES ({values})"
    )
    assert "ends before" in scene.last_words()
