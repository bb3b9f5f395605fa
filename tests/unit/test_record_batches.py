"""What a record batch may claim is bounded, and what breaks a bound is told in a sentence."""

import struct
import tracemalloc
from typing import Any

import cramjam
import numpy as np
import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from schemas.errors import Fatal
from schemas.spans import MARGIN, MOST_BYTES, Buffer, Spans
from streams import bodies, record_batches, record_starts
from streams.bodies import BadBodyError, NoRoomError, decompress
from streams.record_batches import read
from tests.support.batches import ATTRIBUTES_AT, CODECS, HEADER, Said, batch, fetched, sealed
from tests.support.record_batch import record

WHERE = "gris.events.g18, partition 0"
BODY = b"events " * 3_000


def packed(codec: int) -> bytes:
    """Compress BODY as Kafka's clients do."""
    library: Any = {1: cramjam.gzip, 3: cramjam.lz4, 4: cramjam.zstd}.get(codec)
    if codec == 2:
        return bytes(cramjam.snappy.compress_raw(BODY))
    return BODY if library is None else bytes(library.compress(BODY))


@pytest.mark.parametrize("codec", CODECS)
def test_a_body_never_takes_more_room_than_it_is_given(codec: int) -> None:
    room = bytearray(b"?" * (len(BODY) + 9))
    assert decompress(codec, memoryview(packed(codec)), memoryview(room)[: len(BODY)]) == len(BODY)
    assert bytes(room) == BODY + b"?" * 9
    for less in (0, 1, len(BODY) - 1):
        with pytest.raises(NoRoomError):
            decompress(codec, memoryview(packed(codec)), memoryview(room)[:less])
    assert bytes(room[len(BODY) :]) == b"?" * 9


@pytest.mark.parametrize("codec", [1, 2, 3, 4, 7])
def test_a_body_that_is_not_what_it_says_is_refused(codec: int) -> None:
    with pytest.raises(BadBodyError):
        decompress(codec, memoryview(packed(codec)[:-5]), memoryview(bytearray(1 << 20)))


@pytest.mark.parametrize("size", [-1, 0, 10_000, 2**31 - 1])
def test_a_block_of_xerial_snappy_that_claims_too_much_is_refused(size: int) -> None:
    frames = bodies.XERIAL + b"\0" * 8 + struct.pack(">i", size) + packed(2)
    with pytest.raises(BadBodyError):
        decompress(2, memoryview(frames), memoryview(bytearray(1 << 20)))
    with pytest.raises(BadBodyError):
        decompress(2, memoryview(frames[:18]), memoryview(bytearray(1 << 20)))


def test_snappy_that_claims_four_gigabytes_takes_none() -> None:
    claim = b"\xff\xff\xff\xff\x0f" + packed(2)
    with pytest.raises(NoRoomError):
        decompress(2, memoryview(claim), memoryview(bytearray(1 << 20)))


def test_a_piece_ends_where_its_bytes_do_and_a_larger_batch_has_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_batches, "PIECE_BYTES", 1 << 16)
    log = b"".join(batch(at, [Said(0, b"k", b"v" * size)], codec=3) for at, size in enumerate([40_000] * 3 + [300_000]))
    pieces = list(read(WHERE, fetched(log)[0], 0, 100))
    assert [piece.offsets.tolist() for piece in pieces] == [[0], [1], [2], [3]]
    assert [piece.values.lengths.tolist() for piece in pieces] == [[40_000]] * 3 + [[300_000]]


def test_the_headers_of_records_count_as_their_bytes_in_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_batches, "PIECE_BYTES", 1 << 16)
    log = batch(0, [Said(at, b"k", b"v", headers=[("h", b"x" * 40_000)]) for at in range(5)], codec=3)
    assert [piece.offsets.tolist() for piece in read(WHERE, fetched(log)[0], 0, 100)] == [[0, 1], [2, 3], [4]]


def test_a_batch_of_more_records_than_a_piece_may_hold_is_cut() -> None:
    log = batch(0, [Said(at, None, None) for at in range(10)]) + batch(10, [Said(0, None, None)])
    pieces = list(read(WHERE, fetched(log)[0], 3, 4))
    assert [piece.offsets.tolist() for piece in pieces] == [[3], [4, 5, 6, 7], [8, 9], [10]]


def test_a_batch_of_a_wrong_checksum_is_an_error_before_anything_is_read() -> None:
    raw = bytearray(batch(0, [Said(0, b"k", b"v")]))
    raw[-2] ^= 1
    with pytest.raises(CorruptRecordException):
        fetched(bytes(raw))


