"""A deploy that refuses nearly everything stops the worker before it is stored; one agency's garbage does not."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compare import differences
from tests.support.figures import EVENTS
from tests.support.sending import Record, send
from tests.support.small_catalogue import write_catalogue
from tests.support.stack import Process, Stack, running_stack
from tests.support.wait import wait_for
from tests.support.workload import Workload, publish

OUT_OF_REACH = "9999999998"
# So that nothing is flushed before enough is judged: what a flush may have stored by then is another test's matter.
LATE_FLUSHES = {"GRIS_FLUSH_MS": "60000", "GRIS_REPLAY_FLUSH_MS": "60000"}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with running_stack(tmp_path, write_catalogue(tmp_path / "catalogue")) as running:
        yield running


@pytest.fixture
def narrow(tmp_path: Path) -> str:
    """Write the same catalogue with bounds that no figure meets."""
    file = write_catalogue(tmp_path / "narrow") / "indicators.csv"
    header, *rows = csv.reader(file.read_text(encoding="utf-8").splitlines())
    for row in rows:
        row[header.index("min")] = row[header.index("max")] = OUT_OF_REACH
    with file.open("w", encoding="utf-8", newline="") as written:
        csv.writer(written, lineterminator="\n").writerows([header, *rows])
    return str(file.parent)


def wait_until_it_stops(worker: Process) -> str:
    """Wait for a worker to stop by itself; answers its last words."""
    wait_for(lambda: not worker.alive(), "the worker to stop", within=60)
    assert worker.stop() == 1, worker.tail()
    return worker.tail()


def test_a_catalogue_that_narrows_everything_stops_the_worker_with_nothing_stored(stack: Stack, narrow: str) -> None:
    workload = Workload(12_000, days=30)
    publish(workload, stack.bootstrap)
    said = wait_until_it_stops(stack.worker(ready=False, GRIS_CATALOGUE=narrow, **LATE_FLUSHES))
    for needed in ("refused nearly all events of 3 agencies", "GRIS_CATALOGUE", "GRIS_GUARD_RATIO=0", "gris replay"):
        assert needed in said
    assert stack.ledger() == {}
    for table in ("observations", "rejected", "day_totals"):
        assert stack.query(f"SELECT count() FROM {table}") == [[0]], table

    worker = stack.worker()
    stack.wait_caught_up(alive=[worker])
    assert differences(stack, workload, Path(stack.environment["GRIS_CATALOGUE"])) == []
    stack.run("check")


def test_what_was_flushed_before_it_trips_is_a_whole_prefix_and_an_open_reject_each(stack: Stack, narrow: str) -> None:
    publish(Workload(12_000, days=30), stack.bootstrap)
    ends = sum(stack.ends().values())
    eager = {
        "GRIS_FLUSH_MS": "10",
        "GRIS_FLUSH_ROWS": "1000",
        "GRIS_BLOCK_EVENTS": "1000",
        "GRIS_BEHIND_EVENTS": "100000",
    }
    said = wait_until_it_stops(stack.worker(ready=False, GRIS_CATALOGUE=narrow, **eager))
    assert "GRIS_GUARD_EVENTS (1000)" in said
    stored = stack.ledger()
    assert sum(position[0] for position in stored.values()) < ends
    stack.run("check")
    refused = sum(position[2] for position in stored.values())
    assert stack.query(
        "SELECT count() FROM rejected FINAL AS r JOIN ledger FINAL AS l USING (topic, partition)"
        " WHERE offset < l.next_offset"
    ) == [[refused]]

    # The refusals are right after all: the worker goes on where the ledger stands.
    worker = stack.worker(GRIS_CATALOGUE=narrow, GRIS_GUARD_RATIO="0")
    stack.wait_caught_up(alive=[worker])
    assert sum(position[0] for position in stack.ledger().values()) == ends
    assert sum(position[2] for position in stack.ledger().values()) >= 0.9 * ends
    assert worker.stop() == 0, worker.tail()


def test_one_agency_that_sends_garbage_does_not_stop_the_worker(stack: Stack) -> None:
    worker = stack.worker(GRIS_GUARD_EVENTS="100")
    send(stack.bootstrap, [Record(f"{EVENTS}z01", b"Z01.001", b"garbage")] * 2_000)
    stack.wait_caught_up(alive=[worker])
    assert stack.ledger()[f"{EVENTS}z01", 0] == (2_000, 0, 2_000, 0)
