"""A batch of records is read as aiokafka reads it; what only one of the two can read is told as a corrupt batch."""

from typing import Any

from aiokafka.record.memory_records import MemoryRecords

from schemas.errors import Fatal
from streams.one_by_one import BROKEN, one_by_one
from streams.record_batches import read
from tests.support.batches import fetched, replayed
from tests.support.record_batch import NAMES, batch, packed


def check(data: bytes) -> None:
    """Take bytes as the records of a batch: the first two say how they are packed, and how many there are."""
    if len(data) < 3:
        return
    codec, count, plain = data[0] % len(NAMES), data[1] % 16, data[2:]
    raw = batch(count, plain if data[0] >= 128 else packed(codec, plain), codec, base=5)
    slow, fast = _slowly(raw), _in_columns(raw)
    try:
        expected = [
            (r.offset, r.timestamp, r.key, r.value, replayed(r.headers)) for r in MemoryRecords(raw).next_batch()
        ]
    except Exception:  # noqa: BLE001 - it fails in many ways
        # It has no way past a header's name that is no text.
        assert slow is None or len(slow) == count
        assert fast is None or fast == slow
    else:
        assert slow == expected
        assert fast is None or fast == expected


def _slowly(raw: bytes) -> list[tuple[Any, ...]] | None:
    try:
        return [(r.offset, r.timestamp, r.key, r.value, r.replay_of) for r in one_by_one(memoryview(raw))]
    except BROKEN:
        return None


def _in_columns(raw: bytes) -> list[tuple[Any, ...]] | None:
    """Read as a worker does, which also minds offsets that are not the batch's."""
    try:
        pieces = list(read("here", fetched(raw)[0], 0, 1_000))
    except Fatal:
        return None
    return [
        row
        for piece in pieces
        for row in zip(
            piece.offsets.tolist(),
            piece.timestamps.tolist(),
            list(piece.keys),
            list(piece.values),
            [piece.replay_of.get(at, "") for at in range(len(piece.offsets))],
            strict=True,
        )
    ]
