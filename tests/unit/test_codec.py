import datetime as dt
import io
import math
import os
import struct
import subprocess
import sys
from decimal import Decimal
from typing import Any

import fastavro
import pytest

from schemas.codec import (
    EVENT_COLUMNS,
    STATUSES,
    EventCodec,
    decode_line,
    decode_line_in_ticks,
    decode_rejected,
    encode_event,
    encode_line,
    encode_rejected,
    warm_up,
)
from schemas.codec_reference import decode_one
from schemas.errors import Retry
from schemas.reasons import Reason, Refusal
from schemas.registry import BundledSchemas
from schemas.spans import Spans
from tests.support.schema_shelf import Shelf, version
from tests.support.wire import body, event, frame, number, text, varint

GOOD = event("G18.001", "01", "2026-11-23", 12.5, status="P", revision=3, note="đính chính")


def spoil(**parts: bytes) -> bytes:
    """Write GOOD with the bytes of some fields replaced."""
    written = {
        "submission": text("S1"),
        "indicator": text("G18.001"),
        "area": text("01"),
        "breakdown": text("_T"),
        "time_period": text("2026-11-23"),
        "value": number(12.5),
        "base": number(None),
        "status": varint(6),
        "revision": varint(3),
        "observed_at": varint(1_700_000_000_000),
        "note": b"\x02" + text("đính chính"),
    }
    return b"\0\0\0\0\1" + b"".join((written | parts).values())


def judge(raw: bytes | None, schemas: Any = None) -> dict[str, Any] | Refusal:
    """Decode one record in a block between good ones, and check that the reference says the same."""
    alone = schemas is not None
    schemas = schemas or BundledSchemas()
    between = EventCodec(schemas).decode(Spans.of([raw] if alone else [frame(GOOD), raw, frame(GOOD)]))
    at = 0 if alone else 1
    reference = decode_one(at, raw, schemas)
    if isinstance(reference, Refusal):
        assert between.refused == [reference]
        assert between.batch.num_rows == between.size - 1
        return reference
    assert between.refused == []
    row: dict[str, Any] = between.batch.to_pylist()[at]
    row["status"] = STATUSES[row["status"]]
    assert repr(row) == repr({name: reference[name] for name in EVENT_COLUMNS.names})
    return row


def test_a_good_record_comes_back_as_written() -> None:
    assert judge(frame(GOOD)) == GOOD
    assert spoil() == frame(GOOD)


