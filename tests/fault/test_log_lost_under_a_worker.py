"""A log that is cut or made again while a worker reads it: the worker stops with a sentence, and resets nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka import admin as kafka

from deploy.topics import ensure
from schemas.topics import specs
from tests.support.sending import of_event, send
from tests.support.small_catalogue import write_catalogue
from tests.support.stack import Process, Stack, running_stack
from tests.support.wait import wait_for
from tests.support.wire import Event, event

TOPIC = "gris.events.z01"
SECONDS = 30.0
NOTICED_WITHIN = 60.0


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with running_stack(tmp_path, write_catalogue(tmp_path / "catalogue")) as running:
        yield running


@pytest.fixture
def worker(stack: Stack) -> Process:
    """Run a worker that has stored three events and waits for more."""
    worker = stack.worker()
    send(stack.bootstrap, [of_event(hour(at)) for at in range(3)])
    stack.wait_caught_up(alive=[worker])
    return worker


@pytest.fixture
def admin(stack: Stack) -> kafka.AdminClient:
    return kafka.AdminClient({"bootstrap.servers": stack.bootstrap})


def hour(at: int) -> Event:
    return event("Z01.001", "01", f"2024-05-07T{at:02}:00:00/PT1H", 1.0)


def last_words(worker: Process) -> str:
    """Wait for a worker to stop by itself, with a failure; gives its sentence."""
    wait_for(lambda: not worker.alive(), "the worker to stop by itself", within=NOTICED_WITHIN)
    assert worker.stop() not in (0, -15), worker.tail()
    return worker.tail(5)


def test_records_deleted_before_they_were_read_stop_the_worker(
    stack: Stack, worker: Process, admin: kafka.AdminClient
) -> None:
    before = stack.ledger()
    worker.pause()
    send(stack.bootstrap, [of_event(hour(at)) for at in range(3, 9)])
    admin.delete_records([TopicPartition(TOPIC, 0, 7)])[TopicPartition(TOPIC, 0)].result(SECONDS)
    worker.resume()
    words = last_words(worker)
    assert "begins after the ledger's next offset" in words or "does not hold the offset" in words
    assert stack.ledger() == before


def test_a_topic_that_is_deleted_stops_the_worker(stack: Stack, worker: Process, admin: kafka.AdminClient) -> None:
    before = stack.ledger()
    admin.delete_topics([TOPIC])[TOPIC].result(SECONDS)
    assert "does not exist" in last_words(worker)
    assert stack.ledger() == before


def test_a_topic_that_is_made_again_stops_the_worker_within_seconds(
    stack: Stack, worker: Process, admin: kafka.AdminClient
) -> None:
    worker.pause()
    admin.delete_topics([TOPIC])[TOPIC].result(SECONDS)
    wait_for(lambda: TOPIC not in admin.list_topics(timeout=10).topics, "the topic to be gone", within=SECONDS)
    ensure(stack.bootstrap, specs(stack.catalogue))
    send(stack.bootstrap, [of_event(hour(at)) for at in range(8)])
    worker.resume()
    assert "not the one that the ledger speaks of" in last_words(worker)
