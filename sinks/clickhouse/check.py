"""Proof that nothing is lost, doubled or added up wrongly: conservation by partition, every total once more by SQL."""

import dataclasses
import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from schemas.catalogue import Catalogue
from sinks.clickhouse.client import Client
from sinks.clickhouse.conservation import LEDGER, Partition, conservation
from sinks.clickhouse.literals import texts
from sinks.clickhouse.recompute import EPOCH, SETTINGS, statement

CHUNK_ROWS = 1_000_000  # what one comparison reads at most, unless a single indicator has more
SHOWN = 1_000  # differences kept of one comparison; the rest is only counted
SETTLE_SECONDS = 5.0  # how long a running worker may take to write the totals of what it has inserted
SETTLE_AHEAD_SECONDS = 30.0  # the same in a replay, where rows are stored long before the ledger passes them
SETTLE_PAUSE = 0.1
AHEAD = """
SELECT count()
FROM (SELECT topic, partition, max(offset) AS last FROM observations GROUP BY topic, partition) AS stored
JOIN (SELECT topic, partition, next_offset FROM ledger FINAL) AS passed USING (topic, partition)
WHERE last >= next_offset
"""
COLUMNS = ("value", "min", "max", "areas_reported", "areas_expected", "cells", "status", "flags")
SIZES = """
SELECT indicator, sum(rows) FROM
(
    SELECT toString(indicator) AS indicator, count() AS rows FROM observations GROUP BY indicator
    UNION ALL
    SELECT toString(indicator), count() FROM day_totals GROUP BY indicator
)
GROUP BY indicator ORDER BY indicator
"""
COMPARE = """
SELECT bucket, indicator, breakdown, area, {columns}, sum(side) AS sides,
    uniqExact(bucket, indicator, breakdown, area) OVER () AS differing
FROM
(
    SELECT bucket, toString(indicator) AS indicator, toString(breakdown) AS breakdown, toString(area) AS area,
        {columns}, toInt8(1) AS side
    FROM ({recomputed})
    UNION ALL
    SELECT bucket, toString(indicator), toString(breakdown), toString(area),
        value, min, max, areas_reported, areas_expected, cells, toString(status), flags, toInt8(-1)
    FROM day_totals FINAL
    WHERE {kept}
)
GROUP BY bucket, indicator, breakdown, area, {columns}
HAVING sides != 0
ORDER BY bucket, indicator, breakdown, area, sides DESC
LIMIT {limit}
"""
ORPHANS = """
SELECT bucket, indicator, breakdown, area FROM day_totals FINAL
WHERE indicator NOT IN {known} AND indicator NOT IN (SELECT indicator FROM observations WHERE indicator NOT IN {known})
ORDER BY ALL LIMIT {limit}
"""
FOREIGN = (
    "SELECT indicator, count() FROM observations WHERE indicator NOT IN {known} GROUP BY indicator ORDER BY indicator"
)

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One total that is not what the observations amount to; ``column`` is "row" when it is missing or too much."""

    bucket: str
    indicator: str
    breakdown: str
    area: str
    column: str
    expected: str
    found: str


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What the check found: ``differing`` counts the totals at fault, ``differences`` shows the first of them."""

    partitions: tuple[Partition, ...]
    totals: int
    differing: int
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    seconds: float

    @property
    def clean(self) -> bool:
        """Tell whether nothing at all is wrong."""
        return not self.differing and not any(partition.faults for partition in self.partitions)

    def as_json(self) -> dict[str, object]:
        """Give it as JSON types."""
        partitions = [{**dataclasses.asdict(one), "faults": list(one.faults)} for one in self.partitions]
        return {"clean": self.clean, **dataclasses.asdict(self), "partitions": partitions}


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """What one comparison found: ``count`` totals that differ, ``found`` the differences of the first of them."""

    count: int
    found: list[Difference]

    @property
    def whole(self) -> bool:
        """Tell whether nothing was only counted."""
        return len({_place(difference) for difference in self.found}) == self.count


def check(client: Client, catalogue: Catalogue, progress: Progress | None = None) -> Report:
    """Check the client's database; ``progress`` hears rows done and rows to do. Raises Retry or Fatal."""
    began = time.monotonic()
    stood = sorted(client.query(LEDGER))
    partitions = conservation(client)
    known = texts(catalogue.by_code)
    sizes = {code: rows for code, rows in client.query(SIZES) if code in catalogue.by_code}
    differing, differences = _orphans(client, known)
    done, every = 0, sum(sizes.values())
    for codes in chunks(sizes):
        look = _compare(client, catalogue, codes)
        if look.count:
            ahead = client.query(AHEAD, settings=SETTINGS)[0][0] > 0
            if ahead or sorted(client.query(LEDGER)) != stood:
                seconds = SETTLE_AHEAD_SECONDS if ahead else SETTLE_SECONDS
                look = _settled(client, catalogue, codes, look, seconds)
        differing += look.count
        differences += look.found
        done += sum(sizes[code] for code in codes)
        if progress is not None:
            progress(done, every)
    totals = client.query("SELECT count() FROM day_totals FINAL")[0][0]
    foreign = client.query(FOREIGN.format(known=known), settings=SETTINGS)
    notes = tuple(f"{code}: {rows} rows of an indicator that this catalogue does not know" for code, rows in foreign)
    return Report(partitions, totals, differing, tuple(differences), notes, round(time.monotonic() - began, 3))


