"""The book: the lines of asked-for buckets, held in memory and kept current by gris.daily.

It is a cache over day_totals. A bucket is read from there when first asked for; from then on every line of gris.daily
that touches it is entered, the highest version winning and the later offset on a tie. Buckets that nobody asked for are
only known to exist: the worker stores a line before it announces it, so reading it later finds it. No I/O and no clock.
"""

import bisect
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from schemas.catalogue import Catalogue
from sinks.feed.line import Line, LineText, text_of


class Bucket(NamedTuple):
    """One indicator's bucket; ``day`` counts from 1970-01-01."""

    indicator: str
    day: int


class Held:
    """A line and, once somebody has read it, its text."""

    __slots__ = ("_text", "line")

    def __init__(self, line: Line) -> None:
        self.line = line
        self._text: LineText | None = None

    def text(self, catalogue: Catalogue) -> LineText:
        """Give the text, written at the first call."""
        if self._text is None:
            self._text = text_of(self.line, catalogue)
        return self._text


class Book:
    """Which buckets exist, and the lines of those that are held.

    About ``limit`` lines are held; the least recently read buckets leave.
    """

    def __init__(self, catalogue: Catalogue, limit: int) -> None:
        self._catalogue = catalogue
        self._limit = limit
        self._days: dict[str, list[int]] = {}
        self._held: OrderedDict[Bucket, dict[str, Held]] = OrderedDict()
        self._arriving: dict[Bucket, list[Held]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    def clear(self) -> None:
        """Forget everything, as after a log that began anew."""
        self._days.clear()
        self._held.clear()
        self._arriving.clear()

    def know(self, buckets: Iterable[Bucket]) -> None:
        """Enter that these buckets exist."""
        for indicator, day in buckets:
            days = self._days.setdefault(indicator, [])
            place = bisect.bisect_left(days, day)
            if place == len(days) or days[place] != day:
                days.insert(place, day)

    def forget(self, bucket: Bucket) -> None:
        """Enter that this bucket has no rows after all."""
        days = self._days.get(bucket.indicator, [])
        if bucket.day in days:
            days.remove(bucket.day)

    def newest(self, indicator: str, day: int) -> Bucket | None:
        """Find the newest bucket of the indicator that is not after ``day``."""
        days = self._days.get(indicator, [])
        place = bisect.bisect_right(days, day)
        return Bucket(indicator, days[place - 1]) if place else None

    def follows(self, bucket: Bucket) -> bool:
        """Tell whether a line of this bucket must be entered: it is held, or being read."""
        return bucket in self._held or bucket in self._arriving

    def enter(self, announced: Held) -> None:
        """Enter a line that gris.daily announced, later offsets later."""
        bucket = Bucket(announced.line.indicator, announced.line.day)
        if bucket in self._arriving:
            self._arriving[bucket].append(announced)
        if bucket in self._held:
            _keep(self._held[bucket], announced)
            if not _said(self._held[bucket]):
                self.forget(bucket)

    def begin(self, buckets: Iterable[Bucket]) -> None:
        """Say that these buckets are about to be read from day_totals: what arrives meanwhile is kept beside."""
        for bucket in buckets:
            self._arriving[bucket] = []

    def abandon(self, buckets: Iterable[Bucket]) -> None:
        """Say that reading these buckets failed."""
        for bucket in buckets:
            self._arriving.pop(bucket, None)

    def hold(self, read: Mapping[Bucket, Iterable[Line]]) -> None:
        """Hold buckets that were begun, now read, with what arrived meanwhile; one that is empty is forgotten."""
        for bucket, lines in read.items():
            arrived = self._arriving.pop(bucket, None)
            if arrived is None:
                continue  # cleared while it was read
            held: dict[str, Held] = {}
            for kept in (*map(Held, lines), *arrived):
                _keep(held, kept)
            if _said(held):
                self._held[bucket] = held
            else:
                self.forget(bucket)
        total = len(self)
        while total > self._limit and len(self._held) > len(read):
            total -= len(self._held.popitem(last=False)[1])

    def lines(self, bucket: Bucket) -> dict[str, LineText] | None:
        """Give the bucket's lines by breakdown, or None when it is not held."""
        held = self._held.get(bucket)
        if held is None:
            return None
        self._held.move_to_end(bucket)
        return {breakdown: kept.text(self._catalogue) for breakdown, kept in held.items() if kept.line.areas}


def _said(held: Mapping[str, Held]) -> bool:
    """Tell whether anything is said in a bucket: a line without areas says that it has no statement any more."""
    return any(kept.line.areas for kept in held.values())


def _keep(held: dict[str, Held], new: Held) -> None:
    before = held.get(new.line.breakdown)
    if before is None or new.line.version >= before.line.version:
        held[new.line.breakdown] = new
