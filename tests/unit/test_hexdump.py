"""Bytes as people read them, and nothing a terminal would obey."""

from hypothesis import given
from hypothesis import strategies as st

from sinks.hexdump import hexdump


def test_a_line_is_offset_two_halves_and_ascii() -> None:
    assert list(hexdump(b"\x00\x00\x00\x00\x01GRIS \x1b[31m|\xc4\x91.", 64)) == [
        "00000000  00 00 00 00 01 47 52 49  53 20 1b 5b 33 31 6d 7c  |.....GRIS .[31m||",
        "00000010  c4 91 2e                                          |...|",
    ]


def test_what_is_over_the_limit_is_counted() -> None:
    assert list(hexdump(b"abc" * 10, 18)) == [
        "00000000  61 62 63 61 62 63 61 62  63 61 62 63 61 62 63 61  |abcabcabcabcabca|",
        "00000010  62 63                                             |bc|",
        "… 12 of 30 bytes more",
    ]


def test_no_bytes_give_no_lines() -> None:
    assert list(hexdump(b"", 64)) == []


@given(st.binary(max_size=200))
def test_the_bytes_can_be_read_back_and_every_character_is_printable(data: bytes) -> None:
    lines = list(hexdump(data, 1_000))
    assert b"".join(bytes.fromhex(line[10:58]) for line in lines) == data
    assert all(line.isprintable() and line.isascii() for line in lines)