@pytest.mark.parametrize(
    ("raw", "reason", "field"),
    [
        (None, Reason.TOMBSTONE, "value"),
        (b"", Reason.SHORT_FRAME, "value"),
        (b"\0\0\0\0", Reason.SHORT_FRAME, "value"),
        (b"{}", Reason.SHORT_FRAME, "value"),
        (b'{"submission": "S1"}', Reason.BAD_MAGIC, "value"),
        (b"\x01" + frame(GOOD)[1:], Reason.BAD_MAGIC, "value"),
        (frame(GOOD, 77), Reason.UNKNOWN_SCHEMA, "value"),
        (frame(GOOD, 2**32 - 1), Reason.UNKNOWN_SCHEMA, "value"),
        (frame(GOOD, 2), Reason.UNKNOWN_SCHEMA, "value"),
        (b"\0\0\0\0\1", Reason.UNDECODABLE, "submission"),
        (frame(GOOD)[:-1], Reason.UNDECODABLE, "note"),
        (spoil(submission=b"\x03S1"), Reason.UNDECODABLE, "submission"),
        (spoil(area=varint(-1)), Reason.UNDECODABLE, "area"),
        (spoil(area=varint(2**62) + b"01"), Reason.UNDECODABLE, "area"),
        (spoil(area=b"\xff" * 9 + b"\x01"), Reason.UNDECODABLE, "area"),
        (spoil(value=varint(2)), Reason.UNDECODABLE, "value"),
        (spoil(value=varint(-1)), Reason.UNDECODABLE, "value"),
        (spoil(base=varint(-2)), Reason.UNDECODABLE, "base"),
        (spoil(note=varint(2)), Reason.UNDECODABLE, "note"),
        (spoil(status=varint(7)), Reason.UNDECODABLE, "status"),
        (spoil(status=varint(-1)), Reason.UNDECODABLE, "status"),
        (spoil(status=varint(-7)), Reason.UNDECODABLE, "status"),
        (spoil(status=varint(2**32)), Reason.UNDECODABLE, "status"),
        (spoil(revision=varint(2**31)), Reason.UNDECODABLE, "revision"),
        (spoil(revision=varint(2**32 + 5)), Reason.UNDECODABLE, "revision"),
        (spoil(revision=varint(2**32 + 2**31 - 1)), Reason.UNDECODABLE, "revision"),
        (spoil(revision=varint(-(2**31) - 1)), Reason.UNDECODABLE, "revision"),
        (spoil(observed_at=b"\xff" * 9 + b"\x02"), Reason.UNDECODABLE, "observed_at"),
        (spoil(observed_at=b"\x80" * 10 + b"\x00"), Reason.UNDECODABLE, "observed_at"),
        (spoil(submission=text(b"S\xff")), Reason.BAD_TEXT, "submission"),
        (spoil(note=b"\x02" + text(b"\xed\xa0\x80")), Reason.BAD_TEXT, "note"),
        (spoil(note=b"\x02" + text(b"\xc0\x80")), Reason.BAD_TEXT, "note"),
        (spoil(area=text(b"\xc4"), breakdown=text(b"\x91")), Reason.BAD_TEXT, "area"),
        (frame(GOOD) + b"\0", Reason.TRAILING_BYTES, "value"),
        (frame(GOOD) + body(GOOD), Reason.TRAILING_BYTES, "value"),
    ],
)
def test_what_does_not_follow_the_schema_is_refused_with_the_field(
    raw: bytes | None, reason: Reason, field: str
) -> None:
    refusal = judge(raw)
    assert isinstance(refusal, Refusal)
    assert (refusal.position, refusal.reason, refusal.field) == (1, reason, field)
    assert refusal.detail
    assert refusal.schema_id == (None if raw is None or len(raw) < 5 or raw[0] else int.from_bytes(raw[1:5]))


def test_broken_bytes_come_before_bad_text_and_bad_text_before_trailing_bytes() -> None:
    broken_and_bad = judge(spoil(submission=text(b"\xff"), status=varint(9)) + b"!")
    bad_and_trailing = judge(spoil(time_period=text(b"\xff")) + b"!")
    assert isinstance(broken_and_bad, Refusal)
    assert isinstance(bad_and_trailing, Refusal)
    assert broken_and_bad.reason is Reason.UNDECODABLE
    assert bad_and_trailing.reason is Reason.BAD_TEXT


def test_a_refusal_names_indicator_and_submission_when_they_are_readable() -> None:
    assert names(judge(frame(GOOD) + b"!")) == ("G18.001", "S1")
    assert names(judge(spoil(status=varint(9)))) == ("G18.001", "S1")
    assert names(judge(spoil(submission=text(b"\xff")))) == ("G18.001", "")
    assert names(judge(spoil(indicator=varint(-5)))) == ("", "S1")
    assert names(judge(spoil(submission=text("x" * 300)) + b"!")) == ("G18.001", "")
    assert names(judge(None)) == ("", "")


def names(refusal: dict[str, Any] | Refusal) -> tuple[str, str]:
    assert isinstance(refusal, Refusal)
    return refusal.indicator, refusal.submission


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324, None])
def test_every_double_passes_and_null_stays_apart_from_nan(value: float | None) -> None:
    row = judge(frame({**GOOD, "value": value, "base": value}))
    assert isinstance(row, dict)
    assert repr(row["value"]) == repr(row["base"]) == repr(value)


