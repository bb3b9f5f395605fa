"""The recent lines of gris.daily, in memory: what clients of the stream read and resume from.

All clients share one buffer and each remembers only the last offset it was given, so a client costs no memory however
slow it is; one that falls behind the buffer is cut off and resumes from the topic.
"""

import bisect
from collections.abc import Callable
from dataclasses import dataclass

TRIM_PARTS = 16  # the oldest sixteenth leaves at a time: deleting from a list's front moves the rest


@dataclass(slots=True)
class Entry:
    """One record of gris.daily: its offset, its bytes, and the stream's text of it once a client has asked for it."""

    offset: int
    value: bytes
    frame: bytes | None = None


class Recent:
    """The records after ``floor``, ascending, without a gap that the topic does not have."""

    def __init__(self, floor: int, lines: int, size: int) -> None:
        self.floor = floor
        self._lines = lines
        self._size = size
        self._held = 0
        self._offsets: list[int] = []
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def last(self) -> int:
        """The last offset entered, or the floor."""
        return self._offsets[-1] if self._offsets else self.floor

    def add(self, entry: Entry) -> None:
        """Enter the next record; the oldest leave when there are too many, or too many bytes."""
        self._offsets.append(entry.offset)
        self._entries.append(entry)
        self._held += len(entry.value)
        while len(self._entries) > 1 and (len(self._entries) > self._lines or self._held > self._size):
            self._trim(min(1 + self._lines // TRIM_PARTS, len(self._entries) - 1))

    def after(self, offset: int, frame: Callable[[Entry], bytes], size: int) -> tuple[bytes, int] | None:
        """Give the frames after ``offset``, at most about ``size`` bytes, and the last offset among them.

        None when records after ``offset`` have already left.
        """
        if offset < self.floor:
            return None
        frames: list[bytes] = []
        for place in range(bisect.bisect_right(self._offsets, offset), len(self._entries)):
            entry = self._entries[place]
            if entry.frame is None:
                entry.frame = frame(entry)
                self._held += len(entry.frame)
            frames.append(entry.frame)
            size -= len(entry.frame)
            offset = entry.offset
            if size <= 0:
                break
        return b"".join(frames), offset

    def _trim(self, count: int) -> None:
        self.floor = self._offsets[count - 1]
        self._held -= sum(len(entry.value) + len(entry.frame or b"") for entry in self._entries[:count])
        del self._offsets[:count], self._entries[:count]