def chunks(sizes: dict[str, int], limit: int = CHUNK_ROWS) -> Iterator[list[str]]:
    """Put indicators together until they have ``limit`` rows."""
    chunk: list[str] = []
    rows = 0
    for code, size in sizes.items():
        if chunk and rows + size > limit:
            yield chunk
            chunk, rows = [], 0
        chunk.append(code)
        rows += size
    if chunk:
        yield chunk


def _compare(client: Client, catalogue: Catalogue, codes: Sequence[str], days: Sequence[int] | None = None) -> Look:
    """Recompute the lines of ``codes`` and set them against the table, both ways."""
    kept = f"indicator IN {texts(codes)}"
    if days is not None:
        kept += f" AND toInt32(bucket) IN ({', '.join(map(str, days)) or '-1'})"
    sql = COMPARE.format(
        columns=", ".join(COLUMNS),
        recomputed=statement(catalogue, indicators=codes, days=days),
        kept=kept,
        limit=2 * SHOWN,
    )
    sides: dict[tuple[Any, ...], dict[int, tuple[Any, ...]]] = {}
    rows = client.query(sql, settings=SETTINGS)
    for row in rows:
        sides.setdefault(row[:4], {})[row[-2]] = row[4:-2]
    if len(rows) == 2 * SHOWN:
        sides.popitem()  # the limit may have cut its other side off
    found = [
        difference
        for (bucket, *place), both in sides.items()
        for difference in differences((str(bucket), *place), both.get(1), both.get(-1))
    ]
    return Look(rows[0][-1] if rows else 0, found)


def differences(
    place: tuple[str, ...], expected: Sequence[Any] | None, found: Sequence[Any] | None
) -> Iterator[Difference]:
    """Set two rows against each other, column by column in the order of COLUMNS; None is no row.

    ``place`` is bucket, indicator, breakdown and area.
    """
    bucket, indicator, breakdown, area = place
    if expected is None or found is None:
        there = ("no row" if row is None else "a row" for row in (expected, found))
        yield Difference(bucket, indicator, breakdown, area, "row", *there)
        return
    for name, should, does in zip(COLUMNS, expected, found, strict=True):
        if should != does:
            yield Difference(bucket, indicator, breakdown, area, name, _shown(should), _shown(does))


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "null" if value is None else str(value)


def _settled(client: Client, catalogue: Catalogue, codes: Sequence[str], look: Look, seconds: float) -> Look:
    """Look again while a worker is writing: its totals come a moment after its observations.

    What is wrong stays as it is; what was only late changes. So a difference counts when every look, until the
    deadline, finds the same wrong figure in the same place. Of what was only counted nobody knows: when all that was
    shown has changed, all of ``codes`` are compared anew. At the deadline, what the last such look counted stands.
    """
    deadline = time.monotonic() + seconds
    found = look.found
    while (found or not look.whole) and time.monotonic() < deadline:
        time.sleep(SETTLE_PAUSE)
        if found:
            found = _still(client, catalogue, found)
        if not found and not look.whole:
            look = _compare(client, catalogue, codes)
            found = look.found
    return Look(len({_place(difference) for difference in found}) if look.whole else look.count, found)


def _still(client: Client, catalogue: Catalogue, found: list[Difference]) -> list[Difference]:
    """Keep the differences that are there as before."""
    codes = sorted({difference.indicator for difference in found})
    days = sorted({(dt.date.fromisoformat(difference.bucket) - EPOCH).days for difference in found})
    look = _compare(client, catalogue, codes, days)
    again = {_wrong(difference) for difference in look.found}
    # Those behind the last that this look shows may be among those that it only counts.
    last = max(map(_place, look.found), default=())
    return [one for one in found if _wrong(one) in again or (not look.whole and _place(one) > last)]


def _place(difference: Difference) -> tuple[str, ...]:
    """Name the total; in the order of COMPARE."""
    return difference.bucket, difference.indicator, difference.breakdown, difference.area


def _wrong(difference: Difference) -> tuple[str, ...]:
    """Name place and wrong figure of a difference, but not what it should be: that moves with the observations."""
    return *_place(difference), difference.column, difference.found


def _orphans(client: Client, known: str) -> tuple[int, list[Difference]]:
    """Find totals of indicators that neither the catalogue nor any observation knows."""
    rows = client.query(ORPHANS.format(known=known, limit=SHOWN), settings=SETTINGS)
    found = [
        Difference(str(bucket), indicator, breakdown, area, "row", "no row", "a row")
        for bucket, indicator, breakdown, area in rows
    ]
    return len(rows), found