@pytest.mark.parametrize("moment", [0, -1, 253_402_300_800_000, 2**55, 2**63 - 1, -(2**63)])
def test_an_instant_of_any_year_is_the_raw_long(moment: int) -> None:
    assert judge(frame({**GOOD, "observed_at": moment})) == {**GOOD, "observed_at": moment}


@pytest.mark.parametrize("revision", [2**31 - 1, -(2**31), 2**27, -1])
def test_an_int_may_take_all_its_32_bits(revision: int) -> None:
    assert judge(frame({**GOOD, "revision": revision})) == {**GOOD, "revision": revision}


@pytest.mark.parametrize("padding", [1, 5, 9])
def test_a_padded_number_has_its_value(padding: int) -> None:
    padded = b"\x86" + b"\x80" * (padding - 1) + b"\x00"
    assert judge(spoil(revision=padded)) == GOOD


def test_a_note_of_ten_megabytes_is_read() -> None:
    note = "đ" * 5_000_000
    assert judge(frame({**GOOD, "note": note})) == {**GOOD, "note": note}


def test_empty_texts_and_texts_of_every_length_of_length_are_read() -> None:
    for size in (0, 1, 63, 64, 8191, 8192, 1_048_575, 1_048_576):
        assert judge(frame({**GOOD, "submission": "x" * size})) == {**GOOD, "submission": "x" * size}


def test_an_empty_block_and_a_block_of_refusals_only_have_no_rows() -> None:
    codec = EventCodec(BundledSchemas())
    for values in ([], [None, b"", b"\x01....", frame(GOOD, 9), frame(GOOD)[:-1]]):
        decoded = codec.decode(Spans.of(values))
        assert decoded.size == len(values)
        assert decoded.batch.num_rows == len(decoded.rows) == len(decoded.schema_ids) == 0
        assert decoded.batch.schema == EVENT_COLUMNS
        assert [refusal.position for refusal in decoded.refused] == list(range(len(values)))


def test_what_the_reader_may_be_asked_for_again_is_decided_for_no_record() -> None:
    class Unreachable:
        def writer(self, schema_id: int) -> Any:
            raise Retry(f"no answer about {schema_id}")

    with pytest.raises(Retry):
        EventCodec(Unreachable()).decode(Spans.of([None, frame(GOOD)]))
    assert EventCodec(Unreachable()).decode(Spans.of([None])).refused[0].reason is Reason.TOMBSTONE


def test_a_block_mixes_schema_ids_and_keeps_its_order() -> None:
    shelf = Shelf({1: version(), 7: version({"name": "extra", "type": ["string", "null"]}), 9: version(base="float")})
    written = []
    for n in range(9):
        said = event("G18.001", f"{n:02d}", "2026", float(n))
        own, extended = frame(said), frame(said, 7) + b"\0" + text("more")
        narrower = frame(said, 9).replace(
            number(float(n)) + number(None), number(float(n)) + struct.pack("<f", n + 0.5)
        )
        written.append((own, extended, narrower)[n % 3])
    decoded = EventCodec(shelf).decode(Spans.of(written))
    assert decoded.refused == []
    assert decoded.rows.tolist() == list(range(9))
    assert decoded.schema_ids.tolist() == [1, 7, 9] * 3
    assert decoded.batch.column("area").to_pylist() == [f"{n:02d}" for n in range(9)]
    assert decoded.batch.column("value").to_pylist() == [float(n) for n in range(9)]
    assert decoded.batch.column("base").to_pylist() == [None, None, 2.5, None, None, 5.5, None, None, 8.5]


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({**version(), "name": "Other"}, "Other"),
        (version(without=("area",)), "area"),
        (version(revision="long"), "revision"),
        (version(value="string"), "value"),
        (version(status="string"), "status"),
        (version(observed_at={"type": "long", "logicalType": "timestamp-micros"}), "timestamp-micros"),
        (version({"name": "submission", "type": "string"}), "twice"),
        (version({"name": "holes", "type": {"type": "array", "items": "null"}}), "no bytes"),
        (version({"name": "lost", "type": "Elsewhere"}), "not a valid Avro schema"),
        ("string", "not a record"),
    ],
)
def test_a_schema_that_does_not_resolve_to_ours_is_unknown_and_says_why(schema: Any, says: str) -> None:
    refusal = judge(frame(GOOD, 7), Shelf({7: schema}))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.UNKNOWN_SCHEMA
    assert refusal.schema_id == 7
    assert says in refusal.detail


