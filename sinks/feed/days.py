"""Views of days: the newest lines on or before a day, read into the book when somebody first asks for them."""

import asyncio
import datetime as dt
from collections.abc import Sequence

from sinks.feed.book import Bucket
from sinks.feed.line import LineText, day_of, text_of
from sinks.feed.live import Live
from sinks.feed.report import View
from sinks.feed.store import Store


class Days:
    """Gives views of days. Raises Retry while neither memory nor ClickHouse can answer."""

    def __init__(self, live: Live, store: Store) -> None:
        self._live = live
        self._store = store
        self._reading = asyncio.Lock()  # one reader at a time: the next one often finds what it wants already read

    async def now(self, day: dt.date, indicators: Sequence[str]) -> View:
        """Give these indicators' newest lines as they are now."""
        live, book = self._live, self._live.book
        cursor, epoch = live.require_cursor(), live.epoch  # before any line is read: nothing is left out after it
        found: dict[str, dict[str, LineText]] = {}
        pending = list(indicators)
        while True:
            absent = self._find(day, pending, found)
            if not absent:
                return View(day, cursor, found)
            async with self._reading:
                absent = self._find(day, pending, found)
                book.begin(absent)
                try:
                    book.hold(await self._store.lines(absent))
                finally:
                    book.abandon(absent)
            if live.epoch != epoch:  # the log began anew meanwhile
                cursor, epoch = live.require_cursor(), live.epoch
                found.clear()
                pending = list(indicators)

    async def then(self, day: dt.date, indicators: Sequence[str], as_of: dt.datetime) -> View:
        """Give these indicators' newest lines as the statements received by ``as_of`` make them."""
        cursor = self._live.require_cursor()
        lines = await self._store.lines_as_of(day, as_of, indicators)
        catalogue = self._live.catalogue
        texts = {
            bucket.indicator: {line.breakdown: text_of(line, catalogue) for line in group}
            for bucket, group in lines.items()
        }
        return View(day, cursor, texts)

    def _find(self, day: dt.date, pending: list[str], found: dict[str, dict[str, LineText]]) -> list[Bucket]:
        """Move what the book holds from ``pending`` to ``found``; give the buckets that must be read."""
        absent: list[Bucket] = []
        for code in list(pending):
            bucket = self._live.book.newest(code, day_of(day))
            texts = None if bucket is None else self._live.book.lines(bucket)
            if bucket is not None and texts is None:
                absent.append(bucket)
                continue
            pending.remove(code)
            if texts is not None:
                found[code] = texts
        return absent
