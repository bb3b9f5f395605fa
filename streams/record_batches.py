"""Record batches to columns: all records of many batches at once, by numpy, without an object for any of them.

Source: Apache Kafka, message format 2. What the columns cannot be sure of (numbers of 9 bytes, nonsense behind a right
checksum) is read one record after the other, and so is a batch that decompresses to more than is held at once; the
formats 0 and 1 are aiokafka's to read.
"""

import dataclasses
import itertools
import struct
from collections.abc import Generator, Iterable, Iterator, Sequence

import numpy as np
from aiokafka.errors import KafkaError

from schemas.codec_buffer import Walk
from schemas.errors import Fatal
from schemas.spans import MARGIN, NOTHING, Buffer, Flags, Ints, Spans
from streams.bodies import BadBodyError, NoRoomError, decompress
from streams.fetches import CURRENT_FORMAT, HEADER, RawBatch
from streams.headers import read_replay_of
from streams.one_by_one import BROKEN, Record, one_by_one
from streams.record_starts import WIDE, Stretch, record_stretches

PIECE_BYTES = 16 << 20
USUAL_RATIO = 32  # of a body to its compressed form: room for so much is made at first
SMALLEST_ROOM = 1 << 16
GROWTH = 8
COUNT_AT = 57
ATTRIBUTES_AT = 21
COMPRESSION = 0x07
DESCENDING = "offsets of its records do not ascend"
OUTSIDE = "a record lies outside the offsets that it says it has"


@dataclasses.dataclass(frozen=True, slots=True)
class Records:
    """n records of one partition: ascending ``offsets`` and broker ``timestamps`` (ms), int64; their keys and values.

    ``replay_of`` maps a position to the ``<partition>:<offset>`` that its header names.
    """

    offsets: Ints
    timestamps: Ints
    keys: Spans
    values: Spans
    replay_of: dict[int, str]


NO_RECORDS = Records(np.empty(0, np.int64), np.empty(0, np.int64), NOTHING, NOTHING, {})


def read(place: str, batches: Sequence[RawBatch], start: int, most: int) -> Iterator[Records]:
    """Read the records at or after the offset ``start``, at most ``most`` at a time.

    A piece decompresses to PIECE_BYTES at most, or is one record. ``place`` names topic and partition in messages.
    Raises Fatal for a batch that is none in spite of its checksum.
    """
    left = list(batches)
    for one, other in itertools.pairwise(left):
        if other.first_offset <= one.offset:
            raise _broken(place, other, f"it begins before the one at offset {one.first_offset} ends")
    while left:
        start = yield from _read_some(place, left, start, most)


def _read_some(place: str, left: list[RawBatch], start: int, most: int) -> Generator[Records, None, int]:
    """Read the first of some batches, and take them away; answers where to go on. Their bodies are gone at its end."""
    group, bodies = _unpack(place, left, most)
    del left[: len(group)]
    for piece in _pieces(place, group, bodies, most):
        wanted = _from(start, piece)
        if len(wanted.offsets):
            yield wanted
            start = int(wanted.offsets[-1]) + 1
    return start


@dataclasses.dataclass(frozen=True, slots=True)
class _Bodies:
    """The decompressed bodies of some batches in one buffer."""

    buffer: Buffer
    stretches: list[Stretch]


class _UnsureError(Exception):
    """Columns cannot vouch for these batches."""


