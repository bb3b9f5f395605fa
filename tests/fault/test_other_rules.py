"""A worker that dies inside a flush and comes back under other rules: the ledger divides what either of them judged."""

import csv
from pathlib import Path

import pytest

from tests.support import compare, daily_topic, oracle
from tests.support.figures import HOMES, Place
from tests.support.small_catalogue import FIGURES, write_catalogue
from tests.support.stack import running_stack
from tests.support.wait import wait_for
from tests.support.workload import Workload, publish

EVENTS = 40_000
HIGHEST = 250  # under the new rules; half of what the old ones allow
NARROWED = {figure.code for figure in FIGURES if (figure.low, figure.high) == (0, 500)}
HOME = dict(zip((figure.code for figure in FIGURES), HOMES, strict=True))
OLD_FLUSHES = {"GRIS_BLOCK_EVENTS": "2000", "GRIS_FLUSH_ROWS": "4000"}
LAST_FLUSH = {"GRIS_BLOCK_EVENTS": "5000", "GRIS_FLUSH_ROWS": "20000"}
NEW_FLUSHES = {"GRIS_BLOCK_EVENTS": "1000", "GRIS_FLUSH_ROWS": "1000"}  # shorter than what was left half-done


def narrow(folder: Path) -> None:
    """Halve the upper bound of some indicators."""
    path = folder / "indicators.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"max": HIGHEST} if row["code"] in NARROWED else row for row in rows)


def passes(statement: oracle.Statement) -> bool:
    """Tell whether the new rules accept what the old ones did."""
    narrowed = statement.indicator in NARROWED and statement.area != oracle.NATION
    return not narrowed or statement.value is None or statement.value <= HIGHEST * 10_000


@pytest.mark.parametrize("step", ["totals", "messages"])
def test_what_the_ledger_has_passed_stays_and_all_behind_it_is_judged_anew(tmp_path: Path, step: str) -> None:
    catalogue = write_catalogue(tmp_path / "catalogue")
    with running_stack(tmp_path, catalogue) as stack:
        workload = Workload(EVENTS, days=6, spoiled=0)
        publish(workload, stack.bootstrap)
        worker = stack.worker(settings=OLD_FLUSHES)
        wait_for(lambda: stack.stored() >= EVENTS // 5, "a good start under the old rules", within=60, every=0.02)
        worker.kill()
        worker = stack.worker(settings={**LAST_FLUSH, "GRIS_FAULT_STOP_AFTER": step}, ready=False)
        wait_for(lambda: not worker.alive(), f"the worker to die after {step}", within=60)
        divide: dict[Place, int] = {place: row[0] for place, row in stack.ledger().items()}
        assert sum(divide.values()) < EVENTS

        narrow(catalogue)
        worker = stack.worker(settings=NEW_FLUSHES)
        stack.wait_caught_up(alive=[worker])

        statements = list(workload.statements())
        behind = [s for s in statements if s.offset >= divide.get(HOME[s.indicator], 0)]
        refused = {(HOME[s.indicator], s.offset) for s in behind if not passes(s)}
        assert refused, "the new rules must refuse something"
        rejects = compare.stored_rejects(stack)
        assert {(place, offset) for place, offsets in rejects.items() for offset in offsets} == refused
        assert {reason for offsets in rejects.values() for reason in offsets.values()} == {"OUT_OF_RANGE"}
        kept = [s for s in statements if (HOME[s.indicator], s.offset) not in refused]
        expected = oracle.totals(kept, oracle.read_book(catalogue))
        found = compare.different_totals(compare.stored_totals(stack), expected)
        found += daily_topic.differences(daily_topic.read(stack.bootstrap), expected)[: compare.SHOWN]
        assert not found, "\n".join(found)
        stack.run("check")
