"""A deploy that refuses nearly everything stops the worker before it is stored; one agency's garbage does not."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compare import differences
from tests.support.sending import Record, send
from tests.support.small_catalogue import write_catalogue
from tests.support.stack import Process, Stack, running_stack
from tests.support.wait import wait_for
from tests.support.workload import Workload, publish

OUT_OF_REACH = "9999999998"
# So that nothing is flushed before enough is judged: what a flush may have stored by then is another test's matter.
LATE_FLUSHES = {"GRIS_FLUSH_MS": "60000", "GRIS_REPLAY_FLUSH_MS": "60000"}
EARLY_FLUSHES = {"GRIS_FLUSH_MS": "10", "GRIS_FLUSH_ROWS": "1000", "GRIS_BLOCK_EVENTS": "1000"}
EVENTS = 16_000  # of which the smallest agency has a tenth


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("guard")
    with running_stack(folder, write_catalogue(folder / "catalogue")) as running:
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
    """Wait for a worker to stop by itself; answers its last word."""
    wait_for(lambda: not worker.alive(), "the worker to stop", within=60)
    assert worker.stop() == 1, worker.tail()
    return worker.log.read_text(encoding="utf-8").splitlines()[-1]


def stored(stack: Stack) -> tuple[int, int]:
    """Add up the ledger: records passed, and refused among them."""
    ledger = stack.ledger().values()
    return sum(position[0] for position in ledger), sum(position[2] for position in ledger)


def test_a_catalogue_that_narrows_everything_stops_the_worker_with_nothing_stored(stack: Stack, narrow: str) -> None:
    workload = Workload(EVENTS, days=30)
    publish(workload, stack.bootstrap)
    said = wait_until_it_stops(stack.worker(settings={"GRIS_CATALOGUE": narrow, **LATE_FLUSHES}, ready=False))
    for needed in ("refused nearly all events of 3 agencies", "GRIS_CATALOGUE", "GRIS_GUARD_RATIO=0", "gris replay"):
        assert needed in said
    assert stored(stack) == (0, 0)
    for table in ("observations", "rejected", "day_totals"):
        assert stack.query(f"SELECT count() FROM {table}") == [[0]], table

    worker = stack.worker()
    stack.wait_caught_up(alive=[worker])
    assert differences(stack, workload, Path(stack.environment["GRIS_CATALOGUE"])) == []
    assert worker.stop() == 0, worker.tail()


def test_what_was_flushed_before_it_trips_is_a_prefix_of_open_rejects_and_the_rest_is_unread(
    stack: Stack, narrow: str
) -> None:
    passed_before, refused_before = stored(stack)
    publish(Workload(EVENTS, seed=8, days=30), stack.bootstrap)
    said = wait_until_it_stops(stack.worker(settings={"GRIS_CATALOGUE": narrow, **EARLY_FLUSHES}, ready=False))
    assert "GRIS_GUARD_EVENTS (1000)" in said
    passed, refused = stored(stack)
    assert passed < passed_before + EVENTS
    assert stack.query(
        "SELECT count() FROM rejected AS r FINAL JOIN ledger AS l FINAL USING (topic, partition)"
        " WHERE offset < l.next_offset"
    ) == [[refused]]
    assert json.loads(stack.run("rejects", "count", "--json"))["open"] >= refused

    # The refusals are right after all: the worker goes on where the ledger stands.
    worker = stack.worker(settings={"GRIS_CATALOGUE": narrow, "GRIS_GUARD_RATIO": "0"})
    stack.wait_caught_up(alive=[worker])
    passed, refused = stored(stack)
    assert passed == passed_before + EVENTS
    assert refused - refused_before >= 0.9 * EVENTS
    assert worker.stop() == 0, worker.tail()
    stack.run("check")


def test_one_agency_that_sends_garbage_does_not_stop_the_worker(stack: Stack) -> None:
    worker = stack.worker(settings={"GRIS_GUARD_EVENTS": "100"})
    stack.wait_caught_up(alive=[worker])
    before = stored(stack)
    send(stack.bootstrap, [Record("gris.events.z01", b"Z01.001", b"garbage")] * 2_000)
    stack.wait_caught_up(alive=[worker])
    assert stored(stack) == (before[0] + 2_000, before[1] + 2_000)
