"""What a record batch holds once it is decompressed: into memory of a known size, whatever its writer claims."""

import struct
from collections.abc import Callable
from typing import Any

import cramjam

Into = Callable[[memoryview, memoryview], int]

XERIAL = b"\x82SNAPPY\x00"
XERIAL_HEADER = 16
# What cramjam says when the room it was given does not suffice; it has no exception of its own for it.
NO_ROOM = "failed to write whole buffer"


class NoRoomError(Exception):
    """The body is larger than the room for it."""


class BadBodyError(Exception):
    """The body cannot be decompressed; the text says why."""


def decompress(codec: int, packed: memoryview, room: memoryview) -> int:
    """Write the body of a batch to the start of ``room``: its size in bytes. ``codec`` is the number of Kafka's format.

    Raises NoRoomError, and BadBodyError; what lies in ``room`` is undefined then.
    """
    if codec not in CODECS:
        raise BadBodyError(f"its compression has the number {codec}; {', '.join(map(str, CODECS))} are known")
    try:
        return CODECS[codec](packed, room)
    except cramjam.DecompressionError as error:
        if NO_ROOM in str(error):
            raise NoRoomError from error
        raise BadBodyError(f"it cannot be decompressed: {error}") from error


def _copy(packed: memoryview, room: memoryview) -> int:
    if len(packed) > len(room):
        raise NoRoomError
    room[: len(packed)] = packed
    return len(packed)


def _snappy(packed: memoryview, room: memoryview) -> int:
    """Either one raw block, or the frames of xerial's Java library: a header, then blocks with their lengths."""
    if packed[: len(XERIAL)] != XERIAL:
        return _raw_snappy(packed, room)
    at, written = XERIAL_HEADER, 0
    while at < len(packed):
        if at + 4 > len(packed):
            raise BadBodyError("its last snappy block is cut short")
        (size,) = struct.unpack_from(">i", packed, at)
        at += 4
        if not 0 <= size <= len(packed) - at:
            raise BadBodyError(f"a snappy block claims {size} bytes of {len(packed) - at}")
        written += _raw_snappy(packed[at : at + size], room[written:])
        at += size
    return written


def _raw_snappy(packed: memoryview, room: memoryview) -> int:
    # Asked first, because snappy tells a lack of room in other words.
    if cramjam.snappy.decompress_raw_len(packed) > len(room):
        raise NoRoomError
    return int(cramjam.snappy.decompress_raw_into(packed, room))


def _by(library: Any) -> Into:
    return lambda packed, room: int(library.decompress_into(packed, room))


CODECS: dict[int, Into] = {
    0: _copy,
    1: _by(cramjam.gzip),
    2: _snappy,
    3: _by(cramjam.lz4),
    4: _by(cramjam.zstd),
}
