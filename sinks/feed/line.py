"""A line of the daily report: what a (bucket, indicator, breakdown) amounts to now, and its JSON text.

The same text serves the report and the stream, whether the line came from day_totals or from gris.daily. Figures travel
as ticks (ten-thousandths) and are written digit by digit: no float ever holds one.
"""

import datetime as dt
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from schemas.catalogue import NATION, Catalogue, Indicator
from schemas.codec import decode_line_in_ticks
from schemas.period import Frequency, Period, PeriodError

MISSING = "M"
TICK_DECIMALS = 4
EPOCH = dt.date(1970, 1, 1).toordinal()
FIRST_DAY, LAST_DAY = (date.toordinal() - EPOCH for date in (dt.date.min, dt.date.max))
DAY_MS = 24 * 60 * 60 * 1000

FIELDS = (
    "indicator",
    "bucket",
    "time_period",
    "breakdown",
    "value",
    "unit",
    "status",
    "flags",
    "version",
    "updated_at",
    "areas_reported",
    "areas_expected",
    "areas",
)


class AreaTotal(NamedTuple):
    """One area's row of a line; ``value``, ``low`` (min) and ``high`` (max) are ticks, None when not reported."""

    area: str
    value: int | None
    low: int | None
    high: int | None
    areas_reported: int
    areas_expected: int
    cells: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line with every row it has; ``day`` is the bucket in days since 1970-01-01, ``updated_at`` ms since the epoch.

    ``status`` and ``flags`` are VN's; the status is M when the line has no row for VN (an index without a roll-up).
    """

    day: int
    indicator: str
    breakdown: str
    version: int
    updated_at: int
    status: str
    flags: tuple[str, ...]
    areas: tuple[AreaTotal, ...]


@dataclass(frozen=True, slots=True)
class LineText:
    """A line as JSON: whole, and in pieces, one per field but ``areas``, and one per area in the map's order."""

    fields: Mapping[str, str]
    areas: Mapping[str, str]
    whole: str = field(repr=False)

    def select(self, fields: Sequence[str] | None, areas: Iterable[str] | None) -> str:
        """Give the object with only these fields (None: all of them) and only these areas (None: all of them)."""
        if fields is None and areas is None:
            return self.whole
        kept = self.areas.values() if areas is None else [self.areas[code] for code in areas if code in self.areas]
        return _object(self.fields, kept, FIELDS if fields is None else fields)


def number(ticks: int | None, decimals: int) -> str:
    """Write ticks as a JSON number with exactly ``decimals`` (0..4) decimals, rounded half to even; null for None."""
    if ticks is None:
        return "null"
    step = 10 ** (TICK_DECIMALS - decimals)
    whole, rest = divmod(abs(ticks), step)
    if rest * 2 > step or (rest * 2 == step and whole % 2):
        whole += 1
    sign = "-" if ticks < 0 and whole else ""
    if not decimals:
        return f"{sign}{whole}"
    units, part = divmod(whole, 10**decimals)
    return f"{sign}{units}.{part:0{decimals}}"


def exact(ticks: int | None) -> str:
    """Write ticks as a JSON number with no decimals more than it needs; null for None."""
    text = number(ticks, TICK_DECIMALS)
    return text.rstrip("0").rstrip(".") if ticks is not None else text


