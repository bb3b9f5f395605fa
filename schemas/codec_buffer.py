"""A block of Avro records in one buffer, walked by all records at once: numpy arrays hold where each of them is.

Source: Apache Avro 1.11, "Binary encoding". What the walk cannot be sure of, it only marks; nothing is refused here.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

WORD = 8
# A step may begin one byte behind the last record and reads at most a branch and a word.
MARGIN = 32
WIDE = 0x80  # the continuation bit of a varint's byte
CONTINUES = np.uint64(0x8080808080808080)
INT_LIMIT = 1 << 32
MOST_BYTES = 2**31 - 1 - MARGIN


class Buffer:
    """The values of a block end to end. ``starts`` and ``stops``: int64, where each lies in ``raw``.

    Raises ValueError for 2 GiB or more: the texts of a block are columns with 32-bit offsets.
    """

    def __init__(self, values: Sequence[bytes]) -> None:
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        self.stops: Ints = np.cumsum(lengths)
        self.starts: Ints = self.stops - lengths
        self.size = int(self.stops[-1]) if len(values) else 0
        if self.size > MOST_BYTES:
            raise ValueError(f"a block of {self.size} bytes; decode less than 2 GiB at once")
        self.raw = b"".join((*values, bytes(MARGIN)))
        self.bytes: Bytes = np.frombuffer(self.raw, np.uint8)
        # What begins at every byte, little-endian: overlapping, unaligned, without a copy.
        count = len(self.raw) - WORD + 1
        self.words: Words = np.ndarray((count,), "<u8", self.raw, strides=(1,))
        self.doubles: npt.NDArray[np.float64] = np.ndarray((count,), "<f8", self.raw, strides=(1,))
        self.ids: npt.NDArray[np.uint32] = np.ndarray((count,), ">u4", self.raw, strides=(1,))


class Walk:
    """Where n records of a buffer are (``at``) and which of them are ``sure``.

    Sure so far: no number of more than 8 bytes, no negative length, no branch, symbol or boolean that does not exist,
    no int outside 32 bits. A position behind the record's end is harmless (it never leaves the buffer's margin): a
    record is sure in the end only if it stops where its value does, and positions never go back.
    """

    def __init__(self, buffer: Buffer, starts: Ints) -> None:
        self._buffer = buffer
        self.at = starts.copy()
        self.sure: Flags = np.ones(len(starts), np.bool_)

    def skip(self, width: int | Ints) -> None:
        """Step over ``width`` bytes each."""
        self.at += width
        np.minimum(self.at, self._buffer.size + 1, out=self.at)

    def byte(self, present: Flags | None) -> Bytes:
        """Read a byte each; 0 where not present."""
        found = self._buffer.bytes[self.at]
        if present is None:
            self.skip(1)
            return found
        self.skip(present.astype(np.int64))
        return np.where(present, found, np.uint8(0))

    def raw_number(self, present: Flags | None = None) -> Words:
        """Read a varint each, before zigzag: below 2^56 where sure; 0 where not present."""
        first = self._buffer.bytes[self.at]
        if present is not None:
            first = np.where(present, first, np.uint8(0))
        raw = first.astype(np.uint64)
        width = np.ones(len(raw), np.int64) if present is None else present.astype(np.int64)
        wide = np.flatnonzero(first >= WIDE)
        if len(wide):
            raw[wide], width[wide] = _varints(self._buffer.words[self.at[wide]])
            self.sure &= width <= WORD
        self.skip(width)
        return raw

    def length(self, present: Flags | None = None) -> Ints:
        """Read a length each; 0 where not present, and any number where not sure."""
        raw = self.raw_number(present)
        self.sure &= (raw & 1) == 0
        return (raw >> 1).astype(np.int64)

    def int64(self, present: Flags | None = None) -> Ints:
        """Read a long each; 0 where not present."""
        raw = self.raw_number(present)
        return (raw >> 1).astype(np.int64) ^ -(raw & 1).astype(np.int64)

    def int32(self, present: Flags | None = None) -> Ints:
        """Read an int each; 0 where not present."""
        raw = self.raw_number(present)
        self.sure &= raw < INT_LIMIT
        return (raw >> 1).astype(np.int64) ^ -(raw & 1).astype(np.int64)

    def index(self, count: int, present: Flags | None = None) -> Ints:
        """Read an index below ``count`` each, of a symbol or a branch; 0 where not present or not sure."""
        raw = self.raw_number(present)
        exists = ((raw & 1) == 0) & (raw < 2 * count)
        self.sure &= exists
        return np.where(exists, raw >> 1, 0).astype(np.int64)

    def double(self, present: Flags | None = None) -> npt.NDArray[np.float64]:
        """Read a double each, bit by bit; 0 where not present."""
        found = self._buffer.doubles[self.at]
        if present is None:
            self.skip(WORD)
            return found
        self.skip(WORD * present.astype(np.int64))
        return np.where(present, found, 0.0)


def _varints(words: Words) -> tuple[Words, Ints]:
    """Read the varint at the start of each word: (value, width in bytes). The width is 9 when it does not end there."""
    ends = ~words & CONTINUES
    lowest = ends & (~ends + np.uint64(1))
    below = lowest - np.uint64(1)  # all ones when no byte ends the number
    width = (np.bitwise_count(below) >> 3).astype(np.int64) + 1
    value = words & below & ~CONTINUES
    # Close the gaps between groups of 7 bits: pairs, then fours, then all eight.
    value = (value & np.uint64(0x007F007F007F007F)) | ((value & np.uint64(0x7F007F007F007F00)) >> np.uint64(1))
    value = (value & np.uint64(0x00003FFF00003FFF)) | ((value & np.uint64(0x3FFF00003FFF0000)) >> np.uint64(2))
    value = (value & np.uint64(0x000000000FFFFFFF)) | ((value & np.uint64(0x0FFFFFFF00000000)) >> np.uint64(4))
    return value, width
