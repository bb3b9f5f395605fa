"""What one flush stores."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
from faust.types import TP

from sinks.clickhouse.ledger import Position
from sinks.clickhouse.tail import Key
from streams.announce import Messages
from streams.reckon import Reckoning
from streams.report import total_tables
from streams.waiting import Folded

INSERT_ROWS = 100_000


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """Rows of blocks, a table a block."""

    observations: list[pa.Table]
    rejected: list[pa.Table]


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """What one flush stores, in the order in which it is stored."""

    rows: Rows
    """Those that were not stored ahead."""
    totals: Mapping[TP, Sequence[Reckoning]]
    messages: Mapping[TP, Messages]
    superfluous: Mapping[TP, Sequence[Key]]
    """Rows of day_totals that nothing accounts for any more, after a start under other rules."""
    positions: Mapping[TP, Position]
    blocks: Mapping[TP, tuple[int, Sequence[Folded]]]

    @property
    def events(self) -> int:
        """Count the events that were folded in."""
        return sum(folded.events for _, blocks in self.blocks.values() for folded in blocks)

    def tables(self) -> Iterator[pa.Table]:
        """Make the rows of day_totals, some INSERT_ROWS at a time."""
        held: list[pa.Table] = []
        for tp, reckoned in self.totals.items():
            for table in total_tables(reckoned, self.positions[tp].next_offset):
                held.append(table)
                if sum(map(len, held)) >= INSERT_ROWS:
                    yield pa.concat_tables(held).unify_dictionaries()
                    held = []
        if held:
            yield pa.concat_tables(held).unify_dictionaries()
