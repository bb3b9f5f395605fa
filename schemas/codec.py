"""Blocks of framed events to columns and back: what the rest of GRIS knows of Avro."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from schemas.codec_columns import EVENT_COLUMNS, columns_of, read, take
from schemas.codec_lines import (
    decode_line,
    decode_line_in_ticks,
    decode_rejected,
    encode_event,
    encode_line,
    encode_rejected,
)
from schemas.codec_plan import Plan, plan
from schemas.codec_reference import EventReader, Row, frame_fault, unknown_schema
from schemas.codec_schema import HEADER, MAGIC, STATUSES, UnknownSchema, WriterSchema
from schemas.reasons import Refusal
from schemas.registry import BundledSchemas, SchemaSource
from schemas.spans import Ints, Spans

__all__ = [
    "EVENT_COLUMNS",
    "STATUSES",
    "Decoded",
    "EventCodec",
    "UnknownSchema",
    "WriterSchema",
    "decode_line",
    "decode_line_in_ticks",
    "decode_rejected",
    "encode_event",
    "encode_line",
    "encode_rejected",
    "warm_up",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Decoded:
    """What a block of ``size`` records says.

    ``rows``: int64 positions of the decoded records, ascending; ``batch``: those records, one row each, as
    EVENT_COLUMNS; ``schema_ids``: int64, the schema id of each row; ``refused``: all others, ascending by position.
    """

    size: int
    rows: Ints
    batch: pa.RecordBatch
    refused: list[Refusal]
    schema_ids: Ints


@dataclasses.dataclass(frozen=True, slots=True)
class _Reading:
    """How records of one schema id are read: in columns where there is a plan, and by the reference."""

    reader: EventReader
    plan: Plan | None


class EventCodec:
    """Decodes blocks of record values. Keeps what it compiled of each writer schema, which never changes under its id.

    The truth is the reference, record by record; columns give the same, or leave a record to it.
    """

    def __init__(self, schemas: SchemaSource) -> None:
        self._schemas = schemas
        self._readings: dict[int, _Reading] = {}

    def decode(self, values: Spans) -> Decoded:
        """Decode a block. Raises Retry when a schema could not be asked for: nothing is decided then."""
        block = _Block(values)
        for schema_id, positions in block.by_schema():
            try:
                reading = self._reading(schema_id)
            except UnknownSchema as why:
                block.refused += [unknown_schema(position, schema_id, why) for position in positions.tolist()]
                continue
            block.read(reading, positions)
        return block.decoded()

    def _reading(self, schema_id: int) -> _Reading:
        if schema_id not in self._readings:
            writer = self._schemas.writer(schema_id)
            self._readings[schema_id] = _Reading(EventReader(writer), plan(writer))
        return self._readings[schema_id]


class _Block:
    """A block while it is decoded: columns by columns, with the odd record from the reference."""

    def __init__(self, values: Spans) -> None:
        self._values = values
        self._schema_ids: Ints = values.buffer.ids[values.starts + 1].astype(np.int64)
        framed = (values.lengths >= HEADER) & (values.buffer.bytes[values.starts] == MAGIC)
        self._framed: Ints = np.flatnonzero(framed)
        self._parts: list[tuple[Ints, pa.RecordBatch]] = []
        self._odd: list[tuple[int, Row]] = []
        self.refused: list[Refusal] = []
        for position in np.flatnonzero(~framed).tolist():
            fault = frame_fault(position, values[position])
            if fault is not None:
                self.refused.append(fault)

    def by_schema(self) -> Iterator[tuple[int, Ints]]:
        """Yield (schema id, ascending positions of its records)."""
        ids = self._schema_ids[self._framed]
        if len(ids) and (ids == ids[0]).all():
            yield int(ids[0]), self._framed
            return
        order = np.argsort(ids, kind="stable")
        found, begins = np.unique(ids[order], return_index=True)
        if len(found):
            yield from zip(found.tolist(), np.split(self._framed[order], begins[1:]), strict=True)

    def read(self, reading: _Reading, positions: Ints) -> None:
        """Read the records at ``positions``, all of one schema."""
        odd = positions
        if reading.plan is not None:
            starts, lengths = self._values.starts[positions], self._values.lengths[positions]
            columns = read(self._values.buffer, starts + HEADER, starts + lengths, reading.plan)
            self._parts.append((positions[columns.sure], columns.batch))
            odd = positions[~columns.sure]
        for position in odd.tolist():
            found = reading.reader.read(position, self._values[position] or b"")
            if isinstance(found, Refusal):
                self.refused.append(found)
            else:
                self._odd.append((position, found))

    def decoded(self) -> Decoded:
        """Put all parts in the order of the block."""
        if self._odd or not self._parts:
            self._odd.sort(key=lambda odd: odd[0])
            at = np.array([position for position, _ in self._odd], np.int64)
            self._parts.append((at, columns_of([row for _, row in self._odd])))
        rows = np.concatenate([positions for positions, _ in self._parts])
        batch = self._parts[0][1]
        if len(self._parts) > 1:
            order = np.argsort(rows)
            rows = rows[order]
            batch = take(pa.concat_batches([batch for _, batch in self._parts]), order)
        refused = sorted(self.refused, key=lambda refusal: refusal.position)
        return Decoded(len(self._values), rows, batch, refused, self._schema_ids[rows])


def warm_up() -> None:
    """Touch now what the first block would otherwise wait for: both ways of decoding, and every encoder's schema."""
    event = encode_event(
        {"submission": "s", "indicator": "i", "area": "VN", "time_period": "2026", "status": "M", "observed_at": 0}
    )
    padded = event[:-2] + event[-2:-1].replace(b"\x00", b"\x80\x80\x80\x80\x80\x80\x80\x80\x00") + event[-1:]
    EventCodec(BundledSchemas()).decode(Spans.of([event, padded, event[:-1]]))