def test_missing_fields_take_our_defaults() -> None:
    shelf = Shelf({7: version(without=("breakdown", "value", "base", "status", "revision", "note"))})
    raw = b"\0\0\0\0\7" + b"".join((text("S1"), text("G18.001"), text("01"), text("2026"), varint(5)))
    assert judge(raw, shelf) == event("G18.001", "01", "2026", None, status="A", observed_at=5)


def test_a_symbol_that_ours_lacks_is_undecodable_and_others_are_read() -> None:
    shelf = Shelf({7: version(status={"type": "enum", "name": "ObsStatus", "symbols": ["Q", "P", "A"]})})
    assert judge(extended(status=varint(1)), shelf) == GOOD
    assert fault(judge(extended(status=varint(0)), shelf)) == (Reason.UNDECODABLE, "status")


def test_a_branch_that_cannot_become_ours_is_undecodable_and_others_are_read() -> None:
    shelf = Shelf({7: version(area=["string", "int"])})
    assert judge(extended(area=b"\0" + text("01")), shelf) == GOOD
    assert fault(judge(extended(area=b"\x02\x08"), shelf)) == (Reason.UNDECODABLE, "area")


def test_bytes_that_are_read_as_a_text_have_to_be_utf_8() -> None:
    shelf = Shelf({7: version(area="bytes")})
    assert judge(extended(), shelf) == GOOD
    assert fault(judge(extended(area=text(b"\xff")), shelf)) == (Reason.BAD_TEXT, "area")


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("boolean", [b"\0", b"\1"], [b"", b"\2", b"\xff"]),
        ("float", [b"1234"], [b"123"]),
        ("bytes", [b"\0", b"\x04\xff\xff"], [b"\1", b"\x06\xff\xff"]),
        (["null", "string"], [b"\0", b"\2\2a"], [b"\4", b"\2\4a", b"\2\1"]),
        (["int", "string", "null"], [b"\0\5", b"\4", b"\2\0"], [b"\6", b"\0", b"\0\x80\x80\x80\x80\x20"]),
        ({"type": "fixed", "name": "F", "size": 3}, [b"abc"], [b"ab"]),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, [b"\0", b"\2"], [b"\1", b"\4"]),
        ({"type": "enum", "name": "E", "symbols": []}, [], [b"\0", b"\1"]),
        *(
            ({"type": "enum", "name": "E", "symbols": [f"S{n}" for n in range(n)]}, [varint(n - 1)], [varint(n)])
            for n in (64, 65, 128, 129, 255, 256, 300)
        ),
        (
            {"type": "array", "items": "int"},
            [b"\0", b"\2\5\0", b"\4\5\5\2\5\0", b"\3\4\5\5\0"],
            [b"\2\5", b"\3\2\5\5\0", b"\3\6\5\5\5\0", b"\3\1\5\5\0", b"\xfe\xff\xff\xff\xff\1\5"],
        ),
        ({"type": "map", "values": "int"}, [b"\0", b"\2\2a\5\0"], [b"\2\5\0", b"\2\2a\0"]),
    ],
)
def test_an_added_field_is_skipped_by_the_text_of_its_type(kind: Any, good: list[bytes], bad: list[bytes]) -> None:
    shelf = Shelf({7: version({"name": "added", "type": kind})})
    for more in good:
        assert judge(extended() + more, shelf) == GOOD
    for more in bad:
        assert fault(judge(extended() + more, shelf)) == (Reason.UNDECODABLE, "added")


