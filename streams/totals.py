"""What touched lines amount to in every area: exact sums of ticks, means rounded once, half to even. Pure.

A line's cells ``[areas, slots]`` reduce over time to one value an area, then provinces roll up to regions and VN.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import AreaMap, Rollup
from schemas.codec import STATUSES
from schemas.codec_areas import AreaColumns
from streams.cells import NO_BASE
from streams.cube import Cube
from streams.layout import Shape

RANKED = "IEPFBAM"
"""Statuses by weight: the first of these among the statements that entered a total is its status."""

RANK = np.array([RANKED.index(status) for status in STATUSES], np.uint8)
MISSING = np.uint8(RANKED.index("M"))
WITHDRAWN = np.uint8(STATUSES.index("M"))


@dataclasses.dataclass(frozen=True, slots=True)
class Lines:
    """Totals of some lines of one shape: rows are lines, columns are areas in ordinal order (provinces, VN, regions).

    ``said`` tells whether the area has a row, ``valued`` whether its value is not null. Values are ticks; ``rank``
    indexes RANKED. ``low``, ``high`` (min and max, null where VN's own statement has a value) and ``reported`` have the
    columns of VN and the regions alone: a province's follow from its value. ``expected`` is one number a column.
    ``own`` tells whether VN's own statement has a value, ``rolled`` what the provinces add up to.
    """

    shape: Shape
    line: NDArray[np.int64]
    said: NDArray[np.bool_]
    valued: NDArray[np.bool_]
    value: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    reported: NDArray[np.uint16]
    expected: NDArray[np.int64]
    cells: NDArray[np.uint16]
    rank: NDArray[np.uint8]
    own: NDArray[np.bool_]
    rolled: NDArray[np.int64]

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Whether every area that VN's total is made of has a value."""
        return np.asarray(self.reported[:, 0] == self.expected[self.shape.width - 1])

    def columns(self, codes: Sequence[str], at: slice | NDArray[np.int64]) -> AreaColumns:
        """Give some lines with nothing left out; ``codes`` names the areas."""
        provinces = self.shape.width - 1
        value, valued = self.value[at], self.valued[at]
        bounded = valued
        if self.shape.by_province:
            bounded = valued.copy()
            bounded[:, provinces] &= ~self.own[at]

        def widened(provinces_say: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([provinces_say[:, :provinces], others[at]], axis=1)

        return AreaColumns(
            codes,
            self.said[at],
            valued,
            value,
            bounded,
            widened(value, self.low),
            widened(value, self.high),
            widened(valued, self.reported),
            np.broadcast_to(self.expected, value.shape),
            self.cells[at],
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Areas:
    """``Own`` of some lines, ``[lines, areas]``: provinces, and VN last."""

    said: NDArray[np.bool_]
    valued: NDArray[np.bool_]
    value: NDArray[np.int64]
    base: NDArray[np.int64]
    cells: NDArray[np.uint8]
    rank: NDArray[np.uint8]

    @classmethod
    def joined(cls, parts: Sequence["_Areas"]) -> "_Areas":
        return cls(
            *(np.concatenate([getattr(part, field.name) for part in parts]) for field in dataclasses.fields(cls))
        )


def reduce_lines(parts: Sequence[tuple[Cube, NDArray[np.int64]]], shape: Shape) -> Lines:
    """Total lines of one shape in cubes of one map.

    ``parts`` gives for each cube the positions of lines within the shape: indicator * breakdowns + breakdown.
    """
    areas = [_refreshed(cube, shape, lines) for cube, lines in parts]
    own = areas[0] if len(areas) == 1 else _Areas.joined(areas)
    lines = np.concatenate([lines for _, lines in parts])
    if not shape.by_province:
        return _nation_only(shape, lines, own)
    return _by_province(parts[0][0].layout.map, shape, lines, own)


def _refreshed(cube: Cube, shape: Shape, lines: NDArray[np.int64]) -> _Areas:
    """Reduce over time what is stale of a shape, and give ``lines`` of it."""
    pairs = slice(shape.first_touch, shape.first_touch + shape.lines * shape.width)
    stale = np.flatnonzero(cube.stale[pairs])
    if len(stale):
        _reduce_over_time(cube, shape, stale)
        cube.stale[pairs] = False

    def of_lines(values: NDArray[Any]) -> NDArray[Any]:
        return values[pairs].reshape(shape.lines, shape.width)[lines]

    own = cube.own
    cells = of_lines(own.cells)
    value = of_lines(own.value)
    base = of_lines(own.base) if shape.weighted else np.broadcast_to(NO_BASE, value.shape)
    return _Areas(of_lines(own.said), cells > 0, value, base, cells, of_lines(own.rank))


def _reduce_over_time(cube: Cube, shape: Shape, pairs: NDArray[np.int64]) -> None:
    newest = cube.cells.runs(shape.first_cell + pairs * shape.slots, shape.slots)
    present = newest.version > 0
    valued = present & (newest.status != WITHDRAWN)
    rank = np.where(valued, RANK[newest.status], MISSING)
    at = shape.first_touch + pairs
    own = cube.own
    own.said[at] = present.any(axis=1)
    own.cells[at] = valued.sum(axis=1)
    if shape.sums_over_time:
        # The ticks of a withdrawn cell are 0.
        own.value[at] = newest.ticks.sum(axis=1)
        own.rank[at] = rank.min(axis=1)
    else:
        own.value[at] = _last(newest.ticks, valued)
        own.rank[at] = _last(rank, valued)
    if shape.weighted:
        own.base[at] = newest.base.sum(axis=1) if shape.sums_over_time else _last(newest.base, valued)


def _last(values: NDArray[Any], valued: NDArray[np.bool_]) -> NDArray[Any]:
    slots = valued.shape[1]
    if slots == 1:
        return values[:, 0]
    last = slots - 1 - valued[:, ::-1].argmax(axis=1)
    # Where no slot has a value, argmax is 0 and the last slot's contents are of no account: the caller masks them.
    return np.asarray(values[np.arange(len(last)), last])


def _nation_only(shape: Shape, lines: NDArray[np.int64], own: _Areas) -> Lines:
    value = np.where(own.valued, own.value, 0)
    return Lines(
        shape,
        lines,
        own.said,
        own.valued,
        value,
        value,
        value,
        own.valued.astype(np.uint16),
        np.ones(1, np.int64),
        own.cells.astype(np.uint16),
        np.where(own.valued, own.rank, MISSING),
        own.valued[:, 0],
        np.zeros(len(lines), np.int64),
    )


def _by_province(map_: AreaMap, shape: Shape, lines: NDArray[np.int64], own: _Areas) -> Lines:
    nation = shape.width - 1
    groups = [np.arange(nation)]
    groups += [np.flatnonzero(np.array(map_.region_of) == region) for region in range(len(map_.regions))]
    columns = shape.width + len(map_.regions)
    said, valued = (np.zeros((len(lines), columns), np.bool_) for _ in range(2))
    value = np.zeros((len(lines), columns), np.int64)
    low, high = (np.zeros((len(lines), len(groups)), np.int64) for _ in range(2))
    # A map has at most 400 provinces, an area at most 24 cells.
    reported = np.zeros((len(lines), len(groups)), np.uint16)
    cells = np.zeros((len(lines), columns), np.uint16)
    rank = np.full((len(lines), columns), MISSING, np.uint8)
    provinces = slice(0, nation)
    said[:, : shape.width] = own.said
    valued[:, provinces] = own.valued[:, provinces]
    value[:, provinces] = np.where(own.valued, own.value, 0)[:, provinces]
    cells[:, provinces] = own.cells[:, provinces]
    rank[:, provinces] = np.where(own.valued, own.rank, MISSING)[:, provinces]
    # Areas by lines from here: sums over areas are sums of whole rows.
    of_area = _Areas(*(np.ascontiguousarray(getattr(own, field.name).T) for field in dataclasses.fields(own)))
    value_of = np.ascontiguousarray(value[:, provinces].T)
    rank_of = np.ascontiguousarray(rank[:, provinces].T)
    rolled = np.zeros(len(lines), np.int64)
    for at, members in enumerate(groups):
        column = nation + at
        has = of_area.valued[members]
        count = has.sum(axis=0)
        reported[:, at] = count
        if shape.rollup is Rollup.NONE or not len(members):
            continue
        any_value = count > 0
        part = value_of[members]
        total = roll_up(shape.rollup, part, of_area.base[members], has, count)
        if at == 0:
            rolled = total
        said[:, column] |= of_area.said[members].any(axis=0)
        valued[:, column] = any_value
        value[:, column] = total
        low[:, at] = np.where(any_value, np.where(has, part, np.iinfo(np.int64).max).min(axis=0), 0)
        high[:, at] = np.where(any_value, np.where(has, part, np.iinfo(np.int64).min).max(axis=0), 0)
        cells[:, column] = of_area.cells[members].sum(axis=0)
        rank[:, column] = rank_of[members].min(axis=0)
    stated = own.valued[:, nation]
    valued[stated, nation] = True
    value[stated, nation] = own.value[stated, nation]
    cells[stated, nation] = own.cells[stated, nation]
    rank[stated, nation] = own.rank[stated, nation]
    expected = np.array([1] * nation + [len(members) for members in groups], np.int64)
    return Lines(
        shape,
        lines,
        said,
        valued,
        value,
        low,
        high,
        reported,
        expected,
        cells,
        rank,
        stated,
        rolled,
    )


def roll_up(
    rollup: Rollup,
    value: NDArray[np.int64],
    base: NDArray[np.int64],
    has: NDArray[np.bool_],
    count: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Roll areas' values ``[members, lines]`` up to one a line; 0 where no member has a value."""
    if rollup is Rollup.SUM:
        return np.asarray(value.sum(axis=0))
    if rollup is Rollup.MEAN:
        return divide_half_even(value.sum(axis=0), np.maximum(count, 1))
    # Members without a value weigh nothing: their value is 0, their base counts as 0.
    base = np.where(has, base, 0)
    # In Python's integers: what is compared must not wrap round itself.
    most = max(-int(value.min(initial=0)), int(value.max(initial=0)), 1) * int(base.max(initial=0)) * len(value)
    if most <= np.iinfo(np.int64).max:
        return divide_half_even((value * base).sum(axis=0), np.maximum(base.sum(axis=0), 1))
    return np.array(
        [
            weighted_mean(value[members, at].tolist(), base[members, at].tolist()) if members.any() else 0
            for at, members in enumerate(has.T)
        ],
        np.int64,
    )


def divide_half_even(numerator: NDArray[np.int64], denominator: NDArray[np.int64]) -> NDArray[np.int64]:
    """Divide integers by positive ones, rounding halves to even."""
    quotient, remainder = np.divmod(numerator, denominator)
    # remainder - (denominator - remainder) cannot overflow where twice the remainder could.
    above = remainder - (denominator - remainder)
    return np.asarray(quotient + ((above > 0) | ((above == 0) & (quotient & 1 == 1))))


def weighted_mean(values: Sequence[int], bases: Sequence[int]) -> int:
    """Σ(value·base)/Σbase of ticks, rounded once, half to even; Python's integers, since products pass 64 bits."""
    weight = sum(bases)
    quotient, remainder = divmod(sum(value * base for value, base in zip(values, bases, strict=True)), weight)
    above = 2 * remainder - weight
    return quotient + (above > 0 or (above == 0 and quotient & 1 == 1))
