"""Record batches are unpacked to what aiokafka makes of them, and never beyond bounds."""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import Fatal
from schemas.topics import LONGEST, REPLAY_OF
from streams.one_by_one import BROKEN, one_by_one
from streams.record_batches import read
from tests.support.batches import fetched, reference, replayed
from tests.support.record_batch import (
    CREATE_TIME,
    GZIP,
    LOG_APPEND_TIME,
    LZ4,
    NAMES,
    NONE,
    XERIAL_SNAPPY,
    ZSTD,
    batch,
    batch_of,
    bomb,
    header_bomb,
    packed,
    record,
)

ROOT = Path(__file__).parents[2]
CODECS = range(len(NAMES))
MANY = 100_000
TEXTS = st.none() | st.binary(max_size=50)
PLACES = st.sampled_from([b"0:7", b"3:12", b"x"])
NAMED = st.sampled_from([REPLAY_OF.encode(), b""]) | st.text(max_size=100).map(str.encode)
HEADERS = st.lists(st.tuples(NAMED, TEXTS | PLACES | st.binary(min_size=60, max_size=140)), max_size=3)
Row = tuple[int, int, bytes | None, bytes | None]


def read_rows(raw: bytes) -> list[Row]:
    """Read a log as a worker does."""
    return [
        row
        for piece in read("here", fetched(raw)[0], 0, MANY)
        for row in zip(
            piece.offsets.tolist(), piece.timestamps.tolist(), list(piece.keys), list(piece.values), strict=True
        )
    ]


def by_aiokafka(raw: bytes) -> list[Row]:
    return [(one.offset, one.timestamp, one.key, one.value) for one in reference(raw)[0]]


def slowly(raw: bytes) -> list[Any]:
    """Read one batch record after the other."""
    return list(one_by_one(memoryview(raw)))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(TEXTS, TEXTS, HEADERS), min_size=1, max_size=5),
    st.sampled_from(CODECS),
    st.sampled_from([CREATE_TIME, LOG_APPEND_TIME]),
)
def test_records_come_out_as_aiokafka_reads_them(records: Any, codec: int, stamp: int) -> None:
    raw = batch_of([record(at, *parts) for at, parts in enumerate(records)], codec, base=7, stamp=stamp)
    expected = reference(raw)[0]
    assert [(r.offset, r.timestamp, r.key, r.value, r.replay_of) for r in slowly(raw)] == [
        (r.offset, r.timestamp, r.key, r.value, replayed(r.headers)) for r in expected
    ]
    assert read_rows(raw) == by_aiokafka(raw)


@pytest.mark.parametrize("codec", CODECS, ids=NAMES)
def test_a_long_batch_is_read_as_a_stream_and_says_the_same(codec: int) -> None:
    values = [None, b"", b"last", *(bytes((at % 251,)) * (at * 997 % 70_000) for at in range(700))]
    raw = batch_of([record(at, b"key", value, [(b"name", b"x")]) for at, value in enumerate(values)], codec, base=3)
    assert sum(len(value or b"") for value in values) > LONGEST
    found = read_rows(raw)
    assert [row[3] for row in found] == values
    assert found == by_aiokafka(raw)


@pytest.mark.parametrize("codec", [GZIP, LZ4, ZSTD, XERIAL_SNAPPY], ids=["gzip", "lz4", "zstd", "snappy"])
def test_a_record_longer_than_a_message_may_be_is_cut_and_loses_its_key(codec: int) -> None:
    huge, repeats = b"\x00\x00\x00\x00\x01" + bytes(LONGEST + 5), (REPLAY_OF.encode(), b"0:7")
    records = [
        record(0, b"k", b"before"),
        record(1, b"k", huge, [repeats]),
        record(2, huge, b"short"),
        record(3, b"k", b"headers", [repeats, (b"h", huge)]),
        record(4, b"k", b"after", [(b"h", b"v" * 1_000_000), repeats]),
    ]
    raw = batch_of(records, codec)
    expected = [
        (0, b"k", b"before", ""),
        (1, None, huge[:LONGEST], ""),
        (2, None, b"short", ""),
        (3, b"k", b"headers", ""),
        (4, b"k", b"after", "0:7"),
    ]
    assert [(one.offset, one.key, one.value, one.replay_of) for one in slowly(raw)] == expected
    assert [(row[0], row[2], row[3]) for row in read_rows(raw)] == [row[:3] for row in expected]