def shortest(size: int) -> bytes:
    """Fill so many bytes with the shortest records that there are."""
    return (record(0, None, None) * (size // 7 + 1))[:size]


def within_a_value() -> bytes:
    """Lay out a record whose value seems to be records with an end of one every lane; one lane is as long as may be."""
    lane, mark = record_starts.LANE, b"\0\0\0\0\1"
    end = bytes([2 * len(mark)]) + mark + b"\0"
    usual, long = end + shortest(lane - len(end)), end + shortest(4 * lane - len(end))
    return record(0, b"k", mark) + record(1, None, usual * 500 + long + usual * 500)


@pytest.mark.parametrize(
    ("body", "count"),
    [(within_a_value(), 2), (bytes(1 << 22), -1), (shortest(7 << 19), 1 << 19)],
    ids=["records within a value", "records of no bytes", "the shortest records"],
)
def test_where_records_begin_takes_little_memory(body: bytes, count: int) -> None:
    buffer = Buffer(memoryview(body + bytes(MARGIN)), len(body))
    tracemalloc.start()
    try:
        _, _, counts = record_starts.record_stretches(buffer, [record_starts.Stretch(0, len(body))])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert counts.tolist() == [count]
    assert most < 7 * len(body)


@pytest.mark.parametrize("deltas", [[0, 2, 1], [0, 0]])
def test_offsets_that_do_not_ascend_stop_the_worker(deltas: list[int]) -> None:
    batches, _ = fetched(batch(7, [Said(delta, b"k", b"v") for delta in deltas], last_delta=9))
    with pytest.raises(Fatal, match="offset 7 has the right checksum, but offsets of its records do not ascend"):
        list(read(WHERE, batches, 0, 100))


def test_a_record_beyond_the_last_offset_of_its_batch_stops_the_worker() -> None:
    batches, _ = fetched(batch(7, [Said(0, b"k", b"v"), Said(3, b"k", b"v")], last_delta=2))
    with pytest.raises(Fatal, match="a record lies outside the offsets that it says it has"):
        list(read(WHERE, batches, 0, 100))


def test_an_unknown_compression_stops_the_worker() -> None:
    raw = bytearray(batch(7, [Said(0, b"k", b"v")]))
    struct.pack_into(">h", raw, ATTRIBUTES_AT, 6)
    with pytest.raises(Fatal, match="its compression has the number 6; 0, 1, 2, 3, 4 are known"):
        list(read(WHERE, fetched(sealed(raw))[0], 0, 100))


@pytest.mark.parametrize("size", [12, 16, 17, HEADER - 1])
def test_a_batch_too_short_for_its_own_header_is_an_error(size: int) -> None:
    raw = bytearray(batch(7, []))[:size]
    struct.pack_into(">i", raw, 8, size - 12)
    with pytest.raises(CorruptRecordException, match="shorter than its header"):
        fetched(bytes(raw))


@pytest.mark.parametrize("codec", [0, 1, 3])
def test_records_of_the_old_format_are_read_too(codec: int) -> None:
    builder = LegacyRecordBatchBuilder(magic=1, compression_type=codec, batch_size=1 << 20)
    for at in range(3):
        builder.append(at, timestamp=5 + at, key=None, value=b"v%d" % at)
    old = builder.build()
    if codec:  # one wrapper around all: the broker gives it the last one's offset
        struct.pack_into(">q", old, 0, 2)
    log = bytes(old) + batch(3, [Said(0, b"k", b"v3", 9)])
    pieces = list(read(WHERE, fetched(log, 1)[0], 1, 100))
    said = [(int(p.offsets[at]), int(p.timestamps[at]), p.values[at]) for p in pieces for at in range(len(p.offsets))]
    assert said == [(1, 6, b"v1"), (2, 7, b"v2"), (3, 9, b"v3")]


def test_records_without_timestamps_stop_the_worker() -> None:
    builder = LegacyRecordBatchBuilder(magic=0, compression_type=0, batch_size=1 << 20)
    builder.append(0, timestamp=None, key=None, value=b"v")
    with pytest.raises(Fatal, match="format 0, which has no timestamps"):
        list(read(WHERE, fetched(bytes(builder.build()))[0], 0, 100))


def test_spans_give_back_what_they_were_made_of() -> None:
    values = [b"a", None, b"", b"long" * 1_000, None]
    spans = Spans.of(values)
    assert [spans[at] for at in range(len(spans))] == values
    assert spans.lengths.tolist() == [1, -1, 0, 4_000, -1]
    some = spans.take(np.array([3, 1]))
    assert [some[0], some[1]] == [values[3], None]
    assert len(Spans.of([])) == 0


def test_a_buffer_has_its_margin_and_less_than_two_gigabytes() -> None:
    with pytest.raises(ValueError, match="margin"):
        Buffer(memoryview(bytes(MARGIN)), 1)
    with pytest.raises(ValueError, match="less than 2 GiB"):
        Buffer(memoryview(b""), MOST_BYTES + 1)
