import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import EVENT_COLUMNS, STATUSES, Decoded, EventCodec, decode_line, encode_event, encode_line
from schemas.codec_reference import decode_one
from schemas.reasons import Refusal
from schemas.registry import SchemaSource
from schemas.spans import Spans
from tests.support.schema_shelf import OURS, Shelf, version

TEXTS = st.text(max_size=70) | st.sampled_from(
    ["", "VN", "G18.001", "2026-11-23", "_T", "x" * 63, "x" * 64, "x" * 9000]
)
EVENTS = st.fixed_dictionaries(
    {
        "submission": TEXTS,
        "indicator": TEXTS,
        "area": TEXTS,
        "breakdown": TEXTS,
        "time_period": TEXTS,
        "value": st.none() | st.floats(),
        "base": st.none() | st.floats(),
        "status": st.sampled_from(STATUSES),
        "revision": st.integers(-(2**31), 2**31 - 1) | st.integers(0, 100),
        "observed_at": st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2**42),
        "note": st.none() | TEXTS,
    }
)
VARINTS = st.integers(0, 2**70).map(lambda raw: _groups(raw)) | st.binary(max_size=12)  # noqa: PLW0108 - defined below
ADDED_TYPES = st.recursive(
    st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])
    | st.just({"type": "string", "logicalType": "uuid"})
    | st.just({"type": "long", "logicalType": "timestamp-micros"})
    | st.just({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}),
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner.filter(lambda kind: kind != "null"))
        | st.builds(lambda values: {"type": "map", "values": values}, inner)
        | inner.filter(lambda kind: kind != "null" and not isinstance(kind, list)).map(lambda kind: ["null", kind])
    ),
    max_leaves=3,
)
CHANGED_TYPES: dict[str, list[Any]] = {
    "value": [
        "double",
        "float",
        "int",
        "long",
        ["double", "null"],
        ["null", "float", "long"],
        ["null", "string", "double"],
    ],
    "base": ["double", ["null", "int"]],
    "revision": [["null", "int"], ["int", "string"]],
    "observed_at": ["int", "long", ["long", "null"]],
    "note": ["string", "bytes", ["string", "null"], ["null", "bytes"]],
    "area": ["bytes", ["null", "string"], {"type": "string", "logicalType": "uuid"}],
    "status": [
        {"type": "enum", "name": "ObsStatus", "symbols": list("PMIFEBA")},
        {"type": "enum", "name": "ObsStatus", "symbols": ["X", "A", "Y", "M"]},
        ["null", {"type": "enum", "name": "ObsStatus", "symbols": ["A", "M"]}],
    ],
}
OPTIONAL = ["breakdown", "value", "base", "status", "revision", "note"]


def _groups(raw: int) -> bytes:
    written = bytearray()
    while raw > 0x7F:
        written.append(raw & 0x7F | 0x80)
        raw >>= 7
    return bytes([*written, raw])


@st.composite
def schemas(draw: st.DrawFn) -> Any:
    """Draw a schema that resolves to ours, if not for all data: fields added, left out, moved or of other types."""
    without = draw(st.lists(st.sampled_from(OPTIONAL), max_size=2, unique=True))
    kept = [field["name"] for field in OURS["fields"] if field["name"] not in without]
    types = {
        name: draw(st.sampled_from(kinds))
        for name, kinds in CHANGED_TYPES.items()
        if name in kept and draw(st.integers(0, 5)) == 0
    }
    added = [{"name": f"added_{n}", "type": draw(ADDED_TYPES)} for n in range(draw(st.integers(0, 2)))]
    schema = version(*added, without=tuple(without), first=tuple(draw(st.permutations(kept))), **types)
    return {**schema, "fields": draw(st.permutations(schema["fields"]))} if draw(st.booleans()) else schema