@pytest.mark.parametrize("codec", CODECS, ids=NAMES)
def test_a_header_whose_name_is_no_text_does_not_keep_a_batch_from_being_read(codec: int) -> None:
    repeats = (REPLAY_OF.encode(), b"0:7")
    records = [record(at, b"k", b"v%d" % at, [(b"\xff" if at == 2 else b"h", b"x"), repeats]) for at in range(4)]
    raw = batch_of(records, codec)
    found = {one.offset: (one.value, one.replay_of) for one in slowly(raw)}
    assert found == {at: (b"v%d" % at, "0:7") for at in range(4)}
    assert [row[3] for row in read_rows(raw)] == [b"v%d" % at for at in range(4)]


def test_a_batch_of_several_members_of_gzip_is_read_to_its_end() -> None:
    plain = b"".join(record(at, b"k", bytes(at)) for at in range(300))
    payload = b"".join(packed(GZIP, plain[at : at + 7_001]) for at in range(0, len(plain), 7_001))
    assert read_rows(batch(300, payload, GZIP)) == read_rows(batch(300, plain, NONE))
    assert slowly(batch(300, payload, GZIP)) == slowly(batch(300, plain, NONE))


@pytest.mark.parametrize("codec", CODECS, ids=NAMES)
def test_bytes_that_cannot_be_unpacked_are_told_with_the_place_of_the_batch(codec: int) -> None:
    good = b"".join(record(at, b"k", b"v" * 100) for at in range(20))
    whole = packed(codec, good)
    for payload in (whole[:-3], whole[: len(whole) // 2], b"", b"\xff" * 40, packed(codec, good[:-1])):
        raw = batch(20, payload, codec)
        with pytest.raises(Fatal, match="here: the record batch at offset 0 has the right checksum, but"):
            read_rows(raw)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(CODECS), st.binary(max_size=80), st.integers(1, 5))
def test_any_payload_is_records_or_a_sentence(codec: int, payload: bytes, count: int) -> None:
    raw = batch(count, payload, codec)
    with contextlib.suppress(*BROKEN):
        assert len(slowly(raw)) == count
    try:
        assert len(read_rows(raw)) == count
    except Fatal:
        return


BOMB = """
import gzip, io, resource, sys
sys.path.insert(0, {root!r})
from streams.record_batches import read
from tests.support.batches import fetched
batches, _ = fetched(open({file!r}, "rb").read())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum((piece.values.lengths <= 16 << 20).sum() for piece in read("here", batches, 0, 100_000))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("codec", [GZIP, ZSTD, LZ4], ids=["gzip", "zstd", "lz4"])
@pytest.mark.parametrize("records", [1, 1_000], ids=["one record", "many records"])
def test_half_a_gigabyte_in_a_few_kilobytes_takes_little_memory(tmp_path: Path, codec: int, records: int) -> None:
    size = (512 << 20) // records
    takes_little_memory(tmp_path / "bomb", records, batch(records, b"".join(bomb(codec, records, size)), codec))


@pytest.mark.parametrize("codec", [GZIP, ZSTD, LZ4], ids=["gzip", "zstd", "lz4"])
@pytest.mark.parametrize(("records", "size"), [(1, LONGEST - 4), (20, 1 << 20)], ids=["one record", "many records"])
def test_millions_of_headers_take_little_memory(tmp_path: Path, codec: int, records: int, size: int) -> None:
    raw = batch(records, b"".join(header_bomb(codec, records, size)), codec)
    takes_little_memory(tmp_path / "bomb", records, raw)


def takes_little_memory(file: Path, records: int, raw: bytes) -> None:
    """Read a batch in a process of its own, and see what that adds to the memory it had before."""
    assert len(raw) < 3 << 20
    file.write_bytes(raw)
    ran = subprocess.run(
        [sys.executable, "-c", BOMB.format(root=str(ROOT), file=str(file))], check=True, capture_output=True, text=True
    )
    count, kilobytes = map(int, ran.stdout.split())
    assert count == records
    assert kilobytes < 200 << 10
