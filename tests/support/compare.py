"""Hold what the database says against what a workload knows must be there."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

from tests.support import daily_topic, oracle
from tests.support.figures import Place
from tests.support.stack import Stack
from tests.support.workload import Workload

SHOWN = 5


def stored_totals(stack: Stack) -> dict[oracle.Key, oracle.Total]:
    """Read day_totals, in ticks."""
    rows = stack.query(
        "SELECT toString(bucket), indicator, area, breakdown, toString(value), toString(min), toString(max),"
        " areas_reported, areas_expected, cells, status, flags FROM day_totals FINAL"
    )
    return {
        (dt.date.fromisoformat(row[0]), row[1], row[2], row[3]): oracle.Total(
            ticks(row[4]), ticks(row[5]), ticks(row[6]), row[7], row[8], row[9], row[10], tuple(row[11])
        )
        for row in rows
    }


def ticks(decimal: str | None) -> int | None:
    """Turn the database's decimal text into ticks."""
    return None if decimal is None else int(Decimal(decimal) * 10_000)


def stored_rejects(stack: Stack) -> dict[Place, dict[int, str]]:
    """Read the reason of every refused offset."""
    found: dict[Place, dict[int, str]] = {}
    for topic, partition, offset, reason in stack.query("SELECT topic, partition, offset, reason FROM rejected FINAL"):
        found.setdefault((topic, partition), {})[offset] = reason
    return found


def differences(stack: Stack, workload: Workload, catalogue: Path) -> list[str]:
    """Name what differs from the independent count: ledger, verdicts, statements, totals, the last of each line."""
    found = []
    ledger = {place: row for place, row in stack.ledger().items() if row[0]}
    expected = {
        place: (end, workload.accepted[place], end - workload.accepted[place], 0)
        for place, end in workload.ends.items()
    }
    if ledger != expected:
        found.append(f"ledger {ledger}, expected {expected}")
    ends = {place: end for place, end in stack.ends().items() if end}
    if ends != workload.ends:
        found.append(f"ends of the log {ends}, sent {workload.ends}")
    verdicts = stored_rejects(stack)
    for place in workload.ends:
        there, known = verdicts.get(place, {}), workload.rejected.get(place, {})
        wrong = sorted(offset for offset in there.keys() | known.keys() if there.get(offset) != known.get(offset))
        found += [f"{place} {offset}: {there.get(offset)}, expected {known.get(offset)}" for offset in wrong[:SHOWN]]
    rows = stack.query(
        "SELECT topic, partition, uniqExact(offset), count() FROM observations FINAL GROUP BY topic, partition"
    )
    counts = {(topic, partition): (offsets, count) for topic, partition, offsets, count in rows}
    if counts != {place: (count, count) for place, count in workload.accepted.items()}:
        found.append(f"observations {counts}, expected {workload.accepted}")
    totals = workload.totals(catalogue)
    found += different_totals(stored_totals(stack), totals)
    published = daily_topic.differences(daily_topic.read(stack.bootstrap), totals)
    return found + published[:SHOWN] + ([f"{len(published)} lines of gris.daily differ"] if published else [])


def different_totals(there: dict[oracle.Key, oracle.Total], known: dict[oracle.Key, oracle.Total]) -> list[str]:
    """Count the totals that differ, and name some."""
    wrong = sorted(key for key in there.keys() | known.keys() if there.get(key) != known.get(key))
    if not wrong:
        return []
    named = [f"{key}: {there.get(key)}, expected {known.get(key)}" for key in wrong[:SHOWN]]
    return [f"{len(wrong)} of {len(known)} totals differ", *named]
