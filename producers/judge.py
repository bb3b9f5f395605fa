"""The dry run: rows become events, are encoded as they would be published, and judged by the worker's very rules."""

import dataclasses
import importlib.resources
from collections.abc import Sequence

import numpy as np

from producers.cells import CellError, Defaults, event_of
from producers.files import Row
from schemas.catalogue import Catalogue
from schemas.codec import EventCodec, encode_event
from schemas.partition import partition_for
from schemas.reasons import Reason, Refusal
from schemas.registry import BundledSchemas
from schemas.rules import Block, Rules
from schemas.spans import Spans
from schemas.topics import event_topic

# A spreadsheet that took "01" for a number shows 1: the most frequent fault, and hard to see.
LEADING_ZERO = "; the leading zero is lost: format the column as text and write {area!r}"


@dataclasses.dataclass(frozen=True, slots=True)
class RowRefusal:
    """A row that would not be accepted: its number, the column at fault, the reason's text, and what to do.

    ``encodable`` tells whether it can be published at all: False for a cell that has no Avro value.
    """

    row: int
    column: str
    reason: str
    detail: str
    encodable: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Encoded:
    """A row as a record: key and framed value (schema id 1), and whether the rules accept it."""

    row: int
    key: bytes
    value: bytes
    accepted: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What became of some rows: in ``encoded`` all that can be sent, in ``refused`` all that are wrong, in order."""

    encoded: tuple[Encoded, ...]
    refused: tuple[RowRefusal, ...]


class Judge:
    """Judges an agency's rows as the worker would if the broker stamped them with ``now`` (ms since 1970)."""

    def __init__(self, catalogue: Catalogue, agency: str, partitions: int, now: int, defaults: Defaults) -> None:
        ids = importlib.resources.files("schemas").joinpath("ids.json").read_bytes()
        self._catalogue = catalogue
        self._rules = Rules(catalogue, ids)
        self._codec = EventCodec(BundledSchemas())
        self._agency, self._partitions, self._now = agency, partitions, now
        self._defaults = defaults

    def judge(self, rows: Sequence[Row]) -> Verdict:
        """Judge some rows, thousands at a time for speed; rows are independent of each other."""
        refused: dict[int, RowRefusal] = {}
        ready: list[tuple[Row, bytes, bytes]] = []
        for row in rows:
            try:
                event = event_of(row, self._defaults, self._catalogue)
            except CellError as bad:
                refused[row.number] = RowRefusal(row.number, bad.column, bad.reason, bad.detail, encodable=False)
            else:
                ready.append((row, str(event["indicator"]).encode(), encode_event(event)))
        for row, refusal in self._refusals(ready):
            refused[row.number] = self._explained(row, refusal)
        encoded = tuple(Encoded(row.number, key, value, row.number not in refused) for row, key, value in ready)
        return Verdict(encoded, tuple(refused[number] for number in sorted(refused)))

    def _refusals(self, ready: Sequence[tuple[Row, bytes, bytes]]) -> list[tuple[Row, Refusal]]:
        shares: dict[int, list[tuple[Row, bytes, bytes]]] = {}
        for entry in ready:
            shares.setdefault(partition_for(entry[1], self._partitions), []).append(entry)
        found = []
        for partition, share in shares.items():
            block = Block(
                topic=event_topic(self._agency),
                agency=self._agency,
                partition=partition,
                partitions=self._partitions,
                offsets=np.arange(len(share), dtype=np.int64),
                timestamps=np.full(len(share), self._now, np.int64),
                keys=Spans.of([key for _, key, _ in share]),
                values=Spans.of([value for _, _, value in share]),
                replay_of={},
            )
            judged = self._rules.judge(block, self._codec.decode(block.values))
            found += [(share[refusal.position][0], refusal) for refusal in judged.refused]
        return found

    def _explained(self, row: Row, refusal: Refusal) -> RowRefusal:
        detail = refusal.detail
        area = row.cells.get("area")
        if refusal.reason is Reason.UNKNOWN_AREA and str(area).isdecimal():
            padded = str(area).zfill(2)
            if padded != str(area) and any(padded in chart.position for chart in self._catalogue.maps):
                detail += LEADING_ZERO.format(area=padded)
        return RowRefusal(row.number, refusal.field, refusal.reason.name, detail, encodable=True)
