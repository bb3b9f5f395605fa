"""Where the records of record batches begin: each says its length only, so that the next is found behind it.

Source: Apache Kafka, "Record Batch" and "Record" of message format 2; a varint is a zigzag number, as in Avro.
"""

import array
import dataclasses

import numpy as np

from schemas.spans import Buffer, Ints

WIDE = 0x80  # the continuation bit of a varint's byte
LANE = 1 << 14
LONGEST_LANE = 4 * LANE
FEWEST_LANES = 40  # below this one record after the other is faster
SEARCHED = 1024  # bytes in which a lane's first record is looked for
MARK = 5  # bytes with which values begin alike: the byte 0 and a schema id
MOST_GROUPS = 10  # of 7 bits in a number of 64
SHORTEST = 6  # bytes of a record: its attributes, and five numbers
MOST_PLACES = 1 << 22  # that all lanes may pass: more than 16 MiB have records, unless they are of very unlike lengths

# By the two bytes with which a record begins, as a little-endian number: from it to the next. Where they are not its
# whole length, or that is no record's, it leads out of any batch.
_first, _second = np.arange(1 << 16) & 0xFF, np.arange(1 << 16) >> 8
_width = np.where(_first < WIDE, 1, 2)
_raw = np.where(_first < WIDE, _first, (_first & 0x7F) | (_second << 7))
_known = ((_first < WIDE) | (_second < WIDE)) & (_raw & 1 == 0) & (_raw >> 1 >= SHORTEST)
ADVANCE = np.where(_known, _width + (_raw >> 1), 1 << 40)


@dataclasses.dataclass(frozen=True, slots=True)
class Stretch:
    """Where the body of a batch lies in a buffer."""

    start: int
    stop: int


def record_stretches(buffer: Buffer, bodies: list[Stretch]) -> tuple[Ints, Ints, Ints]:
    """Give (begins, stops, counts): of the records of all bodies behind their lengths, int64; how many each body has.

    Bodies are ascending. One that is no chain of records from its start to its stop counts -1, and gives none.
    """
    return _by_lanes(buffer, bodies) or _one_by_one(buffer, bodies)


def read_varint(raw: bytes | memoryview, at: int) -> tuple[int, int]:
    """Read a number: (value, position after). Raises IndexError behind the end, ValueError when it is too long."""
    value = 0
    for shift in range(0, 7 * MOST_GROUPS, 7):
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < WIDE:
            return (value >> 1) ^ -(value & 1), at
    raise ValueError("a number takes more than 10 bytes")


def check_length(length: int, left: int, least: int = 0) -> int:
    """Give back a length of what has ``left`` bytes. Raises ValueError when there are not so many, or too few."""
    if not least <= length <= left:
        raise ValueError(f"{length} bytes of {left}")
    return length


def _one_by_one(buffer: Buffer, bodies: list[Stretch]) -> tuple[Ints, Ints, Ints]:
    begins, stops = array.array("q"), array.array("q")  # of objects, millions of records would take too much memory
    counts: list[int] = []
    for body in bodies:
        raw, at, before = buffer.raw[body.start : body.stop], 0, len(begins)
        size = len(raw)
        try:
            while at < size:
                length = raw[at]
                if length < WIDE and not length & 1:  # the usual cases without a call
                    length, at = length >> 1, at + 1
                else:
                    length, at = read_varint(raw, at)
                begins.append(body.start + at)
                at += check_length(length, size - at, SHORTEST)
                stops.append(body.start + at)
        except (ValueError, IndexError):
            del begins[before:], stops[before:]
            counts.append(-1)
        else:
            counts.append(len(begins) - before)
    return np.array(begins, np.int64), np.array(stops, np.int64), np.array(counts, np.int64)


def _by_lanes(buffer: Buffer, bodies: list[Stretch]) -> tuple[Ints, Ints, Ints] | None:
    """Follow many chains at once, each from a place where a record may well begin.

    That the places were right shows at the end: each chain must arrive exactly where the next one begins, and the first
    of a body begins at its start. None when one does not, or when places were too few, or chains too long.
    """
    places = [(at, number) for number, body in enumerate(bodies) for at in _places(buffer, body)]
    if len(places) < FEWEST_LANES:
        return None
    lanes, owners = (np.array(column, np.int64) for column in zip(*places, strict=True))
    last = np.append(np.diff(owners) != 0, True)
    ends = np.where(last, np.array([body.stop for body in bodies])[owners], np.append(lanes[1:], 0))
    if (ends - lanes).max() > LONGEST_LANE:
        return None
    steps = [lanes]
    while (steps[-1] < ends).any():
        if len(steps) * len(lanes) > MOST_PLACES:
            return None
        # Lanes that are done run on; whatever they find is cut off below.
        at = steps[-1]
        steps.append(np.minimum(at + ADVANCE[buffer.halves[at]], buffer.size + 1))
    chains = np.array(steps).T
    inside = chains < ends[:, None]
    lengths = inside.sum(1)
    if (chains[np.arange(len(lanes)), lengths] != ends).any():
        return None
    heads = chains[inside]
    begins = heads + 1 + (buffer.bytes[heads] >= WIDE)
    stops = np.append(heads[1:], 0)
    stops[np.cumsum(lengths) - 1] = ends
    counts = np.bincount(owners, lengths, len(bodies)).astype(np.int64)
    return begins, stops, counts


def _places(buffer: Buffer, body: Stretch) -> list[int]:
    """Name the body's start, and about every LANE bytes the end of a record whose value begins as that of the first."""
    if body.start == body.stop:
        return []
    places = [body.start]
    if body.stop - body.start < 2 * LANE:
        return places
    raw = buffer.raw[body.start : body.stop]
    try:
        mark = _mark(raw)
    except (ValueError, IndexError):
        return places
    for cut in range(LANE, len(raw) - LANE, LANE):
        found = raw[cut : cut + SEARCHED].tobytes().find(mark)
        if found >= 0:
            value = cut + found
            low, high = raw[value - 2], raw[value - 1]
            size = (low & 0x7F | high << 7) >> 1 if low >= WIDE else high >> 1
            after = value + size + 1  # behind a count of no headers
            if after < len(raw):
                places.append(body.start + after)
    return places


def _mark(raw: memoryview) -> bytes:
    """Give the first bytes of the first record's value."""
    _, at = read_varint(raw, 0)
    for _ in range(3):  # attributes, a single byte 0, reads as a number does
        _, at = read_varint(raw, at)
    size, at = read_varint(raw, at)
    size, at = read_varint(raw, at + max(size, 0))
    if size < MARK:
        raise ValueError("the value is too short to know others by it")
    return raw[at : at + MARK].tobytes()