def _unpack(place: str, batches: list[RawBatch], most: int) -> tuple[list[RawBatch], _Bodies]:
    """Decompress the first of some batches, and as many more as go into one piece. Raises Fatal.

    Where there are no bodies, the batch is to be read one record after the other.
    """
    group = list(_up_to(most, batches))
    if not group:
        return batches[:1], _Bodies(Buffer(memoryview(bytes(MARGIN)), 0), [])
    size = min(max(sum(len(batch.raw) for batch in group) * USUAL_RATIO, SMALLEST_ROOM), PIECE_BYTES)
    while True:
        room = np.empty(size + MARGIN, np.uint8).data
        stretches: list[Stretch] = []
        at = 0
        for batch in group:
            try:
                stop = at + decompress(_attributes(batch) & COMPRESSION, batch.raw[HEADER:], room[at:size])
            except NoRoomError:
                break
            except BadBodyError as bad:
                raise _broken(place, batch, str(bad)) from bad
            stretches.append(Stretch(at, stop))
            at = stop
        if stretches:
            room[at : at + MARGIN] = bytes(MARGIN)
            return group[: len(stretches)], _Bodies(Buffer(room, at), stretches)
        if size == PIECE_BYTES:
            return group[:1], _Bodies(Buffer(memoryview(bytes(MARGIN)), 0), [])
        size = min(size * GROWTH, PIECE_BYTES)


def _up_to(most: int, batches: Iterable[RawBatch]) -> Iterator[RawBatch]:
    """Give leading batches of the current format of ``most`` records in all, but one at least."""
    total = 0
    for batch in batches:
        count = max(_count(batch), 0) if batch.format >= CURRENT_FORMAT else 0
        total += count
        if batch.format < CURRENT_FORMAT or (total > most and total > count):
            return
        yield batch


def _pieces(place: str, batches: list[RawBatch], bodies: _Bodies, most: int) -> Iterator[Records]:
    if not bodies.stretches:
        yield from _one_by_one(place, batches[0], most)
        return
    try:
        yield from _in_columns(place, batches, bodies, most)
    except _UnsureError:
        # Pieces that were given already are given again: by their offsets, the caller knows them.
        if len(batches) > 1:
            for batch, stretch in zip(batches, bodies.stretches, strict=True):
                yield from _pieces(place, [batch], _Bodies(bodies.buffer, [stretch]), most)
        else:
            yield from _one_by_one(place, batches[0], most)


def _in_columns(place: str, batches: list[RawBatch], bodies: _Bodies, most: int) -> Iterator[Records]:
    begins, stops, counts = record_stretches(bodies.buffer, bodies.stretches)
    if (counts < 0).any() or counts.tolist() != [_count(batch) for batch in batches]:
        raise _UnsureError
    owners = np.repeat(np.arange(len(batches)), counts)
    before = -1
    for at in range(0, len(begins), most):
        part = slice(at, at + most)
        piece = _columns(place, batches, bodies.buffer, begins[part], stops[part], owners[part])
        falls = np.diff(piece.offsets, prepend=before) <= 0
        if falls.any():
            raise _broken(place, batches[owners[part][falls.argmax()]], DESCENDING)
        before = int(piece.offsets[-1])
        yield piece


def _columns(place: str, batches: list[RawBatch], buffer: Buffer, begins: Ints, stops: Ints, owners: Ints) -> Records:
    walk = Walk(buffer, begins)
    attributes = walk.byte()  # a single byte; aiokafka reads it as a number, which it is while none is in use
    deltas = walk.int64()
    places = walk.int64()
    keys = _span(buffer, walk)
    values = _span(buffer, walk)
    headers = walk.int64()
    plain = headers == 0
    if attributes.max(initial=0) >= WIDE or walk.flawed.any() or (walk.at[plain] != stops[plain]).any():
        raise _UnsureError
    offsets = _of_batch(batches, "base_offset", owners) + places
    outside = (places < 0) | (places > _of_batch(batches, "last_offset_delta", owners))
    if outside.any():
        raise _broken(place, batches[owners[outside.argmax()]], OUTSIDE)
    timestamps = np.where(
        _of_batch(batches, "timestamp_type", owners) == 1,
        _of_batch(batches, "max_timestamp", owners),
        _of_batch(batches, "first_timestamp", owners) + deltas,
    )
    replay_of = {
        int(row): replayed
        for row in np.flatnonzero(~plain)
        if (replayed := _replay_of(buffer, int(walk.at[row]), int(stops[row]), int(headers[row])))
    }
    return Records(offsets, timestamps, keys, values, replay_of)


