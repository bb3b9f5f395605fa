"""An agency may use transactions: what it aborted was never said, and the gaps it leaves are counted as gaps."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streams.opening import WATCH_SECONDS
from tests.support.sending import Record, of_event, send
from tests.support.stack import Process, Stack, running_stack
from tests.support.wait import wait_for
from tests.support.wire import event, frame

TOPIC = "gris.events.g01"
KEY = b"G01.001"
DAY = "2026-10-01"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run broker and database on the bundled catalogue."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def worker(stack: Stack) -> Process:
    """Run one worker."""
    return stack.worker()


def said(area: str, value: int) -> bytes:
    return frame(event("G01.001", area, DAY, value))


def lag(stack: Stack, worker: str = "worker-1") -> tuple[float | None, float | None]:
    """Ask a worker how far it is behind in the topic, in offsets and in seconds; None before it says."""
    events, seconds = (
        stack.metric(worker, f"gris_lag_{unit}", topic=TOPIC, partition="0") for unit in ("events", "seconds")
    )
    return events, seconds


def test_aborted_records_are_not_events_and_their_offsets_are_skipped(stack: Stack) -> None:
    agency = Producer({"bootstrap.servers": stack.bootstrap, "transactional.id": "agency"})
    agency.init_transactions(30)
    agency.begin_transaction()
    for area in ("01", "04", "08"):
        agency.produce(TOPIC, said(area, 10), KEY)
    agency.commit_transaction(30)
    agency.begin_transaction()
    for value in (said("01", 99), said("11", 99), b"nonsense"):
        agency.produce(TOPIC, value, KEY)
    agency.flush(30)
    agency.abort_transaction(30)
    wait_for(lambda: stack.ends()[TOPIC, 0] == 8, "the marker, which the broker writes after it has answered")
    place = send(stack.bootstrap, [of_event(event("G01.001", "12", DAY, 5))])
    assert place == [(0, 8)], "three events, a marker, three aborted, a marker, one more"

    stack.wait_caught_up()
    assert stack.ledger()[TOPIC, 0] == (9, 4, 0, 5)
    totals = stack.query(
        f"SELECT toFloat64(value), areas_reported FROM day_totals FINAL WHERE bucket = '{DAY}' AND area = 'VN'"
    )
    assert totals == [[35, 4]]
    assert stack.query("SELECT count() FROM rejected FINAL") == [[0]]
    stack.run("check")


def test_a_worker_goes_on_behind_a_gap_at_the_end_of_the_log(stack: Stack) -> None:
    before = stack.ledger()[TOPIC, 0]
    agency = Producer({"bootstrap.servers": stack.bootstrap, "transactional.id": "agency"})
    agency.init_transactions(30)
    agency.begin_transaction()
    agency.produce(TOPIC, said("14", 1), KEY)
    agency.commit_transaction(30)
    wait_for(lambda: stack.ledger()[TOPIC, 0][1] == before[1] + 1, "the event before the marker", within=60)
    stack.run("check")
    wait_for(lambda: lag(stack) == (0, 0), "nothing that can be read is left, so nothing lags")
    looked = wait_for(lambda: lag(stack), "the lag")
    seen = time.monotonic() + 2 * WATCH_SECONDS
    while time.monotonic() < seen:  # whatever the watch of the logs' ends makes of it
        assert lag(stack) == looked == (0, 0)
        time.sleep(0.2)


def test_a_worker_that_starts_behind_aborted_records_does_not_lag(stack: Stack) -> None:
    agency = Producer({"bootstrap.servers": stack.bootstrap, "transactional.id": "agency"})
    agency.init_transactions(30)
    agency.begin_transaction()
    for value in (said("01", 99), said("11", 99)):
        agency.produce(TOPIC, value, KEY)
    agency.flush(30)
    before = stack.ledger()[TOPIC, 0]
    assert stack.ends()[TOPIC, 0] > before[0] + 2
    agency.abort_transaction(30)
    again = stack.worker("worker-2")
    wait_for(
        lambda: (0, 0) in (lag(stack), lag(stack, "worker-2")), "one of the two to say that nothing lags", within=60
    )
    assert stack.ledger()[TOPIC, 0] == before
    assert again.stop() == 0, again.tail()
    send(stack.bootstrap, [of_event(event("G01.001", "15", DAY, 1))])
    stack.wait_caught_up()
    next_offset, accepted, rejected, skipped = stack.ledger()[TOPIC, 0]
    assert (accepted, rejected) == (before[1] + 1, 0)
    assert next_offset == accepted + rejected + skipped
    stack.run("check")


@pytest.mark.parametrize("commits", [True, False])
def test_whoever_waits_for_the_worker_waits_for_nothing_that_cannot_be_read(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, commits: bool
) -> None:
    monkeypatch.setenv("GRIS_DATA", str(tmp_path))
    send(stack.bootstrap, [Record(TOPIC, b"another key", said("15", 1), partition=0)])
    stack.wait_caught_up()
    before = stack.ledger()[TOPIC, 0]
    agency = Producer({"bootstrap.servers": stack.bootstrap, "transactional.id": "agency", "batch.num.messages": 50})
    agency.init_transactions(30)
    agency.begin_transaction()
    for value in range(300):  # more than are looked at first
        agency.produce(TOPIC, said("14", value % 100), KEY)
    agency.flush(30)
    assert not_stored(stack) == 0, "nobody can read it yet"
    undecided = stack.ends()[TOPIC, 0]
    if commits:
        agency.commit_transaction(30)
    else:
        agency.abort_transaction(30)
    wait_for(lambda: stack.ends()[TOPIC, 0] == undecided + 1, "the marker", within=60)
    stack.wait_caught_up()
    next_offset, accepted, _, _ = stack.ledger()[TOPIC, 0]
    assert accepted == before[1] + 300 * commits
    assert stack.ends()[TOPIC, 0] > next_offset, "the log must end in what is never delivered"
    assert not_stored(stack) == 0
    stack.run("rebuild", "events", "--into", f"again_{commits}")
    stack.run("replay", "--reason", "KEY_MISMATCH", "--wait", "30")
    assert stack.ledger()[TOPIC, 0][1] == accepted + 1
    assert not_stored(stack) == 0


def test_what_a_worker_has_not_read_is_counted(
    stack: Stack, worker: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIS_DATA", str(tmp_path))
    assert worker.stop() == 0
    before = stack.ledger()[TOPIC, 0][0]
    assert committed(stack) == before, "lag tools see where it stopped"
    begins = stack.ends()[TOPIC, 0]
    agency = Producer({"bootstrap.servers": stack.bootstrap, "transactional.id": "agency"})
    agency.init_transactions(30)
    agency.begin_transaction()
    agency.produce(TOPIC, said("14", 1), KEY)
    agency.commit_transaction(30)
    wait_for(lambda: stack.ends()[TOPIC, 0] == begins + 2, "the marker")
    (_, end), *_ = send(stack.bootstrap, [of_event(event("G01.001", "15", DAY, 2))])
    agency.begin_transaction()
    agency.produce(TOPIC, said("14", 3), KEY)
    agency.flush(30)
    agency.abort_transaction(30)
    wait_for(lambda: stack.ends()[TOPIC, 0] == end + 3, "one aborted, and the marker", within=60)
    assert not_stored(stack) == end + 1 - before


def committed(stack: Stack) -> int:
    """Ask the broker how far the workers' group is."""
    asking = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": "gris"})
    (found,) = asking.committed([TopicPartition(TOPIC, 0)], timeout=30)
    asking.close()
    return int(found.offset)


def not_stored(stack: Stack) -> int:
    """Ask `gris status`, which exits with 1: the worker here is not one of `gris up`; again where it does not know."""

    def asked() -> tuple[int, ...]:
        found: int | None = json.loads(stack.run("status", "--json", code=1))["events_not_stored"]
        return () if found is None else (found,)

    (known,) = wait_for(asked, "broker and database to answer `gris status` in time")
    return known
