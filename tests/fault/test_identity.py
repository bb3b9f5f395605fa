"""A log that is not the one the ledger speaks of stops the worker with a sentence; nothing is reset by itself."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka import admin as kafka

from deploy.topics import ensure
from schemas.topics import specs
from tests.support.sending import of_event, send
from tests.support.small_catalogue import write_catalogue
from tests.support.stack import Stack, running_stack
from tests.support.wait import wait_for
from tests.support.wire import Event, event

TOPIC = "gris.events.z01"
SECONDS = 30.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Run the small catalogue; a worker has stored three events and has stopped."""
    with running_stack(tmp_path, write_catalogue(tmp_path / "catalogue")) as running:
        worker = running.worker()
        send(running.bootstrap, [of_event(hour(at)) for at in range(3)])
        running.wait_caught_up(alive=[worker])
        assert worker.stop() == 0, worker.tail()
        yield running


def hour(at: int) -> Event:
    return event("Z01.001", "01", f"2024-05-07T{at:02}:00:00/PT1H", 1.0)


@pytest.fixture
def admin(stack: Stack) -> kafka.AdminClient:
    return kafka.AdminClient({"bootstrap.servers": stack.bootstrap})


def last_words(stack: Stack) -> str:
    """Start a worker that must refuse to go on, and give its sentence."""
    before = stack.ledger()
    worker = stack.worker(ready=False)
    wait_for(lambda: not worker.alive(), "the worker to stop by itself", within=60)
    assert worker.stop() not in (0, -15), worker.tail()
    assert stack.ledger() == before
    return worker.tail(3)


def test_a_topic_that_was_made_again_is_not_read(stack: Stack, admin: kafka.AdminClient) -> None:
    admin.delete_topics([TOPIC])[TOPIC].result(SECONDS)
    wait_for(lambda: TOPIC not in admin.list_topics(timeout=10).topics, "the topic to be gone", within=SECONDS)
    ensure(stack.bootstrap, specs(stack.catalogue))
    send(stack.bootstrap, [of_event(hour(at)) for at in range(8)])
    assert "not the one that the ledger speaks of" in last_words(stack)


def test_a_partition_added_to_a_topic_in_use_is_not_read(stack: Stack, admin: kafka.AdminClient) -> None:
    admin.create_partitions([kafka.NewPartitions(TOPIC, 2)])[TOPIC].result(SECONDS)
    assert "partitions" in last_words(stack)


def test_a_log_that_begins_behind_the_ledger_is_not_read(stack: Stack, admin: kafka.AdminClient) -> None:
    send(stack.bootstrap, [of_event(hour(at)) for at in range(3, 9)])
    place = TopicPartition(TOPIC, 0, 6)
    admin.delete_records([place])[TopicPartition(TOPIC, 0)].result(SECONDS)
    assert "begins after the ledger's next offset" in last_words(stack)


def test_a_topic_stamped_by_its_writers_is_not_read(stack: Stack, admin: kafka.AdminClient) -> None:
    entry = kafka.ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=kafka.AlterConfigOpType.SET)
    resource = kafka.ConfigResource(kafka.ResourceType.TOPIC, TOPIC, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(SECONDS)
    sentence = last_words(stack)
    assert "LogAppendTime" in sentence


def test_a_ledger_ahead_of_its_log_is_not_read(stack: Stack) -> None:
    rows = stack.query(f"SELECT rules, topic_id FROM ledger FINAL WHERE topic = '{TOPIC}'")
    rules, topic_id = map(json.dumps, rows[0])
    values = f"{TOPIC!r}, 0, 50, 50, 0, 0, {rules}, {topic_id}, 1".replace('"', "'")
    stack.command(
        "INSERT INTO ledger (topic, partition, next_offset, accepted, rejected, skipped, rules, topic_id, partitions)"
        f" VALUES ({values})"
    )
    assert "ends before" in last_words(stack)
