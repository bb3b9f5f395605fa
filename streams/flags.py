"""What does not fit together in a `_T` line: parts that do not add up, a cumulative figure that falls. Pure."""

import itertools

import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import Rollup
from streams.layout import Shape
from streams.totals import Lines

SUM_MISMATCH = "SUM_MISMATCH"
NOT_MONOTONE = "NOT_MONOTONE"


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
        complete = totals.reported[first, nation] == totals.expected[first, nation]
        flagged |= totals.own[first] & complete & (totals.rolled[first] != totals.value[first, nation])
    if shape.breakdowns > 1:
        for at, line in enumerate(totals.line[first].tolist()):
            dimensions = shape.indicators[line // shape.breakdowns].dimensions
            flagged[at] |= valued[at, 0] and any(
                valued[at, codes].all() and value[at, codes].sum() != value[at, 0]
                for codes in map(list, dimensions.values())
            )
    return flagged


class YearTotals:
    """VN's totals of one cumulative indicator's `_T` line in the buckets of one year, in ticks by epoch day."""

    __slots__ = ("_totals",)

    def __init__(self) -> None:
        self._totals: dict[int, int] = {}

    def note(self, day: int, total: int | None) -> None:
        """Record the total of a bucket, None when nothing is reported."""
        if total is None:
            self._totals.pop(day, None)
        else:
            self._totals[day] = total

    def fallen(self) -> set[int]:
        """Name the buckets whose total is lower than that of the nearest earlier bucket that has one."""
        ascending = sorted(self._totals.items())
        return {day for (_, before), (day, now) in itertools.pairwise(ascending) if now < before}