def _span(buffer: Buffer, walk: Walk) -> Spans:
    lengths = walk.int64().astype(np.int64)
    np.maximum(lengths, -1, out=lengths)
    starts = walk.at.copy()
    walk.skip(np.maximum(lengths, 0))
    return Spans(buffer, starts, lengths)


def _of_batch(batches: list[RawBatch], name: str, owners: Ints) -> Ints:
    found: Ints = np.array([getattr(batch, name) for batch in batches], np.int64)[owners]
    return found


def _replay_of(buffer: Buffer, at: int, stop: int, count: int) -> str:
    """Read the headers of a record that has some. Raises _UnsureError when they do not end where it does."""
    try:
        return read_replay_of(buffer.raw[:stop], at, count)
    except (ValueError, IndexError) as nonsense:
        raise _UnsureError from nonsense


def _one_by_one(place: str, batch: RawBatch, most: int) -> Iterator[Records]:
    before, current = -1, batch.format >= CURRENT_FORMAT
    try:
        records = one_by_one(batch.raw) if current else _of_old_format(place, batch)
        while some := list(_some(records, most)):
            offsets, timestamps = (
                np.array([getattr(record, name) for record in some], np.int64) for name in ("offset", "timestamp")
            )
            if (np.diff(offsets, prepend=before) <= 0).any():
                raise _broken(place, batch, DESCENDING)
            # In the old formats the offset of what wraps compressed records is that of the last of them.
            if current and (offsets[0] < batch.first_offset or offsets[-1] > batch.offset):
                raise _broken(place, batch, OUTSIDE)
            before = int(offsets[-1])
            keys, values = Spans.of([record.key for record in some]), Spans.of([record.value for record in some])
            replay_of = {at: record.replay_of for at, record in enumerate(some) if record.replay_of}
            yield Records(offsets, timestamps, keys, values, replay_of)
    except (KafkaError, OverflowError, *BROKEN) as error:
        raise _broken(place, batch, f"its records cannot be read ({type(error).__name__}: {error})") from error


def _of_old_format(place: str, batch: RawBatch) -> Iterator[Record]:
    """Give the records of a format that had no headers."""
    for one in batch.records():
        if one.timestamp is None:
            raise _broken(place, batch, "it is of message format 0, which has no timestamps")
        yield Record(one.offset, one.timestamp, one.key, one.value, "", len(one.key or b"") + len(one.value or b""))


def _some(records: Iterator[Record], most: int) -> Iterator[Record]:
    """Give the next records: ``most`` of them, or fewer that come to PIECE_BYTES."""
    size = 0
    for record in itertools.islice(records, most):
        yield record
        size += record.size
        if size >= PIECE_BYTES:
            return


def _from(start: int, records: Records) -> Records:
    """Leave out what lies below ``start``: a fetch may begin in the middle of a batch."""
    offsets = records.offsets
    kept: Flags = offsets >= start
    if kept.all():
        return records
    first = int(np.argmax(kept)) if kept.any() else len(offsets)
    return Records(
        offsets[first:],
        records.timestamps[first:],
        records.keys.take(slice(first, None)),
        records.values.take(slice(first, None)),
        {at - first: named for at, named in records.replay_of.items() if at >= first},
    )


def _count(batch: RawBatch) -> int:
    return int(struct.unpack_from(">i", batch.raw, COUNT_AT)[0])


def _attributes(batch: RawBatch) -> int:
    return int(struct.unpack_from(">h", batch.raw, ATTRIBUTES_AT)[0])


def _broken(place: str, batch: RawBatch, why: str) -> Fatal:
    return Fatal(
        f"{place}: the record batch at offset {batch.first_offset} has the right checksum, but {why}. What wrote it is"
        " broken, and nothing of it was taken; nothing is skipped by itself either. Look at it with kafka-dump-log,"
        " then copy the topic without it and rebuild."
    )
