"""The reference decoder: one record at a time, by the schema's text, then fastavro for the values. It is the truth."""

import dataclasses
import io
from typing import Any

import fastavro

from schemas.codec_resolution import why_unresolved
from schemas.codec_schema import HEADER, MAGIC, UnknownSchema, WriterSchema, event
from schemas.codec_walk import BrokenError, Walk, field_steps, read_number
from schemas.reasons import Reason, Refusal, quote
from schemas.registry import SchemaSource

# A code or reference longer than this is not one: it is left out of refusals, which must stay small.
LONGEST_NAME = 256

Row = dict[
    str, Any
]  # our event's fields: texts as str, value and base float or None, status one of STATUSES, longs raw


class EventReader:
    """Reads records of one writer schema as our event."""

    def __init__(self, writer: WriterSchema) -> None:
        """Raise UnknownSchema when no record of ``writer`` can be read as our event."""
        why = why_unresolved(writer)
        if why is not None:
            raise UnknownSchema(f"schema id {writer.schema_id} cannot be read as our event: {why}")
        self.writer = writer
        self._steps = field_steps(writer)

    def read(self, position: int, raw: bytes) -> Row | Refusal:
        """Decode the framed record ``raw``, whose schema id is the writer's; ``position`` goes into a refusal."""
        walk = Walk(raw)
        seen: dict[str, int] = {}
        refuse = _Refuse(position, self.writer.schema_id, raw, seen)
        at, bad_text = HEADER, ("", "")
        for name, step in self._steps:
            seen[name] = at
            try:
                at = step(walk, at, 0)
            except BrokenError as broken:
                return refuse(Reason.UNDECODABLE, name, f"{broken}; write the record with the schema of its id")
            if walk.bad_text and not bad_text[0]:
                bad_text = (name, walk.bad_text)
        if bad_text[0]:
            return refuse(Reason.BAD_TEXT, bad_text[0], f"{bad_text[1]} is not UTF-8; encode texts as UTF-8")
        if at < len(raw):
            return refuse(
                Reason.TRAILING_BYTES,
                "value",
                f"{len(raw) - at} bytes follow the record; write one record to a message and nothing after it",
            )
        return self._values(raw, refuse)

    def _values(self, raw: bytes, refuse: "_Refuse") -> Row | Refusal:
        try:
            row: Any = fastavro.schemaless_reader(io.BytesIO(raw[HEADER:]), self.writer.schema, event().schema)
        except (ValueError, EOFError, LookupError, TypeError, OverflowError) as error:
            # The walk found no fault, fastavro does: they disagree about the specification. A refusal can be replayed.
            found = quote(f"{type(error).__name__}: {error}")
            return refuse(Reason.UNDECODABLE, "value", f"fastavro cannot read the record: {found}; report this schema")
        return dict(row)


@dataclasses.dataclass(frozen=True, slots=True)
class _Refuse:
    """Builds refusals of one record, with the names that were readable before the fault."""

    position: int
    schema_id: int
    raw: bytes
    seen: dict[str, int]

    def __call__(self, reason: Reason, field: str, detail: str) -> Refusal:
        return Refusal(
            self.position, reason, field, detail, self.schema_id, self._text("indicator"), self._text("submission")
        )

    def _text(self, name: str) -> str:
        if name not in self.seen:
            return ""
        try:
            length, start = read_number(self.raw, self.seen[name])
            if not 0 <= length <= min(LONGEST_NAME, len(self.raw) - start):
                return ""
            return self.raw[start : start + length].decode()
        except (BrokenError, UnicodeDecodeError):
            return ""


def frame_fault(position: int, raw: bytes | None) -> Refusal | None:
    """Refuse what is no Confluent frame; None when ``raw`` has a header."""
    if raw is None:
        return Refusal(
            position, Reason.TOMBSTONE, "value", "the value is null; withdraw a figure with status M instead"
        )
    if len(raw) < HEADER:
        return Refusal(
            position,
            Reason.SHORT_FRAME,
            "value",
            f"{len(raw)} bytes; a frame is the byte 0, 4 bytes of schema id and the record: use a Confluent serializer",
        )
    if raw[0] != MAGIC:
        return Refusal(
            position,
            Reason.BAD_MAGIC,
            "value",
            f"the first byte is 0x{raw[0]:02X}, 0x00 is allowed; use a Confluent Avro serializer",
        )
    return None


def unknown_schema(position: int, schema_id: int, why: UnknownSchema) -> Refusal:
    """Refuse a record of a schema that is not known or does not resolve to ours."""
    return Refusal(
        position,
        Reason.UNKNOWN_SCHEMA,
        "value",
        f"{why}; write with a registered version of the event's schema",
        schema_id,
    )


def decode_one(position: int, raw: bytes | None, schemas: SchemaSource) -> Row | Refusal:
    """Decode one record from its frame on: the definition that the block decoder must agree with. May raise Retry."""
    fault = frame_fault(position, raw)
    if fault is not None or raw is None:
        return fault  # type: ignore[return-value]  # a null value always has a fault
    schema_id = int.from_bytes(raw[1:HEADER])
    try:
        reader = EventReader(schemas.writer(schema_id))
    except UnknownSchema as why:
        return unknown_schema(position, schema_id, why)
    return reader.read(position, raw)
