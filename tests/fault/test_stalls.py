"""What stands still for longer than its session goes on where the ledger is: nothing lost, doubled or overtaken."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compare import differences
from tests.support.small_catalogue import write_catalogue
from tests.support.stack import Process, Stack, running_stack
from tests.support.wait import wait_for
from tests.support.workload import Workload, publish

EVENTS = 80_000
SMALL_FLUSHES = {"GRIS_BLOCK_EVENTS": "2000", "GRIS_FLUSH_ROWS": "5000"}
STALL = 15.0  # seconds: longer than a member's session and than a transaction may last


@pytest.fixture
def workload() -> Workload:
    return Workload(EVENTS, days=30)


@pytest.fixture
def stack(tmp_path: Path, workload: Workload) -> Iterator[Stack]:
    """Run broker and database on the small catalogue, with the whole stream in the log."""
    with running_stack(tmp_path, write_catalogue(tmp_path / "catalogue")) as running:
        publish(workload, running.bootstrap)
        yield running


def wait_until_stored(stack: Stack, records: int) -> None:
    wait_for(lambda: stack.stored() >= records, f"{records} records to be stored", within=120, every=0.02)
    assert stack.stored() < EVENTS, "too late to prove anything"


def prove(stack: Stack, workload: Workload, worker: Process) -> None:
    """Hold the end against the independent count and the system's own check."""
    stack.wait_caught_up(alive=[worker])
    found = differences(stack, workload, stack.folder / "catalogue")
    assert not found, "\n".join(found)
    stack.run("check")


def stall(pid: int) -> None:
    """Let a process stand still for a while; here the time itself is what is tried."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(STALL)
    os.kill(pid, signal.SIGCONT)


def test_a_broker_that_stalls_costs_nothing(stack: Stack, workload: Workload) -> None:
    worker = stack.worker(settings=SMALL_FLUSHES)
    wait_until_stored(stack, EVENTS // 10)
    pid = stack.kafka.service.pid()
    assert pid is not None
    stall(pid)
    prove(stack, workload, worker)


def test_a_worker_that_stalls_goes_on_where_the_ledger_is(stack: Stack, workload: Workload) -> None:
    worker = stack.worker(settings=SMALL_FLUSHES)
    wait_until_stored(stack, EVENTS // 10)
    stall(worker.pid)
    prove(stack, workload, worker)


def test_a_worker_that_wakes_after_another_took_over_overtakes_nothing(stack: Stack, workload: Workload) -> None:
    zombie = stack.worker("worker-1", SMALL_FLUSHES)
    wait_until_stored(stack, EVENTS // 10)
    zombie.pause()
    heir = stack.worker("worker-2", SMALL_FLUSHES)
    wait_until_stored(stack, EVENTS // 3)
    zombie.resume()
    prove(stack, workload, heir)
    assert zombie.stop() == 0, zombie.tail()
