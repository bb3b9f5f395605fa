"""aiokafka's fetcher, made to hand out record batches as they came instead of an object per record.

The rest is left to it: checksums, aborted transactions, control batches, and where the next fetch goes on. It is done
through private names; `blocks.py` asserts the version.
"""

import struct
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

LENGTH_AT = 8
LENGTH_COUNTS_FROM = 12
MAGIC_AT = 16
HEADER = 61
"""Bytes before the records of a batch of the current format."""
CURRENT_FORMAT = 2


class RawBatch:
    """One record batch as the broker sent it: what aiokafka's own batch says of it, and its bytes.

    To aiokafka's loop over the records of batches it is a batch of one record, itself, at its last offset.
    """

    def __init__(self, raw: memoryview, batch: Any) -> None:
        self.raw = raw
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    @property
    def first_offset(self) -> int:
        """The first offset that the batch may hold."""
        return int(struct.unpack_from(">q", self.raw)[0])

    @property
    def format(self) -> int:
        """The message format: 2 is the current one."""
        return self.raw[MAGIC_AT]

    def records(self) -> Iterator[Any]:
        """Let aiokafka read the records."""
        return iter(self._batch)

    @property
    def offset(self) -> int:
        """The last offset that the batch may hold."""
        return int(self._batch.next_offset) - 1

    def __iter__(self) -> Iterator["RawBatch"]:
        return iter((self,))

    def __next__(self) -> Any:
        return next(self._batch)


class _Records:
    """Stands for aiokafka's MemoryRecords, the batches of one fetched partition; the last may be cut short.

    Each batch goes into one of its own: aiokafka's takes all batches to be of the format of the first.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = memoryview(raw)
        self._at = 0

    def size_in_bytes(self) -> int:
        return len(self._raw)

    def has_next(self) -> bool:
        return len(self._raw) - self._at >= LENGTH_COUNTS_FROM and self._next_at() <= len(self._raw)

    def next_batch(self) -> RawBatch:
        start, self._at = self._at, self._next_at()
        raw = self._raw[start : self._at].tobytes()  # aiokafka's takes nothing but bytes
        if len(raw) <= MAGIC_AT or (raw[MAGIC_AT] >= CURRENT_FORMAT and len(raw) < HEADER):
            raise CorruptRecordException(f"a batch of {len(raw)} bytes is shorter than its header")
        return RawBatch(memoryview(raw), MemoryRecords(raw).next_batch())

    def _next_at(self) -> int:
        (length,) = struct.unpack_from(">i", self._raw, self._at + LENGTH_AT)
        return self._at + LENGTH_COUNTS_FROM + max(int(length), 0)


class _Batches(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types here
    """The batches of one fetched partition that are to be delivered."""

    def _consumer_record(self, _tp: Any, record: RawBatch) -> RawBatch:
        return record


class _Fetcher(fetcher.Fetcher):  # type: ignore[misc]
    """aiokafka's fetcher, in whose one method that unpacks an answer two names mean the classes above."""

    _proc_fetch_request = FunctionType(
        fetcher.Fetcher._proc_fetch_request.__code__,  # noqa: SLF001
        vars(fetcher) | {"MemoryRecords": _Records, "PartitionRecords": _Batches},
    )


def batches_of(tp: TopicPartition, raw: bytes, aborted: list[tuple[int, int]], start: int) -> "_Batches":
    """Give the batches of an answer that a fetch at ``start`` delivers, as the fetcher does: to be iterated once.

    ``aborted`` names transactions by producer and first offset. Raises aiokafka's CorruptRecordException.
    """
    return _Batches(tp, _Records(raw), aborted, start, None, None, True, fetcher.READ_COMMITTED)


def give_batches(consumer: AIOKafkaConsumer) -> None:
    """Make a started consumer hand out RawBatch where it hands out records. No limit of records applies to them."""
    consumer._fetcher.__class__ = _Fetcher  # noqa: SLF001