def test_a_skipped_text_has_to_be_utf_8() -> None:
    for kind, start in (("string", b""), (["string", "null"], b"\0"), ({"type": "map", "values": "int"}, b"\2")):
        shelf = Shelf({7: version({"name": "added", "type": kind})})
        end = b"\5\0" if start == b"\2" else b""
        assert fault(judge(extended() + start + text(b"\xff") + end, shelf)) == (Reason.BAD_TEXT, "added")


def extended(**parts: bytes) -> bytes:
    """Write GOOD as spoil does, under the schema id 7."""
    return b"\0\0\0\0\7" + spoil(**parts)[5:]


def fault(refusal: dict[str, Any] | Refusal) -> tuple[Reason, str]:
    assert isinstance(refusal, Refusal)
    return refusal.reason, refusal.field


def test_records_that_hold_themselves_are_read_to_a_depth_and_no_further() -> None:
    shelf = Shelf({7: version({"name": "previous", "type": ["null", "IndicatorEvent"]})})
    inner = body(GOOD) + b"\x00"
    assert judge(b"\0\0\0\0\7" + body(GOOD) + b"\x02" + inner, shelf) == GOOD
    deep = judge(b"\0\0\0\0\7" + (body(GOOD) + b"\x02") * 5_000 + inner, shelf)
    assert isinstance(deep, Refusal)
    assert (deep.reason, deep.field) == (Reason.UNDECODABLE, "previous")


