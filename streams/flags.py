"""What does not fit together in a `_T` line: parts that do not add up, a cumulative figure that falls. Pure."""

import datetime as dt
import itertools

import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import Rollup
from streams.layout import Shape
from streams.totals import Lines

SUM_MISMATCH = "SUM_MISMATCH"
NOT_MONOTONE = "NOT_MONOTONE"
EPOCH = dt.date(1970, 1, 1)


def watches_sums(shape: Shape) -> bool:
    """Whether lines of the shape can carry SUM_MISMATCH."""
    return shape.rollup is Rollup.SUM and (shape.breakdowns > 1 or shape.by_province)


def sum_mismatch(totals: Lines) -> NDArray[np.bool_]:
    """Tell for each indicator whether its `_T` line is flagged.

    ``totals`` holds all lines of whole indicators, each indicator's breakdowns in order, `_T` first.
    """
    shape = totals.shape
    nation = shape.width - 1
    count = len(totals.line) // shape.breakdowns
    valued = totals.valued[:, nation].reshape(count, shape.breakdowns)
    value = totals.value[:, nation].reshape(count, shape.breakdowns)
    first = slice(0, None, shape.breakdowns)
    flagged = np.zeros(count, np.bool_)
    if shape.by_province:
        flagged |= totals.own[first] & totals.complete[first] & (totals.rolled[first] != totals.value[first, nation])
    if shape.breakdowns > 1:
        for at, line in enumerate(totals.line[first].tolist()):
            dimensions = shape.indicators[line // shape.breakdowns].dimensions
            flagged[at] |= valued[at, 0] and any(
                valued[at, codes].all() and value[at, codes].sum() != value[at, 0]
                for codes in map(list, dimensions.values())
            )
    return flagged


class Years:
    """VN's totals of the `_T` lines of cumulative indicators, a year at a time: what NOT_MONOTONE compares."""

    def __init__(self) -> None:
        self._years: dict[tuple[int, int], dict[int, int]] = {}
        self._fallen: dict[tuple[int, int], set[int]] = {}

    def __contains__(self, key: tuple[int, int]) -> bool:
        """Whether an (indicator ordinal, year) is known."""
        return key in self._years

    def begin(self, indicator: int, year: int) -> None:
        """Make an (indicator, year) known, with no total yet."""
        self._years[indicator, year] = {}

    def note(self, indicator: int, day: int, total: int | None) -> None:
        """Record the total of a bucket (epoch day) in ticks, None when nothing is reported."""
        key = (indicator, year_of(day))
        self._fallen.pop(key, None)
        if total is None:
            self._years[key].pop(day, None)
        else:
            self._years[key][day] = total

    def falls(self, indicator: int, day: int) -> bool:
        """Whether the bucket's total is lower than that of the year's nearest earlier bucket that has one."""
        return day in self.fallen((indicator, year_of(day)))

    def fallen(self, key: tuple[int, int]) -> set[int]:
        """Name the buckets of an (indicator, year) whose total is lower than the one before."""
        if key not in self._fallen:
            ascending = sorted(self._years[key].items())
            self._fallen[key] = {day for (_, before), (day, now) in itertools.pairwise(ascending) if now < before}
        return self._fallen[key]


def year_of(day: int) -> int:
    """Calendar year of an epoch day."""
    return (EPOCH + dt.timedelta(days=day)).year
