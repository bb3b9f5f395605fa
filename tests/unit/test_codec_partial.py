"""A refused record as far as it decodes: every field before the fault, with its bytes and value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec_partial import read_partial
from schemas.codec_schema import WriterSchema
from schemas.errors import Retry
from schemas.registry import BundledSchemas
from tests.support.schema_shelf import Shelf
from tests.support.wire import body, event, frame, varint

GOOD = event("G01.001", "01", "2026-11-23", 7.5, base=2.0, note="sửa lại")
WHOLE = frame(GOOD)
VALUES = {name: value for name, value in GOOD.items() if name != "submission"}
SCHEMAS = BundledSchemas()


class Away:
    """A registry that does not answer."""

    def writer(self, schema_id: int) -> WriterSchema:
        raise Retry(f"schema {schema_id} cannot be asked for")


def test_a_whole_record_shows_every_field_and_no_fault() -> None:
    found = read_partial(WHOLE, SCHEMAS)
    assert (found.schema_id, found.fault) == (1, "")
    assert {field.name: field.value for field in found.fields} == GOOD


@given(st.integers(5, len(WHOLE) - 1))
def test_a_record_cut_anywhere_shows_the_whole_fields_before_the_cut(cut: int) -> None:
    whole = read_partial(WHOLE, SCHEMAS).fields
    found = read_partial(WHOLE[:cut], SCHEMAS)
    assert list(found.fields) == [field for field in whole if field.stop <= cut]
    assert found.fault.startswith(f"{whole[len(found.fields)].name}, at byte ")
    assert found.fault.endswith(("bytes early", "inside a number"))


def test_the_fields_lie_one_after_the_other_from_the_frame_to_the_end() -> None:
    spans = [(field.start, field.stop) for field in read_partial(WHOLE, SCHEMAS).fields]
    assert [stop for _, stop in spans] == [start for start, _ in spans[1:]] + [len(WHOLE)]
    assert spans[0][0] == 5


def test_bytes_after_the_record_are_counted_and_the_fields_shown() -> None:
    found = read_partial(WHOLE + b"more", SCHEMAS)
    assert len(found.fields) == 11
    assert found.fault == f"4 bytes follow the record, at byte {len(WHOLE)}"


def test_a_text_that_is_not_utf_8_is_shown_with_the_others_and_named() -> None:
    found = read_partial(frame(GOOD | {"area": b"\xffx"}), SCHEMAS)
    assert [field.value for field in found.fields][:4] == ["S1", "G01.001", "\N{REPLACEMENT CHARACTER}x", "_T"]
    assert len(found.fields) == 11
    assert found.fault == "area, at byte 16: byte 0xFF at position 0 of the text is not UTF-8"


def test_a_symbol_that_does_not_exist_ends_the_fields_there() -> None:
    found = read_partial(frame(GOOD | {"status": 7}), SCHEMAS)
    assert [field.name for field in found.fields][-1] == "base"
    assert "the symbol 7 does not exist" in found.fault


@pytest.mark.parametrize(
    ("raw", "fault"),
    [(None, "null"), (b"", "0 bytes"), (b"\x00\x00", "2 bytes"), (b"\x7b" + WHOLE, "0x7B")],
)
def test_what_is_no_frame_has_no_fields_and_says_so(raw: bytes | None, fault: str) -> None:
    found = read_partial(raw, SCHEMAS)
    assert (found.schema_id, found.fields) == (None, ())
    assert fault in found.fault


def test_an_unknown_schema_is_named() -> None:
    found = read_partial(frame(GOOD, 999), SCHEMAS)
    assert (found.schema_id, found.fields) == (999, ())
    assert "999" in found.fault


def test_a_schema_that_cannot_be_asked_for_is_a_retry() -> None:
    with pytest.raises(Retry):
        read_partial(WHOLE, Away())


def test_a_writer_s_own_fields_are_shown_by_its_schema_even_where_a_later_one_uses_an_earlier_type() -> None:
    kind = {"type": "enum", "name": "Kind", "symbols": ["X", "Y"]}
    fields = [
        {"name": "one", "type": kind},
        {"name": "two", "type": ["null", "Kind"]},
        {"name": "three", "type": "long"},
    ]
    schema = {"type": "record", "name": "Other", "namespace": "n", "fields": fields}
    raw = b"\x00\x00\x00\x00\x05" + varint(1) + varint(1) + varint(0)
    found = read_partial(raw, Shelf({5: schema}))
    assert [(field.name, field.value) for field in found.fields] == [("one", "Y"), ("two", "X")]
    assert found.fault.startswith("three, at byte 8")


@given(st.binary(max_size=60))
def test_any_bytes_are_shown_without_a_crash(data: bytes) -> None:
    for raw in (data, WHOLE[:5] + data, WHOLE[:5] + body(GOOD)[:20] + data):
        found = read_partial(raw, SCHEMAS)
        assert found.fault or len(found.fields) == 11
