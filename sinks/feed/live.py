"""The live state of the feed: it follows gris.daily, keeps the book current and wakes the clients of the stream."""

import asyncio
import datetime as dt
import time
from collections.abc import Sequence

import structlog

from schemas.catalogue import Catalogue
from schemas.errors import GrisError, Retry
from sinks.feed.book import Book, Bucket, Held
from sinks.feed.line import Line, LineText, day_of, from_message
from sinks.feed.lines import Bounds, LineReader, LogGoneError, Record
from sinks.feed.metrics import FeedMetrics
from sinks.feed.recent import Entry, Recent
from sinks.feed.settings import FeedSettings
from sinks.feed.store import Store

POLL_SECONDS = 1.0
PROBE_SECONDS = 2.0  # how long a broker that went away goes unnoticed
RETRY_SECONDS = 0.5
BREATH = 64  # lines entered before others get the event loop

log = structlog.get_logger("gris.feed")


class Client:
    """One client of the stream, as the follower sees it: something to wake."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.gone = False


class Live:
    """What is known now.

    ``cursor`` is the last offset of gris.daily taken in: -1 when there is none, None before the first look. ``epoch``
    counts the times the log began anew. ``trouble`` is a sentence while Kafka or the first reading of ClickHouse fails.
    """

    def __init__(self, settings: FeedSettings, catalogue: Catalogue, store: Store, metrics: FeedMetrics) -> None:
        self.catalogue = catalogue
        self.book = Book(catalogue, settings.feed_held_lines)
        self.recent = Recent(-1, settings.feed_recent_lines, settings.feed_recent_bytes)
        self.clients: set[Client] = set()
        self.cursor: int | None = None
        self.epoch = 0
        self.closing = False
        self.trouble: str | None = "The feed has only just started and has not heard from Kafka yet."
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._target = 0
        self._seeded = False
        self._reader: LineReader | None = None

    @property
    def caught_up(self) -> bool:
        """Tell whether everything that gris.daily held at the last look has been taken in."""
        return self.cursor is not None and self.cursor + 1 >= self._target

    @property
    def stamp(self) -> tuple[int, int] | None:
        """What a report depends on: it changes whenever a line may have. None while there is nothing to report from."""
        return (self.epoch, self.cursor) if self.cursor is not None and self._seeded else None

    def require_cursor(self) -> int:
        """Give the cursor; Retry says why there is none yet."""
        if self.cursor is None or not self._seeded:
            raise Retry(self.trouble or "The feed is still reading which buckets there are; ask again in a moment.")
        return self.cursor

    async def bounds(self) -> Bounds:
        """Ask the broker which offsets gris.daily has; Retry when it does not answer."""
        if self._reader is None:
            raise Retry(self.trouble or "The feed is not connected to Kafka; ask again in a moment.")
        return await self._reader.bounds()

    def frame(self, entry: Entry) -> bytes:
        """Write one record as an event of the stream; nothing for a record that is no line."""
        line = self._decoded(entry.offset, entry.value)
        return b"" if line is None else _framed(entry.offset, Held(line).text(self.catalogue))

    def close(self) -> None:
        """End every client's stream: the process is about to stop."""
        self.closing = True
        self._wake()

    async def follow(self) -> None:
        """Follow gris.daily until cancelled, through every outage of the broker and of the database."""
        while True:
            try:
                async with LineReader.opened(self._settings.kafka) as reader:
                    self._reader = reader
                    await self._begin(reader)
                    await self._take_in(reader)
            except LogGoneError as error:
                log.warning("log_gone", detail=str(error), cursor=self.cursor)
                self._forget()
            except GrisError as error:
                self._troubled(str(error))
            except Exception as error:
                log.exception("follower_failed")
                self._troubled(f"Following gris.daily failed ({type(error).__name__}); the feed's log says more.")
            finally:
                self._reader = None
            await asyncio.sleep(RETRY_SECONDS)

    async def _begin(self, reader: LineReader) -> None:
        """Start where the last reader stopped; the first time at the end, for day_totals holds all that came before."""
        bounds = await reader.bounds()
        self._metrics.daily_end.set(bounds.end)
        if self.cursor is not None and not bounds.start <= self.cursor + 1 <= bounds.end:
            raise LogGoneError(
                f"gris.daily has the offsets {bounds.start} up to {bounds.end}, {self.cursor + 1} comes next."
            )
        if self.cursor is None:
            begin = max(bounds.start, bounds.end - self._settings.feed_recent_lines)
            self.recent = Recent(begin - 1, self._settings.feed_recent_lines, self._settings.feed_recent_bytes)
            self.cursor = bounds.end - 1
            reader.seek(begin)
        else:
            reader.seek(self.cursor + 1)
        self._target = bounds.end
        if self._seeded:
            self.trouble = None
        log.info("following", cursor=self.cursor, start=bounds.start, end=bounds.end)

    async def _take_in(self, reader: LineReader) -> None:
        probed = time.monotonic()
        while True:
            await self._seed()
            records = await reader.read(POLL_SECONDS)
            await self._enter(records)
            self._advance(await reader.position() - 1)
            if records:
                self._wake()
            if time.monotonic() - probed >= PROBE_SECONDS:
                await self._probe(reader)
                probed = time.monotonic()

    def _advance(self, offset: int) -> None:
        self.cursor = offset if self.cursor is None else max(self.cursor, offset)
        self._metrics.cursor.set(self.cursor)

    async def _seed(self) -> None:
        """Read once which buckets day_totals has; until then there is nothing to report from."""
        if self._seeded:
            return
        try:
            self.book.know(await self._store.buckets())
        except GrisError as error:  # also Fatal: a database that is not migrated yet may be in a moment
            self._troubled(str(error))
            return
        self._seeded = True
        self.trouble = None

    async def _probe(self, reader: LineReader) -> None:
        """Notice a broker that went away (the consumer itself retries in silence) and a log made anew."""
        try:
            bounds = await reader.bounds()
        except Retry as error:
            self._troubled(str(error))
            return
        self._metrics.daily_end.set(bounds.end)
        self._target = bounds.end
        position = await reader.position()
        if not bounds.start <= position <= bounds.end:
            raise LogGoneError(f"gris.daily has the offsets {bounds.start} up to {bounds.end}, {position} comes next.")
        if self._seeded:
            self.trouble = None

    async def _enter(self, records: Sequence[Record]) -> None:
        for count, record in enumerate(records, 1):
            entry = Entry(record.offset, record.value)
            self._metrics.lines.inc()
            bucket = _bucket_of(record.key)
            if bucket is not None:
                self.book.know([bucket])
            if bucket is None or self.clients or self.book.follows(bucket):
                self._read(entry)
            self.recent.add(entry)
            if count % BREATH == 0:
                self._wake()
                await asyncio.sleep(0)

    def _read(self, entry: Entry) -> None:
        """Decode a record once for all who want it: the book, and the clients of the stream."""
        line = self._decoded(entry.offset, entry.value)
        if line is None:
            entry.frame = b""
            return
        held = Held(line)
        self.book.know([Bucket(line.indicator, line.day)])
        self.book.enter(held)
        if self.clients:
            entry.frame = _framed(entry.offset, held.text(self.catalogue))

    def _decoded(self, offset: int, value: bytes) -> Line | None:
        try:
            return from_message(value)
        except ValueError as error:  # foreign bytes must not stop the feed
            self._metrics.undecodable.inc()
            log.warning("no_line", offset=offset, error=type(error).__name__)
            return None

    def _forget(self) -> None:
        self.epoch += 1
        self.cursor = None
        self._seeded = False
        self.trouble = "The log gris.daily began anew and the feed begins with it; ask again in a moment."
        self.book.clear()
        self._wake()

    def _troubled(self, sentence: str) -> None:
        if sentence != self.trouble:
            log.warning("trouble", detail=sentence)
        self.trouble = sentence

    def _wake(self) -> None:
        for client in self.clients:
            client.wake.set()


def _framed(offset: int, text: LineText) -> bytes:
    """Write a line as an event of the stream."""
    return f"event: line\nid: {offset}\ndata: {text.whole}\n\n".encode()


def _bucket_of(key: bytes) -> Bucket | None:
    """Read the bucket off a key ``bucket|indicator|breakdown``; None when it is not of that form."""
    parts = key.decode(errors="replace").split("|")
    try:
        return Bucket(parts[1], day_of(dt.date.fromisoformat(parts[0])))
    except (IndexError, ValueError):
        return None
