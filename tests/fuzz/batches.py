"""A batch of records is read as aiokafka reads it; what only one of the two can read is told as a corrupt batch."""

from typing import Any

from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from streams.unpack import Batches
from tests.support.record_batch import NAMES, batch, packed


def check(data: bytes) -> None:
    """Take bytes as the records of a batch: the first two say how they are packed, and how many there are."""
    if len(data) < 3:
        return
    codec, count, plain = data[0] % len(NAMES), data[1] % 16, data[2:]
    raw = batch(count, plain if data[0] >= 128 else packed(codec, plain), codec, base=5)
    try:
        found = _seen(Batches(raw).next_batch())
    except CorruptRecordException:
        found = None
    try:
        expected = _seen(MemoryRecords(raw).next_batch())
    except Exception:  # noqa: BLE001 - it fails in many ways
        # It has no way past a header's name that is no text, and it minds bytes behind the last record.
        assert found is None or len(found) >= count
    else:
        assert found == expected


def _seen(one: Any) -> list[object]:
    return [(r.offset, r.timestamp, r.timestamp_type, r.key, r.value, list(r.headers)) for r in one]
