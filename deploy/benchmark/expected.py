"""The independent count: what must come of a stream, by sorting all that was said and adding up. Pure.

It shares no code with the worker: no schemas, no rules, no cubes.
"""

import collections
import dataclasses
import datetime as dt
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from deploy.benchmark.catalogue import AGENCIES, FIGURES, NATION, PROVINCES, Figure, code_of
from deploy.benchmark.draw import BASED, SCALE, STATUSES, Drawn, Ints, Mistake

TICKS = 10_000
WATCHED = (0, len(PROVINCES) // 2, len(PROVINCES) - 1)
"""The provinces whose totals are counted besides the nation's."""

RANKED = "IEPFBAM"
RANK = np.array([RANKED.index(status) for status in STATUSES])
NOTHING = RANKED.index("M")
HUGE = np.iinfo(np.int64).max

Key = tuple[dt.date, str, str]  # bucket, indicator, area


@dataclasses.dataclass(frozen=True, slots=True)
class Total:
    """What an area's figures of a day amount to; ``value``, ``low`` and ``high`` are ticks, None when there is none."""

    value: int | None
    low: int | None
    high: int | None
    areas_reported: int
    cells: int
    status: str


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """Accepted statements of one agency by column. ``cell`` numbers indicator, area and hour, in this order."""

    cell: Ints
    version: Ints  # the revision, then the offset
    ticks: Ints
    base: Ints  # ticks
    rank: Ints  # of the status in RANKED

    def newest(self) -> "Said":
        """Keep the highest version of each cell, by ascending cell."""
        order = np.lexsort((self.version, self.cell))
        cell = self.cell[order]
        last = order[np.append(_begins(cell)[1:], len(cell)) - 1] if len(cell) else order
        return Said(*(getattr(self, field.name)[last] for field in dataclasses.fields(self)))


class Expected:
    """Counts a stream while it is drawn: records and verdicts by agency, and all that was accepted."""

    def __init__(self, first: dt.datetime, hours: int) -> None:
        self.records = [0] * len(AGENCIES)
        self.rejected: list[collections.Counter[str]] = [collections.Counter() for _ in AGENCIES]
        self._first = first.date()
        self._days = -(-hours // 24)
        self._said: list[list[Said]] = [[] for _ in AGENCIES]

    @property
    def accepted(self) -> list[int]:
        """Count what must be accepted, by agency."""
        return [count - sum(bad.values()) for count, bad in zip(self.records, self.rejected, strict=True)]

    def note(self, drawn: Drawn) -> None:
        """Count a run of the stream; offsets of a topic follow the order of publishing."""
        for agency in range(len(AGENCIES)):
            at = np.flatnonzero(drawn.agency == agency)
            offset = self.records[agency] + np.arange(len(at))
            self.records[agency] += len(at)
            bad = drawn.mistake[at]
            kinds, counts = np.unique(bad[bad > 0], return_counts=True)
            for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True):
                self.rejected[agency][Mistake(kind).name] += count
            at, offset = at[bad == 0], offset[bad == 0]
            serial = drawn.serial[at]
            self._said[agency].append(
                Said(
                    cell=(serial * len(PROVINCES) + drawn.area[at]) * (24 * self._days) + drawn.hour[at],
                    version=(drawn.revision[at] << 40) | offset,
                    ticks=drawn.units[at] * (TICKS // SCALE[serial]),
                    base=np.where(BASED[serial], drawn.base[at] * TICKS, 0),
                    rank=RANK[drawn.status[at]],
                )
            )

    def accepted_of(self, agency: int) -> Said:
        """Give every accepted statement of an agency, in the order of publishing."""
        runs = self._said[agency]
        return Said(*(np.concatenate([getattr(run, field.name) for run in runs]) for field in dataclasses.fields(Said)))

    def totals(self) -> Iterator[tuple[Key, Total]]:
        """Total every day of every indicator for the nation and the watched provinces of which something was said."""
        for agency in range(len(AGENCIES)):
            if self.accepted[agency]:
                yield from self._totals_of(agency)

    def _totals_of(self, agency: int) -> Iterator[tuple[Key, Total]]:
        newest = self.accepted_of(agency).newest()
        day_of = newest.cell // 24  # indicator, province and day
        begins = _begins(day_of)
        place, day = np.divmod(day_of[begins], self._days)
        serial, area = np.divmod(place, len(PROVINCES))
        provinces = _by_province(newest, begins, serial)
        watched = np.flatnonzero(np.isin(area, WATCHED))
        places = zip(serial[watched].tolist(), area[watched].tolist(), day[watched].tolist(), strict=True)
        for (of, at, on), row in zip(places, provinces.take(watched).rows(), strict=True):
            yield (self._date(on), code_of(agency, of), PROVINCES[at]), row.total(FIGURES[of])
        order = np.lexsort((area, day, serial))
        line = (serial * self._days + day)[order]
        begins = _begins(line)
        lines = zip(*(part.tolist() for part in np.divmod(line[begins], self._days)), strict=True)
        for (of, on), row in zip(lines, _rolled_up(provinces.take(order), begins).rows(), strict=True):
            yield (self._date(on), code_of(agency, of), NATION), row.total(FIGURES[of])

    def _date(self, day: int) -> dt.date:
        return self._first + dt.timedelta(days=day)


@dataclasses.dataclass(frozen=True, slots=True)
class _Row:
    """What ``areas`` provinces with a value said on one day: sums, extremes, the first status in RANKED."""

    areas: int
    cells: int
    value: int
    low: int
    high: int
    base: int
    product: int  # of value and base
    rank: int

    def total(self, figure: Figure) -> Total:
        """Make one value of them: exact, rounded once, half to even."""
        if not self.areas:
            return Total(None, None, None, 0, 0, "M")
        value = self.value
        if figure.rollup == "mean":
            value = round(Fraction(value, self.areas))
        elif figure.rollup == "weighted_mean":
            value = round(Fraction(self.product, self.base))
        return Total(value, self.low, self.high, self.areas, self.cells, RANKED[self.rank])


@dataclasses.dataclass(frozen=True, slots=True)
class _Columns:
    """Many rows. ``product`` stays below 10^16: values of shares are below 10^6 ticks, bases below 10^8 + 1."""

    areas: Ints
    cells: Ints
    value: Ints
    low: Ints
    high: Ints
    base: Ints
    product: Ints
    rank: Ints

    def take(self, at: Ints) -> "_Columns":
        return _Columns(*(getattr(self, field.name)[at] for field in dataclasses.fields(self)))

    def rows(self) -> Iterator[_Row]:
        columns = (getattr(self, field.name).tolist() for field in dataclasses.fields(self))
        return (_Row(*row) for row in zip(*columns, strict=True))


def _begins(keys: Ints) -> Ints:
    """Tell where each run of equal keys begins."""
    return np.flatnonzero(np.append(np.ones(min(len(keys), 1), np.bool_), keys[1:] != keys[:-1]))


def _by_province(newest: Said, begins: Ints, serial: Ints) -> _Columns:
    """Reduce runs of hours of one province and day: a flow adds them, all else takes the last that has a value."""
    valued = newest.rank != NOTHING
    cells = np.add.reduceat(valued.astype(np.int64), begins)
    last = np.maximum.reduceat(np.where(valued, np.arange(len(valued)), -1), begins)
    flows = np.array([figure.kind == "flow" for figure in FIGURES])[serial]
    has = cells > 0
    added = np.add.reduceat(np.where(valued, newest.ticks, 0), begins)
    value = np.where(has, np.where(flows, added, newest.ticks[last]), 0)
    base = np.where(has, newest.base[last], 0)
    rank = np.where(flows, np.minimum.reduceat(newest.rank, begins), newest.rank[last])
    low, high = np.where(has, value, HUGE), np.where(has, value, -HUGE)
    return _Columns(has.astype(np.int64), cells, value, low, high, base, value * base, np.where(has, rank, NOTHING))


def _rolled_up(provinces: _Columns, begins: Ints) -> _Columns:
    """Roll runs of provinces up."""
    how = {"low": np.minimum, "high": np.maximum, "rank": np.minimum}
    fields = [field.name for field in dataclasses.fields(provinces)]
    return _Columns(*(how.get(name, np.add).reduceat(getattr(provinces, name), begins) for name in fields))
