"""One record among good neighbours: the block decoder, the reference and fastavro alone say the same of it."""

import functools
import io
import json
import re
from collections.abc import Sequence
from typing import Any

import fastavro

from schemas.codec import EVENT_COLUMNS, STATUSES, Decoded, EventCodec
from schemas.codec_reference import EventReader, Row, decode_one
from schemas.codec_schema import HEADER
from schemas.reasons import Reason, Refusal
from schemas.spans import Spans
from tests.support.schema_shelf import OURS, Shelf, version
from tests.support.wire import event, frame

LINK = {
    "type": "record",
    "name": "Link",
    "fields": [{"name": "n", "type": "int"}, {"name": "next", "type": ["null", "Link"]}],
}
SHELF = {
    1: OURS,
    7: version(
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "sums", "type": {"type": "map", "values": ["null", "long", "float"]}},
        {"name": "seen", "type": "boolean"},
        {"name": "seal", "type": {"type": "fixed", "name": "Seal", "size": 3}},
        {"name": "link", "type": ["null", LINK]},
        first=("observed_at", "note", "status"),
    ),
    8: version(
        without=("breakdown", "base"),
        value=["double", "null", "int", "string"],
        area="bytes",
        status={"type": "enum", "name": "ObsStatus", "symbols": ["X", "M", "A", "P"]},
        revision=["null", "int", "string"],
        observed_at="int",
        note=["bytes", "null", "string"],
    ),
}
GOOD = frame(event("G18.001", "01", "2026-11-23T06:00:00/PT6H", 12.0, note="tốt"))

# What fastavro lets pass though the format's text does not, each by the words of our refusal.
LAX = re.compile(
    r"the record ends \d+ bytes early"  # a text behind whose length too little follows
    r"|a number (is wider than 64 bits|takes more than 10 bytes)"
    r"|an int is -?\d+, outside 32 bits"
    r"|the symbol -\d+ does not exist"
    r"|the length -\d+ is negative"
    r"|a boolean is the byte \d+"
    r"|a block of items does not end where its size says"
    r"|the union branch -\d+ does not exist"
    r"|(records|values) lie in each other more than 32 deep"
)


def values_of(data: bytes) -> list[bytes | None]:
    """Make a block: the first byte says how the rest becomes a record, which comes twice, among good ones."""
    how, rest = data[:1], data[1:]
    ids = {b"\x01": 1, b"\x07": 7, b"\x08": 8}
    odd = b"\x00" + ids[how].to_bytes(4) + rest if how in ids else rest
    return [GOOD, odd, GOOD, None, odd, odd[:-1], GOOD]


def decode(codec: EventCodec, values: Sequence[bytes | None]) -> Decoded:
    """Hand a block to the decoder: the only place that knows in which form it takes one."""
    return codec.decode(Spans.of(values))


def check(data: bytes) -> None:
    """Raise when the three do not agree about a record, or when its neighbours change."""
    shelf, codec = _ours()
    values = values_of(data)
    decoded = decode(codec, values)
    refused = []
    rows: list[tuple[int, Row]] = []
    for position, raw in enumerate(values):
        found = _judged(position, raw, shelf)
        if isinstance(found, Refusal):
            refused.append(found)
        else:
            rows.append((position, {name: found[name] for name in EVENT_COLUMNS.names}))
    assert decoded.size == len(values)
    assert decoded.refused == refused, (decoded.refused, refused)
    assert decoded.rows.tolist() == [position for position, _ in rows]
    decoded.batch.validate(full=True)
    assert shown(decoded) == [repr(row) for _, row in rows]
    assert {0, 2, 6} <= set(decoded.rows.tolist())
    _alone(values[1] or b"", next((row for row in rows if row[0] == 1), None), refused)


def shown(decoded: Decoded) -> list[str]:
    """Write out the rows, since NaN equals nothing and 0.0 equals -0.0."""
    return [repr({**row, "status": STATUSES[row["status"]]}) for row in decoded.batch.to_pylist()]


@functools.cache
def _ours() -> tuple[Shelf, EventCodec]:
    shelf = Shelf(SHELF)
    return shelf, EventCodec(shelf)


@functools.cache
def _reader(schema_id: int) -> EventReader:
    return EventReader(_ours()[0].writer(schema_id))


@functools.cache
def _plain(schema_id: int) -> Any:
    return fastavro.parse_schema(json.loads(json.dumps(SHELF[schema_id]), object_hook=_without_logical_types))


def _without_logical_types(node: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name != "logicalType"}


def _judged(position: int, raw: bytes | None, shelf: Shelf) -> Row | Refusal:
    if raw is not None and len(raw) >= HEADER and raw[0] == 0 and int.from_bytes(raw[1:HEADER]) in SHELF:
        return _reader(int.from_bytes(raw[1:HEADER])).read(position, raw)  # as decode_one, but compiled once
    return decode_one(position, raw, shelf)


def _alone(raw: bytes, found: tuple[int, Row] | None, refused: Sequence[Refusal]) -> None:
    """Compare with fastavro left to itself: what only one of the two accepts has a reason on the list."""
    schema_id = int.from_bytes(raw[1:HEADER]) if len(raw) >= HEADER and raw[0] == 0 else 0
    if schema_id not in SHELF:
        assert found is None
        return
    stream = io.BytesIO(raw[HEADER:])
    try:
        row: Any = fastavro.schemaless_reader(stream, _plain(schema_id), _plain(1))
    except Exception:  # noqa: BLE001 - it refuses in many ways
        assert found is None, "accepted, though fastavro refuses it"
        return
    if found is not None:
        assert stream.tell() == len(raw) - HEADER
        assert repr({name: row[name] for name in EVENT_COLUMNS.names}) == repr(found[1])
        return
    why = next(refusal for refusal in refused if refusal.position == 1)
    listed = (
        why.reason is Reason.TRAILING_BYTES
        or (why.reason is Reason.UNDECODABLE and LAX.match(why.detail))
        # Fields that are not ours fastavro steps over unseen: texts that are none, branches beyond the last.
        or why.field not in EVENT_COLUMNS.names
    )
    assert listed, f"refused, though fastavro reads it: {why}"
