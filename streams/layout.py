"""Where each cell of a bucket lies: one flat address per (indicator, breakdown, area, slot), alike in all of a map.

Indicators of one shape lie side by side, so that the cells of a shape are one array of
``[indicators, breakdowns, areas, slots]`` without a copy, and totals are taken for all its lines at once.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import AreaMap, Catalogue, Indicator, Kind, Rollup


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """Indicators whose lines are reduced alike.

    ``width`` counts the areas of a line: the provinces and VN, or VN alone; VN is the last. ``first_cell``,
    ``first_touch`` and ``first_line`` are where the shape begins in the arrays of cells, (line, area) marks and lines.
    """

    indicators: tuple[Indicator, ...]
    breakdowns: int
    width: int
    slots: int
    sums_over_time: bool
    cumulative: bool
    rollup: Rollup
    first_cell: int
    first_touch: int
    first_line: int

    @property
    def lines(self) -> int:
        """How many lines the shape has."""
        return len(self.indicators) * self.breakdowns

    @property
    def weighted(self) -> bool:
        """Whether totals need the bases of what they are made of."""
        return self.rollup is Rollup.WEIGHTED_MEAN

    @property
    def by_province(self) -> bool:
        """Whether provinces report, not only the nation."""
        return self.width > 1


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Addresses of the cells of one bucket, for some indicators under one map of areas.

    The arrays are indexed by catalogue ordinal and hold -1 for an indicator that is not laid out here. Shapes whose
    totals are weighted come first: bases are kept of ``weighted_cells`` and ``weighted_touches`` alone.
    """

    map: AreaMap
    shapes: tuple[Shape, ...]
    cells: int
    touches: int
    lines: int
    weighted_cells: int
    weighted_touches: int
    first_cell: NDArray[np.int64]
    first_touch: NDArray[np.int64]
    first_line: NDArray[np.int64]
    width: NDArray[np.int64]
    slots: NDArray[np.int64]

    def touch_of(
        self, indicator: NDArray[np.int32], breakdown: NDArray[np.int32], area: NDArray[np.int32]
    ) -> NDArray[np.int64]:
        """Address of (line, area) for ordinals of indicator, breakdown and area, all of one length."""
        width = self.width[indicator]
        # VN alone is at 0 where only the nation reports; its ordinal in the map is the number of provinces.
        return np.asarray(self.first_touch[indicator] + breakdown * width + np.minimum(area, width - 1))

    def cell_of(
        self, indicator: NDArray[np.int32], touch: NDArray[np.int64], slot: NDArray[np.int32]
    ) -> NDArray[np.int64]:
        """Address of a cell from the address of its (line, area) and its slot."""
        return np.asarray(
            self.first_cell[indicator] + (touch - self.first_touch[indicator]) * self.slots[indicator] + slot
        )


def lay_out(catalogue: Catalogue, indicators: Sequence[Indicator], map_: AreaMap) -> Layout:
    """Lay out the cells of ``indicators`` under ``map_``."""
    by_shape: dict[tuple[int, int, int, Kind, Rollup], list[Indicator]] = {}
    for indicator in indicators:
        width = len(map_.provinces) + 1 if indicator.geography == "province" else 1
        key = (
            len(indicator.breakdowns),
            width,
            indicator.frequency.slots,
            indicator.kind,
            indicator.area_rollup,
        )
        by_shape.setdefault(key, []).append(indicator)
    total = len(catalogue.indicators)
    first_cell, first_touch, first_line, widths, slots = (np.full(total, -1, np.int64) for _ in range(5))
    shapes = []
    cells = touches = lines = weighted_cells = weighted_touches = 0
    weighted_first = sorted(by_shape.items(), key=lambda shape: shape[0][-1] is not Rollup.WEIGHTED_MEAN)
    for (breakdowns, width, slot_count, kind, rollup), members in weighted_first:
        shape = Shape(
            tuple(members),
            breakdowns,
            width,
            slot_count,
            kind is Kind.FLOW,
            kind is Kind.CUMULATIVE and rollup is Rollup.SUM,
            rollup,
            cells,
            touches,
            lines,
        )
        shapes.append(shape)
        for indicator in members:
            at = indicator.ordinal
            first_cell[at], first_touch[at], first_line[at] = cells, touches, lines
            widths[at], slots[at] = shape.width, shape.slots
            cells += shape.breakdowns * shape.width * shape.slots
            touches += shape.breakdowns * shape.width
            lines += shape.breakdowns
        if shape.weighted:
            weighted_cells, weighted_touches = cells, touches
    return Layout(
        map_,
        tuple(shapes),
        cells,
        touches,
        lines,
        weighted_cells,
        weighted_touches,
        first_cell,
        first_touch,
        first_line,
        widths,
        slots,
    )
