"""A block of Avro records in one buffer, walked by all records at once: numpy arrays hold where each of them is.

Source: Apache Avro 1.11, "Binary encoding". What the walk cannot be sure of, it only marks; nothing is refused here.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.spans import MARGIN, WORD, Buffer, Bytes, Flags, Ints, Words

WIDE = 0x80  # the continuation bit of a varint's byte
CONTINUES = np.uint64(0x8080808080808080)
# (bits to keep, bits to move, by how far): closes the gaps between groups of 7 bits, in pairs, then fours, then eight.
GAPS = tuple(
    (np.uint64(keep), np.uint64(move), np.uint64(gap))
    for keep, move, gap in (
        (0x007F007F007F007F, 0x7F007F007F007F00, 1),
        (0x00003FFF00003FFF, 0x3FFF00003FFF0000, 2),
        (0x000000000FFFFFFF, 0x0FFFFFFF00000000, 4),
    )
)


class Walk:
    """Where n records of a buffer are (``at``), and which of them are ``flawed`` (not 0).

    Flaws are a number of more than 8 bytes, a negative length, a branch, symbol or boolean that does not exist, and an
    int outside 32 bits. A position behind the record's end is harmless: a record is sure only if it stops where its
    value does, and positions never go back. Numbers come in a narrow type where it holds them all: most take one byte.
    """

    def __init__(self, buffer: Buffer, starts: Ints) -> None:
        self._buffer = buffer
        self._ahead = 0
        self.at = starts.copy()
        self.flawed: Bytes = np.zeros(len(starts), np.uint8)

    def skip(self, width: npt.NDArray[Any]) -> None:
        """Step over ``width`` bytes each: at most 255 when they are uint8."""
        self._step(width, 0xFF if width.dtype == np.uint8 else MARGIN)

    def skip_fixed(self, width: int, present: Flags | None) -> None:
        """Step over ``width`` bytes each, at most 255; over none where not present."""
        self._step(width if present is None else present * np.uint8(width), width)

    def _step(self, width: npt.NDArray[Any] | int, most: int) -> None:
        self.at += width
        self._ahead += most
        if self._ahead > MARGIN - 2 * WORD:
            np.minimum(self.at, self._buffer.size + 1, out=self.at)
            self._ahead = 1

    def raw_number(self, present: Flags | None = None) -> npt.NDArray[Any]:
        """Read a varint each, before zigzag; 0 where not present.

        The numbers are uint8 when all of them take one byte, else int64 and below 2^56.
        """
        first = self._buffer.bytes[self.at]
        if present is not None:
            first *= present
        if first.max(initial=0) < WIDE:
            self.skip_fixed(1, present)
            return first
        wide = np.flatnonzero(first >= WIDE)
        width = np.ones(len(first), np.uint8) if present is None else present.astype(np.uint8)
        if len(wide) == len(first):
            raw, width = _varints(self._buffer.words[self.at])
        else:
            raw = first.astype(np.int64)
            raw[wide], width[wide] = _varints(self._buffer.words[self.at[wide]])
        self.flawed |= width > WORD
        self.skip(width)
        return raw

    def length(self, present: Flags | None = None) -> npt.NDArray[Any]:
        """Read a length each; 0 where not present, and any number where flawed."""
        raw = self.raw_number(present)
        self.flawed |= (raw & 1) != 0
        return raw >> 1

    def int64(self, present: Flags | None = None) -> npt.NDArray[Any]:
        """Read a long each; 0 where not present."""
        raw = self.raw_number(present)
        value = (raw >> 1) ^ -(raw & 1)
        return value.view(np.int8) if value.dtype == np.uint8 else value

    def int32(self, present: Flags | None = None) -> npt.NDArray[Any]:
        """Read an int each; 0 where not present."""
        value = self.int64(present)
        if value.dtype == np.int64:
            self.flawed |= value != value.astype(np.int32)
        return value

    def index(self, count: int, present: Flags | None = None) -> Bytes:
        """Read an index below ``count`` each, of a symbol or a branch; 0 where not present, at most 255 in any case."""
        raw = self.raw_number(present)
        self.flawed |= ((raw & 1) != 0) | (raw >= 2 * count)
        index: Bytes = np.minimum(raw >> 1, 0xFF).astype(np.uint8)
        return index

    def double(self, present: Flags | None = None) -> npt.NDArray[np.float64]:
        """Read a double each, bit by bit; 0 where not present."""
        found = self._buffer.doubles[self.at]
        if present is not None:
            found[~present] = 0.0
        self.skip_fixed(WORD, present)
        return found

    def byte(self, present: Flags | None = None) -> Bytes:
        """Read a byte each; 0 where not present."""
        found = self._buffer.bytes[self.at]
        if present is not None:
            found *= present
        self.skip_fixed(1, present)
        return found


def _varints(words: Words) -> tuple[Ints, Bytes]:
    """Read the varint at the start of each word: (value, width in bytes). The width is 9 when it does not end there."""
    ends = ~words
    ends &= CONTINUES
    below = ends - np.uint64(1)
    below &= ~ends  # the bits below the one that ends the number; all of them when none does
    width = np.bitwise_count(below)
    width >>= 3
    width += 1
    below &= ~CONTINUES
    value = words & below
    for keep, move, gap in GAPS:
        moved = value & move
        moved >>= gap
        value &= keep
        value |= moved
    return value.view(np.int64), width
