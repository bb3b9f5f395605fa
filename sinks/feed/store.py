"""ClickHouse as the event loop sees it: every question runs in a thread, on a connection made when first needed.

A question may take its time, a database that hangs may not: who waits for long looks whether it answers anything.
"""

import asyncio
import datetime as dt
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

from schemas.catalogue import Catalogue
from schemas.errors import GrisError, Retry
from sinks.clickhouse.client import Client, connect
from sinks.feed import queries
from sinks.feed.book import Bucket
from sinks.feed.line import Line
from sinks.feed.metrics import FeedMetrics

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 3  # questions at one time; the rest waits its turn
PATIENCE = 2.5  # seconds without an answer, to a question or a ping, after which it is asked whether there will be one
GIVEN_UP = 60.0  # seconds without a byte after which a question's thread is free again


class Store:
    """The questions of ``queries``, awaitable. Raises Retry while ClickHouse is away and finds it again by itself."""

    def __init__(self, url: str, catalogue: Catalogue, metrics: FeedMetrics) -> None:
        self._catalogue = catalogue
        self._metrics = metrics
        self._asking = _Connection(url, GIVEN_UP)
        self._pinging = _Connection(url, 2 * PATIENCE)  # a ping is given up before its thread gives up
        self._threads = ThreadPoolExecutor(THREADS, "question")
        self._pinger = ThreadPoolExecutor(1, "ping")  # not behind questions that take long
        self._ping: asyncio.Task[None] | None = None
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
        """Ask for nothing; Retry when there is no answer within PATIENCE. Who asks meanwhile has the same answer."""
        if self._ping is None or self._ping.done():
            self._ping = asyncio.create_task(self._measured("ping", self._pinged()))
            self._ping.add_done_callback(_noticed)
        await asyncio.shield(self._ping)

    def close(self) -> None:
        """Let go of the connections; a thread that waits for an answer is left to itself."""
        for threads in (self._threads, self._pinger):
            threads.shutdown(wait=False, cancel_futures=True)
        for connection in (self._asking, self._pinging):
            connection.close()

    async def _ask(self, question: Callable[Concatenate[Client, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        def answer() -> T:
            return question(self._asking.client(), *args, **kwargs)

        return await self._measured(question.__name__, self._waited(answer))

    async def _waited(self, answer: Callable[[], T]) -> T:
        """Wait for an answer as long as the database gives any."""
        asked = asyncio.get_running_loop().run_in_executor(self._threads, answer)
        try:
            while not (await asyncio.wait((asked,), timeout=PATIENCE))[0]:
                await self.ping()
        except BaseException:
            asked.add_done_callback(_noticed)
            asked.cancel()  # or it would be asked yet, when its turn comes
            raise
        return await asked

    async def _pinged(self) -> None:
        def ping() -> None:
            self._pinging.client().query("SELECT 1")

        try:
            await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._pinger, ping), PATIENCE)
        except TimeoutError as error:
            raise Retry(
                f"ClickHouse has not answered for {PATIENCE:g} s: does it hang, or is it away? See GRIS_CLICKHOUSE"
            ) from error

    async def _measured(self, name: str, answer: Coroutine[None, None, T]) -> T:
        began = time.perf_counter()
        try:
            found = await answer
        except GrisError as error:
            self._metrics.query_failures.labels(name).inc()
            self.trouble = str(error)
            raise
        else:
            self.trouble = None
            return found
        finally:
            self._metrics.query_seconds.labels(name).observe(time.perf_counter() - began)


class _Connection:
    """A client that is made when it is first asked for."""

    def __init__(self, url: str, answer_seconds: float) -> None:
        self._url = url
        self._answer_seconds = answer_seconds
        self._client: Client | None = None
        self._connecting = threading.Lock()

    def client(self) -> Client:
        """Give the client. Blocks; raises Retry or Fatal."""
        with self._connecting:
            if self._client is None:
                self._client = connect(self._url, self._answer_seconds)
            return self._client

    def close(self) -> None:
        """Close it, if there is one; whoever still waits for it is not waited for."""
        if self._client is not None:
            self._client.close()
            self._client = None


def _noticed(asked: "asyncio.Future[T]") -> None:
    """Look at a failure that nobody waits for any more: asyncio complains of others."""
    if not asked.cancelled():
        asked.exception()
