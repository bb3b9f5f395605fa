"""ClickHouse as the event loop sees it: every question runs in a thread, on a connection made when first needed."""

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from schemas.catalogue import Catalogue
from schemas.errors import GrisError
from sinks.clickhouse.client import Client, connect
from sinks.feed import queries
from sinks.feed.book import Bucket
from sinks.feed.line import Line
from sinks.feed.metrics import FeedMetrics

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 3  # questions at one time; the rest waits its turn on the event loop


class Store:
    """The questions of ``queries``, awaitable. Raises Retry while ClickHouse is away and finds it again by itself."""

    def __init__(self, url: str, catalogue: Catalogue, metrics: FeedMetrics) -> None:
        self._url = url
        self._catalogue = catalogue
        self._metrics = metrics
        self._client: Client | None = None
        self._connecting = threading.Lock()
        self._threads = anyio.CapacityLimiter(THREADS)
        self.trouble: str | None = None  # why the last question had no answer

    async def buckets(self) -> list[Bucket]:
        """Read which buckets have day totals."""
        return await self._ask(queries.buckets)

    async def lines(self, wanted: Sequence[Bucket]) -> dict[Bucket, list[Line]]:
        """Read the lines of these buckets."""
        return await self._ask(queries.lines, wanted)

    async def lines_as_of(
        self, day: dt.date, as_of: dt.datetime, indicators: Sequence[str]
    ) -> dict[Bucket, list[Line]]:
        """Compute the newest lines on or before ``day`` from the statements received by ``as_of``."""
        return await self._ask(queries.lines_as_of, self._catalogue, day, as_of, indicators)

    async def statements(
        self, wanted: queries.StatementFilter, after: queries.Place | None, limit: int
    ) -> list[queries.Statement]:
        """Read accepted statements, at most ``limit`` from after a place."""
        return await self._ask(queries.statements, wanted, after, limit)

    async def submission(self, agency: str, reference: str) -> tuple[int, list[queries.Refused]]:
        """Count the accepted records of a submission and read its rejected ones."""
        return await self._ask(queries.submission, agency, reference)

    async def received(self) -> dict[str, int]:
        """Read per indicator when its newest accepted statement was received, ms since the epoch."""
        return await self._ask(queries.received)

    async def reported(self, indicators: Sequence[str], days: Iterable[int]) -> set[tuple[str, str]]:
        """Read which (indicator, time_period) of these buckets have a figure."""
        return await self._ask(queries.reported, indicators, days)

    async def ping(self) -> None:
        """Ask for nothing; Retry when there is no answer."""
        await self._ask(_ping)

    def close(self) -> None:
        """Let go of the connection."""
        with self._connecting:
            if self._client is not None:
                self._client.close()
                self._client = None

    async def _ask(self, question: Callable[Concatenate[Client, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        def answer() -> T:
            return question(self._connected(), *args, **kwargs)

        name = question.__name__.strip("_")
        began = time.perf_counter()
        try:
            found = await anyio.to_thread.run_sync(answer, limiter=self._threads)
        except GrisError as error:
            self._metrics.query_failures.labels(name).inc()
            self.trouble = str(error)
            raise
        else:
            self.trouble = None
            return found
        finally:
            self._metrics.query_seconds.labels(name).observe(time.perf_counter() - began)

    def _connected(self) -> Client:
        with self._connecting:
            if self._client is None:
                self._client = connect(self._url)
            return self._client


def _ping(client: Client) -> None:
    client.query("SELECT 1")