def datum(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type, as fastavro writes it."""
    simple: dict[str, st.SearchStrategy[Any]] = {
        "null": st.none(),
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "float": st.floats(width=32),
        "double": st.floats(),
        "bytes": st.binary(max_size=20),
        "string": TEXTS,
    }
    if isinstance(kind, list):
        return st.one_of([datum(each) for each in kind])
    if isinstance(kind, str):
        return simple[kind]
    match kind["type"]:
        case "array":
            return st.lists(datum(kind["items"]), max_size=3)
        case "map":
            return st.dictionaries(TEXTS, datum(kind["values"]), max_size=3)
        case "enum":
            return st.sampled_from(kind["symbols"])
    return simple[kind["type"]]


@st.composite
def written_with(draw: st.DrawFn, schema_id: int, schema: Any) -> bytes:
    """Draw a record of the schema, logical types left aside."""
    record = {field["name"]: draw(datum(field["type"])) for field in schema["fields"]}
    plain = json.loads(
        json.dumps(schema), object_hook=lambda node: {k: v for k, v in node.items() if k != "logicalType"}
    )
    written = io.BytesIO()
    fastavro.schemaless_writer(written, plain, record)
    return b"\0" + schema_id.to_bytes(4) + written.getvalue()


@st.composite
def hostile(draw: st.DrawFn, honest: st.SearchStrategy[bytes]) -> bytes | None:
    """Draw a record, honest or spoilt in one of many ways."""
    raw = draw(honest)
    at = draw(st.integers(0, len(raw)))
    spoilt: bytes | None = raw
    match draw(st.integers(0, 9)):
        case 0:
            spoilt = raw[:at]
        case 1:
            spoilt = raw[:at] + draw(st.binary(min_size=1, max_size=3)) + raw[at:]
        case 2:
            spoilt = raw + draw(st.binary(min_size=1, max_size=9))
        case 3:
            flipped = bytearray(raw)
            flipped[at - 1] ^= 1 << draw(st.integers(0, 7))
            spoilt = bytes(flipped)
        case 4:
            spoilt = raw[:at] + draw(VARINTS) + raw[at + draw(st.integers(0, 2)) :]
        case 5:
            spoilt = draw(st.none() | st.binary(max_size=60) | st.binary(max_size=60).map(lambda body: raw[:5] + body))
    return spoilt


def expect_agreement(values: list[bytes | None], source: SchemaSource) -> None:
    """Check that a block is decoded as its records are by the reference: same rows, values, reasons and words."""
    decoded = EventCodec(source).decode(Spans.of(values))
    rows, ids, refused = [], [], []
    for position, raw in enumerate(values):
        found = decode_one(position, raw, source)
        if isinstance(found, Refusal):
            refused.append(found)
        else:
            rows.append((position, {name: found[name] for name in EVENT_COLUMNS.names}))
            ids.append(int.from_bytes((raw or b"")[1:5]))
    assert decoded.refused == refused
    assert decoded.rows.tolist() == [position for position, _ in rows]
    assert decoded.schema_ids.tolist() == ids
    assert decoded.size == len(values)
    assert decoded.batch.schema == EVENT_COLUMNS
    decoded.batch.validate(full=True)
    assert rows_of(decoded) == [repr(row) for _, row in rows]


def rows_of(decoded: Decoded) -> list[str]:
    """Write out the rows, since NaN equals nothing and 0.0 equals -0.0."""
    return [repr({**row, "status": STATUSES[row["status"]]}) for row in decoded.batch.to_pylist()]


@settings(max_examples=200, deadline=None)
@given(st.lists(hostile(EVENTS.map(encode_event)), max_size=12))
def test_a_block_is_decoded_as_its_records_are_one_by_one(values: list[bytes | None]) -> None:
    expect_agreement(values, Shelf({1: version()}))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_block_of_evolved_schemas_is_decoded_as_its_records_are_one_by_one(data: st.DataObject) -> None:
    shelf = {1: version(), 7: data.draw(schemas()), 2**31: data.draw(schemas())}
    honest = [written_with(schema_id, schema) for schema_id, schema in shelf.items()]
    values = data.draw(st.lists(hostile(st.one_of(honest)), max_size=8))
    expect_agreement(values, Shelf(shelf))


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, max_size=12))
def test_every_event_comes_back_as_it_was_encoded(events: list[dict[str, Any]]) -> None:
    decoded = EventCodec(Shelf({1: version()})).decode(Spans.of([encode_event(event) for event in events]))
    assert decoded.refused == []
    assert rows_of(decoded) == [repr({name: event[name] for name in EVENT_COLUMNS.names}) for event in events]


@settings(max_examples=100, deadline=None)
@given(EVENTS)
def test_our_encoder_writes_what_fastavro_writes(event: dict[str, Any]) -> None:
    plain = version(observed_at="long", first=())
    written = io.BytesIO()
    fastavro.schemaless_writer(written, plain, event)
    assert encode_event(event)[5:] == written.getvalue()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_fields_that_are_added_or_moved_do_not_change_what_an_event_says(data: st.DataObject) -> None:
    order = data.draw(st.permutations([field["name"] for field in OURS["fields"]]))
    added = [{"name": f"added_{n}", "type": data.draw(ADDED_TYPES)} for n in range(data.draw(st.integers(0, 3)))]
    schema = version(*added, first=tuple(order))
    event = data.draw(EVENTS)
    more = {field["name"]: data.draw(datum(field["type"])) for field in added}
    plain = json.loads(
        json.dumps(schema), object_hook=lambda node: {k: v for k, v in node.items() if k != "logicalType"}
    )
    written = io.BytesIO()
    fastavro.schemaless_writer(written, plain, {**event, **more})
    decoded = EventCodec(Shelf({9: schema})).decode(Spans.of([b"\0\0\0\0\x09" + written.getvalue()]))
    assert decoded.refused == []
    assert rows_of(decoded) == [repr({name: event[name] for name in EVENT_COLUMNS.names})]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(max_size=5),
            *(st.none() | st.integers(-(10**18), 10**18) for _ in range(3)),
            *(st.integers(0, 2**31 - 1) for _ in range(3)),
        ),
        max_size=5,
    )
)
def test_the_totals_of_a_line_come_back_exactly(areas: list[Any]) -> None:
    line = decode_line(encode_line(-1, "i", "b", 2**63 - 1, -1, "P", ["x"] * len(areas), areas))
    got = [tuple(None if each is None else each for each in area.values()) for area in line["areas"]]
    assert [(area[0], *(ticks(value) for value in area[1:4]), *area[4:]) for area in got] == areas


def ticks(value: Any) -> int | None:
    return None if value is None else int(value.scaleb(4))


@pytest.mark.parametrize("lead", range(0x80, 0x100))
def test_both_ways_call_the_same_bytes_text(lead: int) -> None:
    source = Shelf({1: version()})
    honest = encode_event({"submission": "s", "indicator": "i", "area": "aaaa", "time_period": "t", "observed_at": 0})
    tails = [bytes((lead, second, third, 0x80)) for second in range(0x70, 0xD0, 3) for third in (0x61, 0x80, 0xBF)]
    tails += [bytes((lead, second)) + b"aa" for second in range(0x7E, 0xC2)]
    tails += [bytes((lead, second, 0x80)) + b"a" for second in range(0x7E, 0xC2)]
    expect_agreement([honest.replace(b"aaaa", tail) for tail in tails], source)
