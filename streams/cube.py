"""One bucket in one partition: the newest statement of each cell, and what each area's cells of a line amount to.

A cache of what ClickHouse holds. What areas amount to is kept beside the cells, so that a flush looks again only at the
slots of (line, area) pairs that were touched.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from streams.cells import DENSE_SHARE, Cells, Newest, SparseCells
from streams.layout import Layout


@dataclasses.dataclass(frozen=True, slots=True)
class Statements:
    """Statements about cells of one bucket, in columns of one length.

    Ordinals of indicator, breakdown, area and slot; ticks; status index; version; broker time (ms).
    """

    indicator: NDArray[np.int32]
    breakdown: NDArray[np.int32]
    area: NDArray[np.int32]
    slot: NDArray[np.int32]
    ticks: NDArray[np.int64]
    base: NDArray[np.int64]
    status: NDArray[np.uint8]
    version: NDArray[np.int64]
    timestamp: NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class Own:
    """What areas report themselves, by (line, area): before any roll-up, reduced over time.

    ``said`` whether there is any statement, ``cells`` how many with a value (at most 24), ``value`` and ``base`` ticks
    (bases of the weighted shapes alone), ``rank`` of the status.
    """

    said: NDArray[np.bool_]
    cells: NDArray[np.uint8]
    value: NDArray[np.int64]
    base: NDArray[np.int64]
    rank: NDArray[np.uint8]


class Cube:
    """The cells of a bucket, and the (line, area) pairs touched since the last totals.

    ``own`` is true except for the pairs marked ``stale``. ``folded`` is the next offset after the newest record folded
    in; ``used`` orders cubes by last use; ``newest`` is the broker time (ms) of the newest record in each line.
    """

    __slots__ = ("cells", "day", "folded", "layout", "mismatch", "newest", "own", "stale", "touched", "used")

    def __init__(self, layout: Layout, day: int) -> None:
        self.layout = layout
        self.day = day
        self.folded = 0
        self.used = 0
        self.cells: Cells = SparseCells(layout.cells, layout.weighted_cells)
        self.touched = np.zeros(layout.touches, np.bool_)
        self.stale = np.zeros(layout.touches, np.bool_)
        self.own = Own(
            np.zeros(layout.touches, np.bool_),
            np.zeros(layout.touches, np.uint8),
            np.zeros(layout.touches, np.int64),
            np.zeros(layout.weighted_touches, np.int64),
            np.zeros(layout.touches, np.uint8),
        )
        self.newest = np.zeros(layout.lines, np.int64)
        self.mismatch = np.zeros(layout.lines, np.bool_)

    @property
    def bytes(self) -> int:
        """Memory that the cube holds or can come to hold."""
        layout = self.layout
        return self.cells.bytes + layout.touches * 13 + layout.weighted_touches * 8 + layout.lines * 9

    def fold(self, said: Statements, next_offset: int) -> None:
        """Let the highest version of each cell win, in any order and any repetition, and mark what was touched."""
        touch = self._keep_newest(said)
        self.touched[touch] = True
        self.newest[self.layout.first_line[said.indicator] + said.breakdown] = said.timestamp
        self.folded = next_offset

    def load(self, said: Statements, next_offset: int) -> None:
        """Take in what ClickHouse holds of the bucket below ``next_offset``; nothing counts as touched."""
        self._keep_newest(said)
        self.folded = next_offset

    def _keep_newest(self, said: Statements) -> NDArray[np.int64]:
        touch = self.layout.touch_of(said.indicator, said.breakdown, said.area)
        self.stale[touch] = True
        cell = self.layout.cell_of(said.indicator, touch, said.slot)
        newest = Newest(said.version, said.ticks, said.base, said.status)
        if len(cell) > 1 and not (said.version[1:] > said.version[:-1]).all():
            order = np.argsort(said.version, kind="stable")
            cell, newest = cell[order], newest.take(order)
        self.cells.put(cell, newest)
        if isinstance(self.cells, SparseCells) and len(self.cells) * DENSE_SHARE > self.layout.cells:
            self.cells = self.cells.to_dense(self.layout.cells)
        return touch
