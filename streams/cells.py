"""The newest statement of each cell of a bucket: version, ticks, base and status, by flat address.

Two stores with one behaviour: a thin bucket (one late figure, a replay in no order) keeps the few cells it has, sorted
by address; a full one has a place for each. A version of 0 is a cell of which nothing was said.
"""

import dataclasses
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# One dense cell costs 25 bytes, a sparse one 33 and the shifting of all behind it: beyond this share dense is cheaper.
DENSE_SHARE = 4


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

    def __init__(self, size: int) -> None:
        # np.zeros takes untouched pages from the system: a cell nobody reports costs address space, not memory.
        self._version = np.zeros(size, np.int64)
        self._ticks = np.zeros(size, np.int64)
        self._base = np.zeros(size, np.int64)
        self._status = np.zeros(size, np.uint8)

    @property
    def bytes(self) -> int:
        """Memory that the store can come to hold."""
        return len(self._version) * 25

    def put(self, cell: NDArray[np.int64], said: Newest) -> None:
        """Let the highest version of each cell win."""
        newer = said.version >= self._version[cell]
        if not newer.all():
            keep = np.flatnonzero(newer)
            cell, said = cell[keep], said.take(keep)
        # Ascending versions: where a cell occurs twice, numpy's last assignment is the highest version.
        self._version[cell] = said.version
        self._ticks[cell] = said.ticks
        self._base[cell] = said.base
        self._status[cell] = said.status

    def runs(self, first: NDArray[np.int64], length: int) -> Newest:
        """Give the cells of each run."""
        rows = first // length
        # A shape's cells begin at any address: the rows of `length` are counted from the first run's remainder.
        start = int(first[0] - rows[0] * length) if len(first) else 0
        end = start + (len(self._version) - start) // length * length
        shaped = Newest(
            self._version[start:end].reshape(-1, length),
            self._ticks[start:end].reshape(-1, length),
            self._base[start:end].reshape(-1, length),
            self._status[start:end].reshape(-1, length),
        )
        return shaped.take((first - start) // length)


class SparseCells:
    """The cells that have a statement, ascending by address."""

    __slots__ = ("_cell", "_said")

    def __init__(self) -> None:
        empty = np.zeros(0, np.int64)
        self._cell = empty
        self._said = Newest(empty, empty, empty, np.zeros(0, np.uint8))

    def __len__(self) -> int:
        return len(self._cell)

    @property
    def bytes(self) -> int:
        """Memory held."""
        return len(self._cell) * 33

    def put(self, cell: NDArray[np.int64], said: Newest) -> None:
        """Let the highest version of each cell win."""
        order = np.argsort(cell, kind="stable")
        cell = cell[order]
        last = np.flatnonzero(np.append(cell[1:] != cell[:-1], True))
        cell, said = cell[last], said.take(order[last])
        at = np.searchsorted(self._cell, cell)
        known = np.zeros(len(cell), np.bool_)
        inside = at < len(self._cell)
        known[inside] = self._cell[at[inside]] == cell[inside]
        newer = np.flatnonzero(known)
        newer = newer[said.version[newer] >= self._said.version[at[newer]]]
        if len(newer):
            place, those = at[newer], said.take(newer)
            self._said.version[place] = those.version
            self._said.ticks[place] = those.ticks
            self._said.base[place] = those.base
            self._said.status[place] = those.status
        fresh = np.flatnonzero(~known)
        if len(fresh):
            self._insert(at[fresh], cell[fresh], said.take(fresh))

    def _insert(self, at: NDArray[np.int64], cell: NDArray[np.int64], said: Newest) -> None:
        count = len(self._cell) + len(cell)
        new = at + np.arange(len(at))
        old = np.ones(count, np.bool_)
        old[new] = False

        def merged(before: NDArray[np.generic], added: NDArray[np.generic]) -> NDArray[np.generic]:
            both = np.empty(count, before.dtype)
            both[old], both[new] = before, added
            return both

        had = self._said
        self._said = Newest(
            merged(had.version, said.version),  # type: ignore[arg-type]
            merged(had.ticks, said.ticks),  # type: ignore[arg-type]
            merged(had.base, said.base),  # type: ignore[arg-type]
            merged(had.status, said.status),  # type: ignore[arg-type]
        )
        self._cell = merged(self._cell, cell)  # type: ignore[assignment]

    def runs(self, first: NDArray[np.int64], length: int) -> Newest:
        """Give the cells of each run."""
        start, stop = np.searchsorted(self._cell, first), np.searchsorted(self._cell, first + length)
        counts = stop - start
        run = np.repeat(np.arange(len(first)), counts)
        at = np.arange(len(run)) + np.repeat(start - np.cumsum(counts) + counts, counts)
        place = (run, self._cell[at] - first[run])

        def spread(values: NDArray[np.generic]) -> NDArray[np.generic]:
            full = np.zeros((len(first), length), values.dtype)
            full[place] = values[at]
            return full

        said = self._said
        return Newest(spread(said.version), spread(said.ticks), spread(said.base), spread(said.status))  # type: ignore[arg-type]

    def to_dense(self, size: int) -> DenseCells:
        """Give every cell a place."""
        dense = DenseCells(size)
        dense.put(self._cell, self._said)
        return dense
