"""A record as far as it decodes, field by field: for people who look at what was refused."""

import dataclasses
import io
from typing import Any

import fastavro

from schemas.codec_reference import frame_fault
from schemas.codec_schema import HEADER, UnknownSchema, WriterSchema
from schemas.codec_walk import BrokenError, Walk, field_steps
from schemas.reasons import quote
from schemas.registry import SchemaSource


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field of the writer's schema: its bytes ``start`` to ``stop`` (exclusive) of the record, and what they say.

    Bytes of a text that are no UTF-8 are U+FFFD in ``value``; instants are raw numbers.
    """

    name: str
    start: int
    stop: int
    value: object


@dataclasses.dataclass(frozen=True, slots=True)
class Partial:
    """The leading fields that decode, and what is wrong after or within them: "" when the record is whole."""

    schema_id: int | None
    fields: tuple[Field, ...]
    fault: str


def read_partial(raw: bytes | None, schemas: SchemaSource) -> Partial:
    """Read one framed record up to its first fault. Raises Retry when its schema could not be asked for."""
    unframed = frame_fault(0, raw)
    if unframed is not None or raw is None:
        return Partial(None, (), unframed.detail if unframed else "")
    schema_id = int.from_bytes(raw[1:HEADER])
    try:
        writer = schemas.writer(schema_id)
    except UnknownSchema as why:
        return Partial(schema_id, (), str(why))
    spans, fault = _walk(writer, raw)
    try:
        values = _values(writer, raw, len(spans))
    except (ValueError, EOFError, LookupError, TypeError, OverflowError) as error:
        # As in the reference: the two disagree about the specification, and nothing can be shown with certainty.
        return Partial(schema_id, (), f"fastavro cannot read the record: {quote(f'{type(error).__name__}: {error}')}")
    return Partial(schema_id, tuple(Field(*span, values[span[0]]) for span in spans), fault)


def _walk(writer: WriterSchema, raw: bytes) -> tuple[list[tuple[str, int, int]], str]:
    """Give (name, start, stop) of every field up to the first that is broken, and the first fault."""
    walk, at, bad_text = Walk(raw), HEADER, ""
    spans: list[tuple[str, int, int]] = []
    for name, step in field_steps(writer):
        try:
            stop = step(walk, at, 0)
        except BrokenError as broken:
            return spans, bad_text or f"{name}, at byte {at}: {broken}"
        if walk.bad_text and not bad_text:
            bad_text = f"{name}, at byte {at}: {walk.bad_text} is not UTF-8"
        spans.append((name, at, stop))
        at = stop
    trailing = f"{len(raw) - at} bytes follow the record, at byte {at}" if at < len(raw) else ""
    return spans, bad_text or trailing


def _values(writer: WriterSchema, raw: bytes, count: int) -> dict[str, Any]:
    """Read the first ``count`` fields by a schema of these alone."""
    leading = {"type": "record", "name": writer.schema["name"], "fields": writer.schema["fields"][:count]}
    body = io.BytesIO(raw[HEADER:])
    row: Any = fastavro.schemaless_reader(body, leading, None, handle_unicode_errors="replace")
    return dict(row)