def test_what_is_encoded_is_what_an_agency_would_send() -> None:
    assert encode_event(GOOD) == frame(GOOD)
    assert encode_event(GOOD, 300) == frame(GOOD, 300)
    moment = dt.datetime(2023, 11, 15, 5, 13, 20, 123_456, dt.timezone(dt.timedelta(hours=7)))
    assert encode_event({**GOOD, "observed_at": moment}) == frame({**GOOD, "observed_at": 1_700_000_000_123})
    bare = {"submission": "S1", "indicator": "G18.001", "area": "01", "time_period": "2026", "observed_at": 5}
    assert encode_event(bare) == frame(event("G18.001", "01", "2026", None, status="A", observed_at=5))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"observed_at": dt.datetime(2026, 1, 1)}, ValueError),  # noqa: DTZ001 - the point of the test
        ({"observed_at": 2**63}, ValueError),
        ({"revision": 2**31}, ValueError),
        ({"status": "Q"}, ValueError),
        ({"status": "AB"}, ValueError),
        ({"note": "\ud800"}, ValueError),
        ({"area": None}, TypeError),
        ({"value": "12"}, TypeError),
        ({"revision": 1.0}, TypeError),
        ({"revision": True}, TypeError),
        ({"observed_at": "2026"}, TypeError),
    ],
)
def test_what_the_schema_cannot_hold_is_not_encoded(change: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        encode_event({**GOOD, **change})


def test_a_line_comes_back_with_decimals_dates_and_aware_instants() -> None:
    areas = [("01", 12_345, -1, 2**62, 1, 1, 24), ("VN", None, None, None, 0, 63, 0)]
    framed = encode_line(
        20_780, "G18.001", "_T", 2**40, 1_795_000_000_123, "P", ["SUM_MISMATCH", "NOT_MONOTONE"], areas
    )
    line = decode_line(framed)
    assert line == {
        "bucket": dt.date(2026, 11, 23),
        "indicator": "G18.001",
        "breakdown": "_T",
        "version": 2**40,
        "updated_at": dt.datetime(2026, 11, 18, 11, 6, 40, 123_000, dt.UTC),
        "status": "P",
        "flags": ["SUM_MISMATCH", "NOT_MONOTONE"],
        "areas": [
            {
                "area": "01",
                "value": Decimal("1.2345"),
                "min": Decimal("-0.0001"),
                "max": Decimal(2**62) / 10_000,
                "areas_reported": 1,
                "areas_expected": 1,
                "cells": 24,
            },
            {
                "area": "VN",
                "value": None,
                "min": None,
                "max": None,
                "areas_reported": 0,
                "areas_expected": 63,
                "cells": 0,
            },
        ],
    }
    in_ticks = {"bucket": 20_780, "updated_at": 1_795_000_000_123, "areas": areas}
    assert decode_line_in_ticks(framed) == {**line, **in_ticks}
    assert decode_line(encode_line(0, "i", "_T", 1, 0, "M", [], []))["areas"] == []


def test_a_line_is_what_any_avro_reader_of_the_schema_reads() -> None:
    framed = encode_line(20_780, "G18.001", "_T", 7, 1_795_000_000_123, "P", [], [("01", 12_345, 0, -5, 1, 1, 24)])
    schema = fastavro.schema.load_schema("schemas/report_line.v1.avsc")
    assert fastavro.schemaless_reader(io.BytesIO(framed[5:]), schema, None) == decode_line(framed)


def test_a_rejected_record_comes_back_with_its_bytes() -> None:
    record = {
        "topic": "gris.events.g18",
        "partition": 0,
        "offset": 2**40,
        "reason": "UNDECODABLE",
        "field": "note",
        "detail": "cut short",
        "raw": bytes(range(256)),
        "schema_id": 2**32 - 1,
        "agency": "g18",
        "indicator": "",
        "submission": "S1",
        "received_at": dt.datetime(2026, 11, 23, 1, 2, 3, 4_000, dt.UTC),
    }
    assert decode_rejected(encode_rejected(record)) == record
    assert decode_rejected(encode_rejected({**record, "schema_id": None}))["schema_id"] is None


def test_bytes_of_another_topic_are_not_a_line() -> None:
    for decode in (decode_line, decode_line_in_ticks):
        with pytest.raises(ValueError, match="schema id 3"):
            decode(frame(GOOD))
        with pytest.raises(ValueError, match="does not follow"):
            decode(b"\0\0\0\0\3")


def test_a_warm_process_imports_nothing_more_for_a_block() -> None:
    script = """
import sys
from schemas.codec import EventCodec, encode_event, warm_up
from schemas.registry import BundledSchemas
from schemas.spans import Spans
warm_up()
known = set(sys.modules)
event = dict(submission="s", indicator="i", area="01", time_period="2026", observed_at=5, note="đ")
raw = encode_event(event)
from schemas.spans import Spans
EventCodec(BundledSchemas()).decode(Spans.of([raw, raw[:-1], None, encode_event({**event, "observed_at": 2**60})]))
print(sorted(set(sys.modules) - known))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60, env=dict(os.environ)
    )
    assert ran.stdout.strip() == "[]"
    warm_up()


def test_rows_keep_their_order_when_no_schema_of_the_block_can_be_read_in_columns() -> None:
    shelf = Shelf({7: version(base=["int", "null"]), 9: version(base=["long", "null"])})
    written = [frame(event("i", str(n), "2026", 1.0), 9 - 2 * (n % 2)) for n in range(4)]
    spoken = [raw.replace(number(1.0) + b"\0", number(1.0) + b"\x02") for raw in written]
    decoded = EventCodec(shelf).decode(Spans.of(spoken))
    assert decoded.batch.column("area").to_pylist() == ["0", "1", "2", "3"]
    assert decoded.rows.tolist() == [0, 1, 2, 3]
    assert decoded.schema_ids.tolist() == [9, 7, 9, 7]


def test_a_null_double_is_zero_beneath_so_that_equal_blocks_have_equal_buffers() -> None:
    values = [frame({**GOOD, "value": value}) for value in (1.0, None, 3.0)]
    raw = EventCodec(BundledSchemas()).decode(Spans.of(values)).batch.column("value").buffers()[1]
    assert struct.unpack("<3d", raw) == (1.0, 0.0, 3.0)
