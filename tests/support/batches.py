"""Record batches as a broker sends them, and what aiokafka's own reader makes of them."""

import dataclasses
import struct
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from schemas.topics import REPLAY_OF
from streams.fetches import RawBatch, batches_of

PLACE = TopicPartition("gris.events.g18", 0)
HEADER = 61
CRC_AT, ATTRIBUTES_AT, LAST_DELTA_AT, FIRST_TIME_AT, MAX_TIME_AT = 17, 21, 23, 27, 35
LOG_APPEND, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20
CODECS = (0, 1, 2, 3, 4)  # none, gzip, snappy, lz4, zstd
ABORT, COMMIT = b"\0\0\0\0", b"\0\0\0\x01"
Aborted = Sequence[tuple[int, int]]


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """A record of a batch: its place in it, and what it holds."""

    delta: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 1_795_413_600_000
    headers: Sequence[tuple[str, bytes | None]] = ()


def batch(
    first_offset: int,
    records: Sequence[Said],
    *,
    codec: int = 0,
    attributes: int = 0,
    producer: int = -1,
    last_delta: int | None = None,
    append_time: int | None = None,
) -> bytes:
    """Build a batch; with ``append_time``, as a broker does that stamps records itself."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=int(bool(attributes & TRANSACTIONAL)),
        producer_id=producer,
        producer_epoch=0,
        base_sequence=0,
        batch_size=1 << 30,
    )
    for one in records:
        builder.append(one.delta, one.timestamp, one.key, one.value, list(one.headers))
    raw = bytearray(builder.build())
    struct.pack_into(">q", raw, 0, first_offset)
    if last_delta is not None:
        struct.pack_into(">i", raw, LAST_DELTA_AT, last_delta)
    if append_time is not None:
        attributes |= LOG_APPEND
        struct.pack_into(">q", raw, MAX_TIME_AT, append_time)
    (own,) = struct.unpack_from(">h", raw, ATTRIBUTES_AT)
    struct.pack_into(">h", raw, ATTRIBUTES_AT, own | attributes)
    return sealed(raw)


def marker(offset: int, producer: int, kind: bytes) -> bytes:
    """Build the control batch with which a transaction ends."""
    return batch(offset, [Said(0, kind, b"\0" * 6)], attributes=TRANSACTIONAL | CONTROL, producer=producer)


def sealed(raw: bytearray) -> bytes:
    """Give a batch the length and the checksum of what it holds now."""
    struct.pack_into(">i", raw, 8, len(raw) - 12)
    struct.pack_into(">I", raw, CRC_AT, calc_crc32c(bytes(raw[ATTRIBUTES_AT:])))
    return bytes(raw)


def fetched(log: bytes, start: int = 0, aborted: Aborted = ()) -> tuple[list[RawBatch], int]:
    """Give the batches that a fetch at ``start`` delivers, and where the next one goes on."""
    found = batches_of(PLACE, log, list(aborted), start)
    return list(found), found.next_fetch_offset


def reference(log: bytes, start: int = 0, aborted: Aborted = ()) -> tuple[list[Any], int]:
    """Give the records that aiokafka delivers of such a fetch, and where it goes on."""
    found = PartitionRecords(PLACE, MemoryRecords(log), list(aborted), start, None, None, True, READ_COMMITTED)
    return list(found), found.next_fetch_offset


def replayed(headers: Iterable[tuple[str, bytes | None]]) -> str:
    """Name the place that headers tell of, by its definition."""
    for name, value in headers:
        partition, _, offset = (value or b"").decode("latin-1").partition(":")
        if name == REPLAY_OF and all(part.isascii() and part.isdecimal() for part in (partition, offset)):
            short = len(partition) <= 10 and len(offset) <= 19
            if short and all(str(int(part)) == part for part in (partition, offset)):
                return f"{partition}:{offset}"
    return ""
