"""Codings: which one a client gets, and that a stream of shared parts is what any zlib reads."""

import gzip
import random
import zlib

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.feed.coding import CODERS, chosen
from sinks.feed.deflated import HEAD, end, extended, joined, part
from sinks.feed.pens import pen_for


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", "identity"),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "gzip"),
        ("zstd;q=0.5, gzip;q=0.8", "gzip"),
        ("zstd ; q=0, gzip;q=0", "identity"),
        ("identity", "identity"),
        ("identity;q=1, gzip;q=0.5", "identity"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("identity;q=0", "identity"),
        ("*", "zstd"),
        ("*;q=0", "identity"),
        ("zstd;q=0, *", "gzip"),
        ("br", "identity"),
        ("gzip;q=2", "identity"),
        ("gzip;level=9", "identity"),
        (",;=,", "identity"),
    ],
)
def test_the_client_gets_what_it_weighs_highest_of_what_there_is(accepted: str, coding: str) -> None:
    assert chosen(accepted) == coding


def test_a_coded_body_is_read_back_by_anybody_and_is_the_same_bytes_every_time() -> None:
    body = b'{"value":12}' * 1000

    assert gzip.decompress(CODERS["gzip"](body)) == body
    assert bytes(cramjam.zstd.decompress(CODERS["zstd"](body))) == body
    assert all(code(body) == code(body) for code in CODERS.values())


@given(st.lists(st.binary(max_size=300)), st.integers(0, 10))
def test_parts_in_any_grouping_are_one_stream_of_all_their_text(texts: list[bytes], cut: int) -> None:
    parts = [part(text) for text in texts]
    whole = joined([joined(parts[:cut]), joined(parts[cut:])])

    assert zlib.decompress(HEAD + whole.content + end(whole.checksum)) == b"".join(texts)
    assert whole.size == len(b"".join(texts))


def test_checksums_add_up_over_large_texts_too() -> None:
    large = [random.Random(at).randbytes(100_000) for at in range(3)] + [b"\xff" * 200_000]
    checksum = 1
    for text in large:
        checksum = extended(checksum, part(text))

    assert checksum == zlib.adler32(b"".join(large))


@pytest.mark.parametrize(
    ("accepted", "coding"), [("", "identity"), ("gzip, deflate, br, zstd", "deflate"), ("gzip", "identity")]
)
def test_a_stream_is_deflated_for_who_can_read_it(accepted: str, coding: str) -> None:
    assert pen_for(accepted).coding == coding


def test_what_has_been_sent_of_a_deflated_stream_can_be_read_at_once() -> None:
    pen, reader = pen_for("deflate"), zlib.decompressobj()

    assert reader.decompress(pen.begin() + pen.text(b"one\n\n")) == b"one\n\n"
    assert reader.decompress(pen.text(b"two\n\n")) == b"two\n\n"
    assert reader.decompress(pen.end()) == b""
    assert reader.eof