def instant(milliseconds: int) -> str:
    """Write milliseconds since the epoch as ``2026-11-23T05:00:00.250Z``."""
    moment = dt.datetime.fromtimestamp(milliseconds // 1000, dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z"


def date_of(day: int) -> dt.date:
    """Give the date that lies ``day`` days after 1970-01-01."""
    return dt.date.fromordinal(day + EPOCH)


def day_of(date: dt.date) -> int:
    """Give the days from 1970-01-01 to the date."""
    return date.toordinal() - EPOCH


def from_message(framed: bytes) -> Line:
    """Make a line of a record of gris.daily. Raises ValueError for what is none."""
    message = decode_line_in_ticks(framed)
    day, updated_at = message["bucket"], message["updated_at"]
    if not (FIRST_DAY <= day <= LAST_DAY and 0 <= updated_at < (LAST_DAY + 1) * DAY_MS):
        raise ValueError("the record's bucket or updated_at is beyond what a date can be")
    areas = tuple(map(AreaTotal._make, message["areas"]))
    return Line(
        day,
        message["indicator"],
        message["breakdown"],
        message["version"],
        updated_at,
        message["status"] if any(area.area == NATION for area in areas) else MISSING,
        tuple(message["flags"]),
        areas,
    )


def from_rows(rows: Sequence[tuple[Any, ...]]) -> Line:
    """Make a line of its rows of day_totals.

    Each row is (day, indicator, breakdown, version, updated_at ms, status, flags, area, value, min, max,
    areas_reported, areas_expected, cells) with ticks. The version is the highest of the rows, the status VN's.
    """
    day, indicator, breakdown = rows[0][:3]
    nation = next((row for row in rows if row[7] == NATION), None)
    return Line(
        day,
        indicator,
        breakdown,
        max(row[3] for row in rows),
        max(row[4] for row in rows),
        MISSING if nation is None else nation[5],
        tuple((rows[0] if nation is None else nation)[6]),
        tuple(AreaTotal(*row[7:14]) for row in rows),
    )


def text_of(line: Line, catalogue: Catalogue) -> LineText:
    """Write the line as JSON, areas in the order of the map in force on its bucket.

    The line's value, areas_reported and areas_expected are VN's: null, 0 and 0 when it has no row for VN.
    """
    indicator = catalogue.indicator(line.indicator)
    decimals = TICK_DECIMALS if indicator is None else indicator.decimals
    position = catalogue.map_on(date_of(line.day)).position
    ordered = sorted(line.areas, key=lambda total: (position.get(total.area, len(position)), total.area))
    areas = {total.area: _area_text(total, decimals) for total in ordered}
    nation = next((total for total in line.areas if total.area == NATION), AreaTotal(NATION, None, None, None, 0, 0, 0))
    fields = {
        "indicator": quoted(line.indicator),
        "bucket": f'"{date_of(line.day)}"',
        "time_period": quoted(period_text(indicator, line.day)),
        "breakdown": quoted(line.breakdown),
        "value": number(nation.value, decimals),
        "unit": quoted("" if indicator is None else indicator.unit),
        "status": quoted(line.status),
        "flags": f"[{','.join(map(quoted, line.flags))}]",
        "version": str(line.version),
        "updated_at": f'"{instant(line.updated_at)}"',
        "areas_reported": str(nation.areas_reported),
        "areas_expected": str(nation.areas_expected),
    }
    return LineText(fields, areas, _object(fields, areas.values(), FIELDS))


def period_text(indicator: Indicator | None, day: int) -> str:
    """Name the bucket in the indicator's frequency; a bucket of hours is its day."""
    frequency = Frequency.DAILY if indicator is None or indicator.frequency.slots > 1 else indicator.frequency
    try:
        return Period(frequency, date_of(day)).text
    except PeriodError:  # a line of another catalogue, under which the indicator had another frequency
        return str(date_of(day))


@functools.lru_cache(maxsize=16384)
def quoted(text: str) -> str:
    """Write a text as a JSON string."""
    return orjson.dumps(text).decode()


def _object(fields: Mapping[str, str], areas: Iterable[str], names: Sequence[str]) -> str:
    pieces = (f'"areas":[{",".join(areas)}]' if name == "areas" else f'"{name}":{fields[name]}' for name in names)
    return "{" + ",".join(pieces) + "}"


def _area_text(total: AreaTotal, decimals: int) -> str:
    value = number(total.value, decimals)
    # A province's three figures are one and the same.
    low = value if total.low == total.value else number(total.low, decimals)
    high = value if total.high == total.value else number(total.high, decimals)
    return (
        f'{{"area":{quoted(total.area)},"value":{value},"min":{low},"max":{high},'
        f'"areas_reported":{total.areas_reported},"areas_expected":{total.areas_expected},"cells":{total.cells}}}'
    )
