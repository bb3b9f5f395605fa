"""Byte strings without a Python object each: stretches of one buffer that numpy reads where they lie."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

WORD = 8
# A reader may run ahead of the buffer's end by this much before it has to look where it is.
MARGIN = 4096
MOST_BYTES = 2**31 - 1 - MARGIN


class Buffer:
    """The first ``size`` bytes of ``raw``, with at least MARGIN more behind them that say nothing but may be read.

    Raises ValueError for 2 GiB or more: the texts of a block are columns with 32-bit offsets.
    """

    def __init__(self, raw: memoryview, size: int) -> None:
        if size > MOST_BYTES:
            raise ValueError(f"a block of {size} bytes; decode less than 2 GiB at once")
        if len(raw) < size + MARGIN:
            raise ValueError(f"{len(raw)} bytes hold no {size} and the margin of {MARGIN} behind them")
        self.size = size
        self.raw = raw
        self.bytes: Bytes = np.frombuffer(raw, np.uint8)
        # What begins at every byte, overlapping, unaligned, without a copy.
        count = len(raw) - WORD + 1
        self.words: Words = np.ndarray((count,), "<u8", raw, strides=(1,))
        self.halves: npt.NDArray[np.uint16] = np.ndarray((count,), "<u2", raw, strides=(1,))
        self.doubles: npt.NDArray[np.float64] = np.ndarray((count,), "<f8", raw, strides=(1,))
        self.ids: npt.NDArray[np.uint32] = np.ndarray((count,), ">u4", raw, strides=(1,))


@dataclasses.dataclass(frozen=True, slots=True)
class Spans:
    """n byte strings of one buffer. ``starts``: int64[n], where each begins; ``lengths``: int64[n], -1 for a null."""

    buffer: Buffer
    starts: Ints
    lengths: Ints

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> "Spans":
        """Lay out byte strings end to end. Raises ValueError for 2 GiB or more."""
        known = [value or b"" for value in values]
        lengths = np.fromiter(map(len, known), np.int64, len(known))
        stops = np.cumsum(lengths)
        raw = b"".join((*known, bytes(MARGIN)))
        starts = stops - lengths
        if not all(values):
            lengths[[value is None for value in values]] = -1
        return cls(Buffer(memoryview(raw), len(raw) - MARGIN), starts, lengths)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, position: int) -> bytes | None:
        start, length = int(self.starts[position]), int(self.lengths[position])
        return None if length < 0 else self.buffer.bytes[start : start + length].tobytes()

    def take(self, positions: Ints | slice) -> "Spans":
        """Give those at ``positions``, which share the buffer."""
        return Spans(self.buffer, self.starts[positions], self.lengths[positions])


NOTHING = Spans.of([])
