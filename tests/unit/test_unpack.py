"""Record batches are unpacked to what aiokafka makes of them, and never beyond bounds."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.topics import LONGEST
from streams.unpack import Batches
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
    packed,
    record,
)

ROOT = Path(__file__).parents[2]
CODECS = range(len(NAMES))
TEXTS = st.none() | st.binary(max_size=50)
HEADERS = st.lists(st.tuples(st.text(max_size=5).map(str.encode), TEXTS), max_size=2)


def seen(records: Any) -> list[tuple[Any, ...]]:
    """List the records of all batches, and check that each batch's sum is right."""
    found = []
    while records.has_next():
        one = records.next_batch()
        assert one.validate_crc()
        found += [(r.offset, r.timestamp, r.timestamp_type, r.key, r.value, list(r.headers)) for r in one]
    return found


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.tuples(TEXTS, TEXTS, HEADERS), min_size=1, max_size=5), st.sampled_from(CODECS))),
    st.sampled_from([CREATE_TIME, LOG_APPEND_TIME]),
)
def test_records_come_out_as_aiokafka_reads_them(batches: Any, stamp: int) -> None:
    raw, base = b"", 7
    for records, codec in batches:
        raw += batch_of([record(at, *parts) for at, parts in enumerate(records)], codec, base=base, stamp=stamp)
        base += len(records)
    assert seen(Batches(raw)) == seen(MemoryRecords(raw))
    assert Batches(raw).size_in_bytes() == len(raw)
    assert seen(Batches(raw[:-1])) == seen(MemoryRecords(raw[:-1]))


@pytest.mark.parametrize("codec", CODECS, ids=NAMES)
def test_a_long_batch_is_read_as_a_stream_and_says_the_same(codec: int) -> None:
    values = [None, b"", b"last", *(bytes((at % 251,)) * (at * 997 % 70_000) for at in range(700))]
    raw = batch_of([record(at, b"key", value, [(b"name", b"x")]) for at, value in enumerate(values)], codec, base=3)
    assert sum(len(value or b"") for value in values) > LONGEST
    found = seen(Batches(raw))
    assert [row[4] for row in found] == values
    assert found == seen(MemoryRecords(raw))


@pytest.mark.parametrize("codec", [GZIP, LZ4, ZSTD, XERIAL_SNAPPY], ids=["gzip", "lz4", "zstd", "snappy"])
def test_a_record_longer_than_a_message_may_be_is_cut_and_loses_its_key(codec: int) -> None:
    huge = b"\x00\x00\x00\x00\x01" + bytes(LONGEST + 5)
    records = [
        record(0, b"k", b"before"),
        record(1, b"k", huge, [(b"h", b"v")]),
        record(2, huge, b"short"),
        record(3, b"k", b"headers", [(b"h", huge)] * 2),
        record(4, b"k", b"after", [(b"h", b"v")]),
    ]
    found = [(row[0], row[3], row[4], row[5]) for row in seen(Batches(batch_of(records, codec)))]
    assert found == [
        (0, b"k", b"before", []),
        (1, None, huge[:LONGEST], []),
        (2, None, b"short", []),
        (3, b"k", b"headers", []),
        (4, b"k", b"after", [("h", b"v")]),
    ]


@pytest.mark.parametrize("codec", CODECS, ids=NAMES)
def test_a_header_whose_name_is_no_text_does_not_keep_a_batch_from_being_read(codec: int) -> None:
    records = [record(at, b"k", b"v%d" % at, [(b"\xff" if at == 2 else b"h", b"x")]) for at in range(4)]
    found = {row[0]: (row[4], row[5][0][1]) for row in seen(Batches(batch_of(records, codec)))}
    assert found == {at: (b"v%d" % at, b"x") for at in range(4)}


def test_a_batch_of_several_members_of_gzip_is_read_to_its_end() -> None:
    plain = b"".join(record(at, b"k", bytes(at)) for at in range(300))
    payload = b"".join(packed(GZIP, plain[at : at + 7_001]) for at in range(0, len(plain), 7_001))
    assert seen(Batches(batch(300, payload, GZIP))) == seen(Batches(batch(300, plain, NONE)))


@pytest.mark.parametrize("codec", CODECS, ids=NAMES)
def test_bytes_that_cannot_be_unpacked_are_told_in_aiokafka_s_own_way(codec: int) -> None:
    good = b"".join(record(at, b"k", b"v" * 100) for at in range(20))
    whole = packed(codec, good)
    for payload in (whole[:-3], whole[: len(whole) // 2], b"", b"\xff" * 40, packed(codec, good[:-1])):
        one = Batches(batch(20, payload, codec)).next_batch()
        with pytest.raises(CorruptRecordException):
            list(one)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(CODECS), st.binary(max_size=80), st.integers(0, 5))
def test_any_payload_is_records_or_a_corrupt_batch(codec: int, payload: bytes, count: int) -> None:
    try:
        assert len(list(Batches(batch(count, payload, codec)).next_batch())) >= count
    except CorruptRecordException:
        return


BOMB = """
import gzip, io, resource, sys
sys.path.insert(0, {root!r})
from streams.unpack import Batches
raw = open({file!r}, "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(1 for record in Batches(raw).next_batch() if len(record.value) <= 16 << 20)
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("codec", [GZIP, ZSTD, LZ4], ids=["gzip", "zstd", "lz4"])
@pytest.mark.parametrize("records", [1, 1_000], ids=["one record", "many records"])
def test_half_a_gigabyte_in_a_few_kilobytes_takes_little_memory(tmp_path: Path, codec: int, records: int) -> None:
    size = (512 << 20) // records
    file = tmp_path / "bomb"
    file.write_bytes(batch(records, b"".join(bomb(codec, records, size)), codec))
    assert file.stat().st_size < 3 << 20
    ran = subprocess.run(
        [sys.executable, "-c", BOMB.format(root=str(ROOT), file=str(file))], check=True, capture_output=True, text=True
    )
    count, kilobytes = map(int, ran.stdout.split())
    assert count == records
    assert kilobytes < 120 << 10
