"""The newest statement of every cell of one bucket in one partition: a cache of what ClickHouse holds."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

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


class Cube:
    """Versions, ticks, bases and statuses of a bucket's cells, and the (line, area) touched since the last totals.

    A version of 0 is a cell of which nothing was said. ``folded`` is the next offset after the newest record folded in;
    ``used`` orders cubes by last use.
    """

    __slots__ = (
        "base",
        "day",
        "folded",
        "layout",
        "mismatch",
        "newest",
        "status",
        "ticks",
        "touched",
        "used",
        "version",
    )

    def __init__(self, layout: Layout, day: int) -> None:
        self.layout = layout
        self.day = day
        self.folded = 0
        self.used = 0
        # np.zeros takes untouched pages from the system: a cell nobody reports costs address space, not memory.
        self.version = np.zeros(layout.cells, np.int64)
        self.ticks = np.zeros(layout.cells, np.int64)
        self.base = np.zeros(layout.cells, np.int64)
        self.status = np.zeros(layout.cells, np.uint8)
        self.touched = np.zeros(layout.touches, np.bool_)
        self.newest = np.zeros(layout.lines, np.int64)
        self.mismatch = np.zeros(layout.lines, np.bool_)

    @property
    def bytes(self) -> int:
        """Memory that the cube can come to hold."""
        return self.layout.cells * 25 + self.layout.touches + self.layout.lines * 9

    def fold(self, said: Statements, next_offset: int) -> None:
        """Let the highest version of each cell win, in any order and any repetition, and mark what was touched."""
        touch = self.layout.touch_of(said.indicator, said.breakdown, said.area)
        line = self.layout.first_line[said.indicator] + said.breakdown
        self.touched[touch] = True
        self.newest[line] = said.timestamp
        self._keep_newest(self.layout.cell_of(said.indicator, touch, said.slot), said)
        self.folded = next_offset

    def load(self, said: Statements, next_offset: int) -> None:
        """Take in what ClickHouse holds of the bucket below ``next_offset``; nothing counts as touched."""
        touch = self.layout.touch_of(said.indicator, said.breakdown, said.area)
        self._keep_newest(self.layout.cell_of(said.indicator, touch, said.slot), said)
        self.folded = next_offset

    def _keep_newest(self, cell: NDArray[np.int64], said: Statements) -> None:
        version = said.version
        if len(version) > 1 and not (version[1:] > version[:-1]).all():
            order = np.argsort(version, kind="stable")
            cell, version = cell[order], version[order]
        else:
            order = None
        newer = version >= self.version[cell]
        keep = np.flatnonzero(newer)
        cell = cell[keep]
        # Ascending versions: where a cell occurs twice, numpy's last assignment is the highest version.
        self.version[cell] = version[keep]
        source = keep if order is None else order[keep]
        self.ticks[cell] = said.ticks[source]
        self.base[cell] = said.base[source]
        self.status[cell] = said.status[source]
