"""The newest statement of each cell of a bucket: version, ticks, base and status, by flat address.

Two stores with one behaviour: a thin bucket (one late figure, a replay in no order) keeps the few cells it has, sorted
by address; a full one has a place for each. A version of 0 is a cell of which nothing was said. Only the first
``weighted`` addresses have bases; the others' are 0.
"""

import dataclasses
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

# One dense cell costs 17 bytes, a sparse one 21 and the shifting of all behind it: beyond this share dense is cheaper.
DENSE_SHARE = 2

NO_BASE = np.zeros((1, 1), np.int64)


@dataclasses.dataclass(frozen=True, slots=True)
class Newest:
    """Columns of one shape: versions, ticks, bases and status indexes of statements or cells."""

    version: NDArray[np.int64]
    ticks: NDArray[np.int64]
    base: NDArray[np.int64]
    status: NDArray[np.uint8]

    def take(self, at: NDArray[np.int64]) -> "Newest":
        """Pick rows."""
        return Newest(self.version[at], self.ticks[at], self.base[at], self.status[at])


class Cells(Protocol):
    """What a cube asks of either store."""

    @property
    def bytes(self) -> int:
        """Memory held, or that can come to be held."""

    def put(self, cell: NDArray[np.int64], said: Newest) -> None:
        """Let the highest version of each cell win; ``said`` ascends by version, and the later of equals wins."""

    def runs(self, first: NDArray[np.int64], length: int) -> Newest:
        """Give the cells ``[first, first + length)`` for each ``first``, as ``[runs, length]``."""


class DenseCells:
    """A place for every cell."""

    __slots__ = ("_base", "_status", "_ticks", "_version")

    def __init__(self, size: int, weighted: int) -> None:
        # np.zeros takes untouched pages from the system: a cell nobody reports costs address space, not memory.
        self._version = np.zeros(size, np.int64)
        self._ticks = np.zeros(size, np.int64)
        self._base = np.zeros(weighted, np.int64)
        self._status = np.zeros(size, np.uint8)

    @property
    def bytes(self) -> int:
        """Memory that the store can come to hold."""
        return len(self._version) * 17 + len(self._base) * 8

    def put(self, cell: NDArray[np.int64], said: Newest) -> None:
        """Let the highest version of each cell win."""
        newer = said.version >= self._version[cell]
        if not newer.all():
            keep = np.flatnonzero(newer)
            cell, said = cell[keep], said.take(keep)
        # Ascending versions: where a cell occurs twice, numpy's last assignment is the highest version.
        self._version[cell] = said.version
        self._ticks[cell] = said.ticks
        self._status[cell] = said.status
        weighted = cell < len(self._base)
        if weighted.any():
            self._base[cell[weighted]] = said.base[weighted]

    def runs(self, first: NDArray[np.int64], length: int) -> Newest:
        """Give the cells of each run."""
        rows = first // length
        # A shape's cells begin at any address: the rows of `length` are counted from the first run's remainder.
        start = int(first[0] - rows[0] * length) if len(first) else 0
        end = start + (len(self._version) - start) // length * length
        at = (first - start) // length

        def picked(values: NDArray[Any]) -> NDArray[Any]:
            return np.asarray(values[start:end].reshape(-1, length)[at])

        version = picked(self._version)
        weighted = len(first) > 0 and first[0] < len(self._base)
        # Weighted shapes come first: this one's are all there, but not whole runs of others behind them.
        base = self._base[first[:, None] + np.arange(length)] if weighted else np.broadcast_to(NO_BASE, version.shape)
        return Newest(version, picked(self._ticks), base, picked(self._status))


class SparseCells:
    """The cells that have a statement, ascending by address."""

    __slots__ = ("_base", "_cell", "_status", "_ticks", "_version", "_weighted")

    def __init__(self, size: int, weighted: int) -> None:
        self._weighted = weighted
        self._cell = np.zeros(0, np.int32 if size <= np.iinfo(np.int32).max else np.int64)
        self._version, self._ticks, self._base = (np.zeros(0, np.int64) for _ in range(3))
        self._status = np.zeros(0, np.uint8)

    def __len__(self) -> int:
        return len(self._cell)

    @property
    def bytes(self) -> int:
        """Memory held."""
        return len(self._cell) * (17 + self._cell.itemsize) + len(self._base) * 8

    def put(self, cell: NDArray[np.int64], said: Newest) -> None:
        """Let the highest version of each cell win."""
        order = np.argsort(cell, kind="stable")
        cell = cell[order].astype(self._cell.dtype)
        last = np.flatnonzero(np.append(cell[1:] != cell[:-1], True))
        cell, said = cell[last], said.take(order[last])
        at = np.searchsorted(self._cell, cell)
        known = np.zeros(len(cell), np.bool_)
        inside = at < len(self._cell)
        known[inside] = self._cell[at[inside]] == cell[inside]
        newer = np.flatnonzero(known)
        newer = newer[said.version[newer] >= self._version[at[newer]]]
        if len(newer):
            place, those = at[newer], said.take(newer)
            self._version[place] = those.version
            self._ticks[place] = those.ticks
            self._status[place] = those.status
            weighted = np.searchsorted(place, len(self._base))
            self._base[place[:weighted]] = those.base[:weighted]
        fresh = np.flatnonzero(~known)
        if len(fresh):
            self._insert(at[fresh], cell[fresh], said.take(fresh))

    def _insert(self, at: NDArray[np.int64], cell: NDArray[Any], said: Newest) -> None:
        count = len(self._cell) + len(cell)
        new = at + np.arange(len(at))
        old = np.ones(count, np.bool_)
        old[new] = False

        def merged(before: NDArray[Any], added: NDArray[Any], upto: int = count) -> NDArray[Any]:
            both = np.empty(upto, before.dtype)
            both[old[:upto]], both[new[: len(added)]] = before, added
            return both

        weighted = int(np.searchsorted(cell, self._weighted))
        self._base = merged(self._base, said.base[:weighted], len(self._base) + weighted)
        self._version = merged(self._version, said.version)
        self._ticks = merged(self._ticks, said.ticks)
        self._status = merged(self._status, said.status)
        self._cell = merged(self._cell, cell)

    def runs(self, first: NDArray[np.int64], length: int) -> Newest:
        """Give the cells of each run."""
        first = first.astype(self._cell.dtype)
        start, stop = np.searchsorted(self._cell, first), np.searchsorted(self._cell, first + length)
        counts = stop - start
        run = np.repeat(np.arange(len(first)), counts)
        at = np.arange(len(run)) + np.repeat(start - np.cumsum(counts) + counts, counts)
        place = (run, self._cell[at] - first[run])

        def spread(values: NDArray[Any]) -> NDArray[Any]:
            full = np.zeros((len(first), length), values.dtype)
            full[place] = values[at]
            return full

        weighted = len(first) > 0 and first[0] < self._weighted
        base = spread(self._base) if weighted else np.broadcast_to(NO_BASE, (len(first), length))
        return Newest(spread(self._version), spread(self._ticks), base, spread(self._status))

    def to_dense(self, size: int) -> DenseCells:
        """Give every cell a place."""
        dense = DenseCells(size, self._weighted)
        base = np.zeros(len(self._cell), np.int64)
        base[: len(self._base)] = self._base
        dense.put(self._cell.astype(np.int64), Newest(self._version, self._ticks, base, self._status))
        return dense
