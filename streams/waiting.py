"""Open partitions, and what of their folded blocks waits for a flush."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.reasons import Reason
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.tail import LineKey
from streams.partition import Partition
from streams.report import Line


@dataclasses.dataclass(frozen=True, slots=True)
class Start:
    """Where a partition starts, what ClickHouse holds of it, and what a flush left behind the ledger."""

    agency: str
    position: Position
    days: Sequence[int]
    floor: int
    restoring: Mapping[LineKey, Sequence[str]]


@dataclasses.dataclass(frozen=True, slots=True)
class Folded:
    """What a flush must still know of a block that is folded in, besides its rows."""

    agency: str
    times: NDArray[np.int64]
    """Broker times (ms), each once where it is that of records that follow one another, as those of a batch are."""
    counts: NDArray[np.int64]
    """How many records each is the time of."""
    accepted: int
    refused: Mapping[Reason, int]
    rejects: Sequence[Line]
    bytes: int
    """Of what is of no fixed size: refused records and notes."""
    days: Sequence[int]

    @property
    def events(self) -> int:
        """Count the events."""
        return self.accepted + sum(self.refused.values())


@dataclasses.dataclass(slots=True)
class Open:
    """An open partition: its state, and the blocks folded in since the last flush was taken."""

    opening: int
    state: Partition
    end: int
    """Where what can be read of it ends, as the broker last told it."""
    reached: int
    """Where the last block folded in reaches: behind its last record there may be markers and what was aborted."""
    clear_ms: float
    """When nothing was last known to lag, or it was opened (ms)."""
    oldest_ms: float = 0.0
    """Broker time (ms) of the oldest record that is folded in and not stored; 0 for none."""
    pending: list[Folded] = dataclasses.field(default_factory=list)
    since: float | None = None
    """When the oldest of them was folded in (monotonic seconds)."""

    @property
    def events(self) -> int:
        """Count the events of the blocks."""
        return sum(folded.events for folded in self.pending)

    @property
    def bytes(self) -> int:
        """Count the bytes of them that are of no fixed size: of refused records and notes."""
        return sum(folded.bytes for folded in self.pending)

    def lag(self, now_ms: float) -> tuple[int, float]:
        """Give the offsets that are not stored, and the age (seconds) of the oldest.

        One that was not read yet came after the newest that was read, and after nothing was known to lag.
        """
        state = self.state
        behind = max(self.end - (self.reached if state.flushed == state.position.next_offset else state.flushed), 0)
        if not behind:
            self.clear_ms = now_ms
            return 0, 0.0
        return behind, max(now_ms - (self.oldest_ms or max(state.newest, self.clear_ms)), 0.0) / 1000
