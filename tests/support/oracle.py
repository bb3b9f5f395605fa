"""What the day totals must be: plain, slow and obviously right, written from the rules' words and nobody's code.

Values and bases are whole ticks (ten-thousandths), never floats. What comes out is one dictionary from (bucket,
indicator, area, breakdown) to `Total`, exact in every column.
"""

import csv
import dataclasses
import datetime as dt
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

NATION = "VN"
TOTAL = "_T"
STATUS_ORDER = "IEPFBA"
PERIOD = re.compile(
    r"(?P<year>\d{4})"
    r"(-Q(?P<quarter>[1-4])|-S(?P<half>[12])|-(?P<month>\d\d)(-(?P<day>\d\d)(T(?P<hour>\d\d):00:00/PT(?P<hours>[16])H)?)?)?"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """One accepted statement. ``value`` and ``base`` are ticks; ``value`` is None exactly when ``status`` is M."""

    indicator: str
    area: str
    breakdown: str
    time_period: str
    value: int | None
    base: int | None = None
    status: str = "A"
    revision: int = 0
    offset: int = 0

    @property
    def version(self) -> tuple[int, int]:
        """Highest wins; an indicator lives in one partition, so offsets compare."""
        return self.revision, self.offset


@dataclasses.dataclass(frozen=True, slots=True)
class Total:
    """One row of day_totals without its key; ``value``, ``min`` and ``max`` are ticks or None."""

    value: int | None
    min: int | None
    max: int | None
    areas_reported: int
    areas_expected: int
    cells: int
    status: str
    flags: tuple[str, ...] = ()


Key = tuple[dt.date, str, str, str]
Line = tuple[dt.date, str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Book:
    """The rows of a catalogue folder as they stand in its files: indicators by code, all areas."""

    indicators: Mapping[str, Mapping[str, str]]
    areas: tuple[Mapping[str, str], ...]

    def provinces(self, bucket: dt.date) -> dict[str, str]:
        """Name the provinces in force on ``bucket`` with their parents; before the first map, the first applies."""
        provinces = [area for area in self.areas if area["level"] == "province"]
        first = min(day_of(area["valid_from"], dt.date.min) for area in provinces)
        day = max(bucket, first)
        return {
            area["code"]: area["parent"]
            for area in provinces
            if day_of(area["valid_from"], dt.date.min) <= day < day_of(area["valid_to"], dt.date.max)
        }


def read_book(folder: Path) -> Book:
    """Read what the totals need of a catalogue folder."""
    areas = rows(folder / "areas.csv") + rows(folder / "areas_2025.csv")
    return Book({row["code"]: row for row in rows(folder / "indicators.csv")}, tuple(areas))


def rows(path: Path) -> list[dict[str, str]]:
    """Read a CSV with a header."""
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def day_of(text: str, missing: dt.date) -> dt.date:
    """Read a date of the catalogue; an empty one is open."""
    return dt.date.fromisoformat(text) if text else missing


def bucket_and_slot(time_period: str) -> tuple[dt.date, int]:
    """Tell under which date a period is aggregated and where in that day it lies (0 but for hours)."""
    found = PERIOD.fullmatch(time_period)
    if found is None:
        raise ValueError(time_period)
    part = {name: int(text) for name, text in found.groupdict().items() if text is not None}
    if "quarter" in part:
        return dt.date(part["year"], 3 * part["quarter"] - 2, 1), 0
    if "half" in part:
        return dt.date(part["year"], 6 * part["half"] - 5, 1), 0
    bucket = dt.date(part["year"], part.get("month", 1), part.get("day", 1))
    return bucket, part.get("hour", 0) // part.get("hours", 1)


@dataclasses.dataclass(frozen=True, slots=True)
class Own:
    """What an area's own statements in one line reduce to: ``entered`` are those that make the value."""

    value: int | None
    base: int
    cells: int
    entered: tuple[Statement, ...]


def reduce(kind: str, slots: Mapping[int, Statement]) -> Own:
    """Reduce the newest statements of one area in one line: a flow adds its slots, all else takes its last value."""
    valued = [slots[slot] for slot in sorted(slots) if slots[slot].value is not None]
    if not valued:
        return Own(None, 0, 0, ())
    entered = valued if kind == "flow" else valued[-1:]
    value = sum(statement.value for statement in entered if statement.value is not None)
    return Own(value, sum(statement.base or 0 for statement in entered), len(valued), tuple(entered))


def roll_up(area_rollup: str, provinces: list[Own]) -> int | None:
    """Make one value of the provinces' values: exact, rounded once, half to even."""
    given = [own for own in provinces if own.value is not None]
    if not given or area_rollup == "none":
        return None
    values = [own.value or 0 for own in given]
    if area_rollup == "sum":
        return sum(values)
    if area_rollup == "mean":
        return round(Fraction(sum(values), len(values)))
    bases = [own.base for own in given]
    return round(Fraction(sum(value * base for value, base in zip(values, bases, strict=True)), sum(bases)))


def status_of(entered: Iterable[Statement]) -> str:
    """Name the first of I E P F B A among the statements that entered; M when there is none."""
    found = {statement.status for statement in entered}
    return next((status for status in STATUS_ORDER if status in found), "M")


def own_row(own: Own, reported: int, expected: int, *, spread: bool) -> Total:
    """Write the row of an area that speaks for itself; ``spread`` gives it a min and a max."""
    edge = own.value if spread else None
    return Total(own.value, edge, edge, reported, expected, own.cells, status_of(own.entered))


def rolled_row(area_rollup: str, provinces: list[Own], expected: int) -> Total:
    """Write the row of a region or of VN from the provinces there of which something was said."""
    values = [own.value for own in provinces if own.value is not None]
    return Total(
        value=roll_up(area_rollup, provinces),
        min=min(values, default=None),
        max=max(values, default=None),
        areas_reported=len(values),
        areas_expected=expected,
        cells=sum(own.cells for own in provinces),
        status=status_of(statement for own in provinces for statement in own.entered),
    )


def line_rows(indicator: Mapping[str, str], in_force: Mapping[str, str], owns: Mapping[str, Own]) -> dict[str, Total]:
    """Write the rows of one line by area, without flags."""
    nation = owns.get(NATION)
    if indicator["geography"] == "nation":
        assert nation is not None
        return {NATION: own_row(nation, int(nation.value is not None), 1, spread=True)}
    provinces = {area: own for area, own in owns.items() if area != NATION}
    reported = sum(own.value is not None for own in provinces.values())
    written = {area: own_row(own, int(own.value is not None), 1, spread=True) for area, own in provinces.items()}
    if indicator["area_rollup"] == "none":
        if nation is not None:
            written[NATION] = own_row(nation, reported, len(in_force), spread=False)
        return written
    for region in {in_force[area] for area in provinces} - {NATION}:
        inside = [own for area, own in provinces.items() if in_force[area] == region]
        expected = sum(parent == region for parent in in_force.values())
        written[region] = rolled_row(indicator["area_rollup"], inside, expected)
    if nation is not None and nation.value is not None:
        written[NATION] = own_row(nation, reported, len(in_force), spread=False)
    else:
        written[NATION] = rolled_row(indicator["area_rollup"], list(provinces.values()), len(in_force))
    return written


def sum_mismatch(
    book: Book, line: Line, lines: Mapping[Line, Mapping[str, Total]], owns: Mapping[Line, Mapping[str, Own]]
) -> bool:
    """Tell whether VN's own value contradicts its provinces, or a full dimension contradicts the total."""
    bucket, code, _ = line
    indicator = book.indicators[code]
    total = lines[line][NATION].value
    if indicator["geography"] == "province":
        in_force = book.provinces(bucket)
        stated = owns[line].get(NATION)
        values = [own.value for area in in_force if (own := owns[line].get(area)) and own.value is not None]
        if stated and stated.value is not None and len(values) == len(in_force) and stated.value != sum(values):
            return True
    dimensions: dict[str, list[str]] = {}
    for breakdown in filter(None, indicator["breakdowns"].split(";")):
        dimensions.setdefault(breakdown.split(":")[0], []).append(breakdown)
    for breakdowns in dimensions.values():
        parts = [rows[NATION].value for b in breakdowns if (rows := lines.get((bucket, code, b))) is not None]
        known = [part for part in parts if part is not None]
        if total is not None and len(known) == len(breakdowns) and sum(known) != total:
            return True
    return False


def not_monotone(line: Line, lines: Mapping[Line, Mapping[str, Total]], history: Iterable[dt.date]) -> bool:
    """Tell whether a cumulative figure fell below the previous bucket of its year that has one."""
    bucket, code, breakdown = line
    total = lines[line][NATION].value
    for earlier in sorted((day for day in history if day < bucket and day.year == bucket.year), reverse=True):
        before = lines[earlier, code, breakdown][NATION].value
        if before is not None:
            return total is not None and total < before
    return False


def newest_by_line(statements: Iterable[Statement]) -> dict[Line, dict[str, dict[int, Statement]]]:
    """Keep the highest version of each cell, arranged by line, area and slot."""
    newest: dict[tuple[str, str, str, str], Statement] = {}
    for statement in statements:
        cell = (statement.indicator, statement.area, statement.breakdown, statement.time_period)
        if cell not in newest or statement.version >= newest[cell].version:
            newest[cell] = statement
    said: dict[Line, dict[str, dict[int, Statement]]] = {}
    for statement in newest.values():
        bucket, slot = bucket_and_slot(statement.time_period)
        line = (bucket, statement.indicator, statement.breakdown)
        said.setdefault(line, {}).setdefault(statement.area, {})[slot] = statement
    return said


def totals(statements: Iterable[Statement], book: Book) -> dict[Key, Total]:
    """Compute every row of day_totals that these accepted statements, in any order, any number of times, amount to."""
    owns: dict[Line, dict[str, Own]] = {}
    lines: dict[Line, dict[str, Total]] = {}
    history: dict[str, list[dt.date]] = {}
    maps: dict[dt.date, dict[str, str]] = {}
    for line, areas in newest_by_line(statements).items():
        bucket, code, breakdown = line
        if bucket not in maps:
            maps[bucket] = book.provinces(bucket)
        indicator = book.indicators[code]
        owns[line] = {area: reduce(indicator["kind"], slots) for area, slots in areas.items()}
        lines[line] = line_rows(indicator, maps[bucket], owns[line])
        if breakdown == TOTAL:
            history.setdefault(code, []).append(bucket)

    written: dict[Key, Total] = {}
    for line, areas_of_line in lines.items():
        bucket, code, breakdown = line
        flags: list[str] = []
        if breakdown == TOTAL and book.indicators[code]["area_rollup"] == "sum":
            if sum_mismatch(book, line, lines, owns):
                flags.append("SUM_MISMATCH")
            if book.indicators[code]["kind"] == "cumulative" and not_monotone(line, lines, history[code]):
                flags.append("NOT_MONOTONE")
        for area, total in areas_of_line.items():
            written[bucket, code, area, breakdown] = dataclasses.replace(total, flags=tuple(flags))
    return written
