"""The recent lines of gris.daily, in memory: what clients of the stream read and resume from.

All clients share one buffer and each remembers only the last offset it was given, so a client costs no memory however
slow it is; one that falls behind the buffer is cut off and resumes from the topic. Clients that go on from the same
offset, as nearly all do, get the same bytes.
"""

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from sinks.feed.deflated import Part, joined, part

TRIM_PARTS = 16  # the oldest sixteenth leaves at a time: deleting from a list's front moves the rest
RUNS = 64  # different offsets from which clients go on at one time; more are written for each client anew
WITH_DEFLATED = 2  # a frame and what it is deflated, which is less


@dataclass(slots=True)
class Entry:
    """One record of gris.daily: its offset, its bytes, and the stream's text of it once a client has asked for it."""

    offset: int
    value: bytes
    frame: bytes | None = None
    deflated: Part | None = None

    @property
    def size(self) -> int:
        """Bytes it takes, at most."""
        return len(self.value) + WITH_DEFLATED * len(self.frame or b"")


class Run:
    """Entries that follow one another, all with their frames, up to the offset ``last``."""

    def __init__(self, last: int, entries: Sequence[Entry]) -> None:
        self.last = last
        self._entries = entries

    def __bool__(self) -> bool:
        return bool(self._entries)

    @cached_property
    def text(self) -> bytes:
        """The frames."""
        return b"".join(entry.frame or b"" for entry in self._entries)

    @cached_property
    def deflated(self) -> Part:
        """The frames, each deflated once in its life."""
        for entry in self._entries:
            if entry.deflated is None:
                entry.deflated = part(entry.frame or b"")
        return joined(entry.deflated for entry in self._entries if entry.deflated is not None)


class Recent:
    """The records after ``floor``, ascending, without a gap that the topic does not have."""

    def __init__(self, floor: int, lines: int, size: int) -> None:
        self.floor = floor
        self._lines = lines
        self._size = size
        self._held = 0
        self._offsets: list[int] = []
        self._entries: list[Entry] = []
        self._runs: dict[tuple[int, int], Run] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def last(self) -> int:
        """The last offset entered, or the floor."""
        return self._offsets[-1] if self._offsets else self.floor

    def add(self, entry: Entry) -> None:
        """Enter the next record; the oldest leave when there are too many, or too many bytes."""
        self._runs.clear()
        self._offsets.append(entry.offset)
        self._entries.append(entry)
        self._held += entry.size
        while len(self._entries) > 1 and (len(self._entries) > self._lines or self._held > self._size):
            self._trim(min(1 + self._lines // TRIM_PARTS, len(self._entries) - 1))

    def after(self, offset: int, frame: Callable[[Entry], bytes], size: int) -> Run | None:
        """Give what follows ``offset``, at most about ``size`` bytes of text; nothing when nothing does.

        None when records after ``offset`` have already left.
        """
        if offset < self.floor:
            return None
        run = self._runs.get((offset, size))
        if run is None:
            run = self._run(offset, frame, size)
            if len(self._runs) < RUNS:
                self._runs[offset, size] = run
        return run

    def _run(self, offset: int, frame: Callable[[Entry], bytes], size: int) -> Run:
        entries: list[Entry] = []
        for place in range(bisect.bisect_right(self._offsets, offset), len(self._entries)):
            entry = self._entries[place]
            if entry.frame is None:
                entry.frame = frame(entry)
                self._held += WITH_DEFLATED * len(entry.frame)
            entries.append(entry)
            size -= len(entry.frame)
            if size <= 0:
                break
        return Run(entries[-1].offset if entries else offset, entries)

    def _trim(self, count: int) -> None:
        self.floor = self._offsets[count - 1]
        self._held -= sum(entry.size for entry in self._entries[:count])
        del self._offsets[:count], self._entries[:count]
