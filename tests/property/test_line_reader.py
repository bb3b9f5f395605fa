"""Report lines: our reader and fastavro read the same, and bytes that are no line are refused, never misread."""

import io
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec_line_reader import read_line
from schemas.codec_lines import AREA_FIELDS
from schemas.codec_schema import LINE_ID, bundled

FRAME = b"\0\0\0\0\3"
SCHEMA = bundled(LINE_ID).schema
INT = st.integers(-(2**31), 2**31 - 1)
LONG = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=80)
SMALL = st.integers(0, 63)
FIGURE = st.none() | st.integers(-(2**63), 2**63 - 1).map(lambda ticks: ticks.to_bytes(8, signed=True))
ODD_FIGURE = FIGURE | st.binary(max_size=12)  # a writer of another library leaves out what the sign implies
AREA = st.one_of(
    st.tuples(TEXT, FIGURE, FIGURE, FIGURE, SMALL, SMALL, SMALL), st.tuples(TEXT, *[ODD_FIGURE] * 3, *[INT] * 3)
).map(lambda row: dict(zip(AREA_FIELDS, row, strict=True)))
LINE = st.fixed_dictionaries(
    {"bucket": INT, "indicator": TEXT, "breakdown": TEXT, "version": LONG, "updated_at": LONG, "status": TEXT,
     "flags": st.lists(TEXT, max_size=3), "areas": st.lists(AREA, max_size=5)}
)  # fmt: skip


def written(line: dict[str, Any]) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, SCHEMA, line)
    return FRAME + body.getvalue()


def by_reference(framed: bytes) -> Any:
    line: Any = fastavro.schemaless_reader(io.BytesIO(framed[5:]), SCHEMA, None)
    for area in line["areas"]:
        for name in ("value", "min", "max"):
            if area[name] is not None:
                area[name] = int.from_bytes(area[name], signed=True)
    return {**line, "areas": [tuple(area.values()) for area in line["areas"]]}


@given(LINE)
def test_every_line_is_read_as_the_reference_reads_it(line: dict[str, Any]) -> None:
    framed = written(line)
    assert read_line(framed) == by_reference(framed)


@given(LINE, st.data())
def test_a_line_that_is_cut_short_is_refused(line: dict[str, Any], data: st.DataObject) -> None:
    framed = written(line)
    cut = data.draw(st.integers(len(FRAME), len(framed) - 1))
    with pytest.raises(ValueError, match="does not follow"):
        read_line(framed[:cut])


@given(LINE, st.data())
def test_whatever_a_byte_is_changed_to_ends_in_a_line_or_a_refusal(line: dict[str, Any], data: st.DataObject) -> None:
    framed = bytearray(written(line))
    framed[data.draw(st.integers(len(FRAME), len(framed) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_line(bytes(framed))
    except ValueError:
        return
    assert set(found) == set(line)


def test_an_array_in_several_blocks_with_their_sizes_is_read_whole() -> None:
    head = FRAME + b"\0" + b"\2i" + b"\2b" + b"\2" + b"\0" + b"\2A"
    row = b"\2x" + b"\0\0\0" + b"\2\2\2"
    blocks = b"\2" + row + b"\3" + bytes((2 * 2 * len(row),)) + row + row + b"\0"  # a count of -2, then the size
    framed = head + b"\0" + blocks

    assert [row[0] for row in read_line(framed)["areas"]] == ["x", "x", "x"]


@pytest.mark.parametrize("body", [b"", b"\xff" * 20, b"\0\xfe\xff\xff\xff\x0f", b"\0\1"])
def test_bytes_that_are_no_line_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="does not follow"):
        read_line(FRAME + body)
