"""The order of a flush. A crash anywhere in it repeats, and never skips."""

import asyncio
import contextlib
import functools
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, ParamSpec

import pyarrow as pa
import structlog
from faust.types import TP

from sinks.clickhouse.client import Client
from sinks.clickhouse.tail import Key, delete_totals
from sinks.clickhouse.writer import Writer
from streams.aggregate import Aggregator
from streams.announce import Announcing, Fenced
from streams.batch import Batch, Rows
from streams.health import Health
from streams.hints import Hints
from streams.memory import give_back
from streams.metrics import Metrics
from streams.settings import Step, WorkerSettings
from streams.threads import Threads
from streams.together import all_of, both

TICK_SECONDS = 0.5
REST = 1.25
"""Near the head of the log events wait for a flush at least so many times what the last one took."""
PATIENCE = 6
"""In a replay, events wait for so many times what the last flush took."""
SHARES = 16
"""A flush takes this part of what may wait, and at least a partition: its totals are in memory until they are out.

It does not take less than may be held: that is little enough."""

P = ParamSpec("P")

log = structlog.get_logger(__name__)


class Pulse:
    """Tells whether the process stood still: what it was about to do then may be another's business by now."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._longest = 0.0

    def feel(self) -> None:
        """Feel it from now on, if it is not felt yet."""
        if self._last is None:
            self._beat()

    def forget(self) -> None:
        """Forget every standstill so far."""
        self._longest = 0.0

    def standstill(self) -> float:
        """Give the longest standstill that is not forgotten, in seconds; a tick is the least."""
        return max(self._longest, time.monotonic() - self._last) if self._last is not None else 0.0

    def _beat(self) -> None:
        now = time.monotonic()
        self._longest = max(self._longest, now - self._last if self._last is not None else 0.0)
        self._last = now
        asyncio.get_running_loop().call_later(TICK_SECONDS, self._beat)


def wait_near_the_head(longest: float, took: float) -> float:
    """Give the seconds that events wait for a flush, if the last took so many: at most ``longest`` until they are out.

    Where flushes take long they wait longer, up to ``longest``: many small ones would only be more work.
    """
    return min(longest, max(longest - took, REST * took))


class Flusher:
    """Store what the aggregator has folded, a batch at a time, while it folds on."""

    def __init__(
        self,
        settings: WorkerSettings,
        aggregator: Aggregator,
        client: Client,
        announcer: Announcing,
        storing: asyncio.Lock,
        threads: Threads,
        health: Health,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._aggregator = aggregator
        self._client = client
        self._writer = Writer(client)
        self._announcer = announcer
        self._threads = threads
        self._health = health
        self._metrics = metrics
        self.on_fenced: Callable[[], Awaitable[None]] | None = None
        self.hints = Hints()
        self._storing = storing
        self._pulse = Pulse()
        self._took = 0.0
        """Seconds that the last flush took."""
        self._flushes = 0
        self._changing = asyncio.Lock()

    async def run(self) -> None:
        """Flush for ever, whenever one is due."""
        while True:
            await self._due()
            try:
                await self.flush(max(self._settings.flush_rows // SHARES, self._settings.held_rows))
            except Fenced as fenced:
                log.warning("fenced", what=str(fenced), remedy="partitions are opened anew from the ledger")
                if self.on_fenced is not None:
                    await self.on_fenced()
                self._pulse.forget()

    async def flush(self, most: int | None = None) -> None:
        """Store one batch, of all partitions or of at ``most`` so many events.

        1. observations, rejected, day_totals into ClickHouse: equal rows if repeated, and older totals lose; rows may
           have been stored ahead;
        2. after a start under other rules, the version of lines of which no total may be left: no later one is lower;
        3. gris.rejected and gris.daily, acknowledged: readers dedupe by place and keep the highest version;
        4. after a start under other rules, the deletion of totals that nothing accounts for any more;
        5. the ledger row: from here on a restart begins behind the batch;
        6. in its own time, the Kafka commit: for lag tools only.

        Raises Fenced when another worker may have the partitions by now; what was stored of the batch does no harm.
        """
        self._pulse.feel()
        async with self._whole():
            start = time.perf_counter()
            # Rows are stored while totals are reckoned: both wait for a fold under way, and none comes between.
            _, batch = await both(self._store_folded(), self._aggregator.take(most))
            if batch is None:
                return
            self._flushes += 1
            await self._store(batch.rows)  # what was folded in between
            self._passed("observations")
            self._passed("rejected")
            await self._alongside(self._tell(batch))
            if not self._settings.bench_no_inserts:
                await self._settle(batch)
                openings = {tp: opening for tp, (opening, _) in batch.blocks.items()}
                self.hints.note({tp: (at.next_offset, openings[tp]) for tp, at in batch.positions.items()})
            self._aggregator.stored(batch)
            if batch.events > self._settings.held_rows:
                await self._threads.database(give_back)
            self._took = time.perf_counter() - start
            self._metrics.flushes.observe(self._took)

    async def _settle(self, batch: Batch) -> None:
        for tp, keys in batch.superfluous.items():
            await self._delete(keys, batch.positions[tp].next_offset, batch)
        self._passed("deletions")
        await self._health.persist(
            "writing the ledger",
            lambda: self._threads.database(self._writer.ledger, list(batch.positions.values())),
        )
        self._passed("ledger")

    @contextlib.asynccontextmanager
    async def _whole(self) -> AsyncIterator[None]:
        """Do something at one time with no opening, and whole.

        What was taken to be stored is nowhere else: were it not, a later flush would pass it. So nothing stays open.
        """
        async with self._storing:
            try:
                yield
            except BaseException:
                self._aggregator.close()
                raise

    async def _store_folded(self) -> None:
        await self._store(await self._aggregator.rows_folded())

    async def _store(self, rows: Rows) -> None:
        """Store accepted and refused events side by side: neither needs the other, and none is sent twice for it."""
        left: dict[str, tuple[Callable[[pa.Table], None], Sequence[pa.Table]]] = {
            "observations": (self._writer.observations, rows.observations),
            "rejected": (self._writer.rejected, rows.rejected),
        }

        async def store(name: str) -> None:
            await self._insert(name, *left[name])
            del left[name]

        await self._health.persist("storing events", lambda: all_of([store(name) for name in left]))

    async def _insert(self, name: str, insert: Callable[[pa.Table], None], tables: Sequence[pa.Table]) -> None:
        if tables and not self._settings.bench_no_inserts:
            with self._metrics.stage(name):
                await self._threads.database(_as_one(insert, tables))

    async def _tell(self, batch: Batch) -> None:
        tables = batch.tables()
        while (table := await self._threads.compute(self._next, tables)) is not None:
            await self._insert_totals(table, batch)
        self._passed("totals")
        await self._raise_floors([tp for tp, keys in batch.superfluous.items() if keys], batch)
        self._passed("floors")
        with self._metrics.stage("announce"):
            await self._health.persist(
                "publishing to gris.rejected and gris.daily", lambda: self._announcer.send(batch.messages)
            )
        self._passed("messages")

    async def _insert_totals(self, table: pa.Table, batch: Batch) -> None:
        if not self._settings.bench_no_inserts:
            with self._metrics.stage("day_totals"):
                await self._health.persist(
                    "storing day totals",
                    lambda: self._ours(batch, self._writer.day_totals, table),
                )

    async def _raise_floors(self, tps: Sequence[TP], batch: Batch) -> None:
        if tps and not self._settings.bench_no_inserts:
            versions = {(tp.topic, tp.partition): batch.positions[tp].next_offset for tp in tps}
            await self._health.persist(
                "noting the versions of empty lines",
                lambda: self._threads.database(self._writer.floors, versions),
            )

    def _next(self, tables: Iterator[pa.Table]) -> pa.Table | None:
        with self._metrics.stage("report"):
            return next(tables, None)

    async def _alongside(self, work: Coroutine[Any, Any, None]) -> None:
        """Store rows of later events while ``work`` is done, which may take long: memory is bounded by it."""
        working = asyncio.ensure_future(work)
        held = asyncio.ensure_future(self._aggregator.held.wait())
        try:
            while not working.done():
                await asyncio.wait((working, held), return_when=asyncio.FIRST_COMPLETED)
                if held.done():
                    await self._store(self._aggregator.take_rows())
                    held = asyncio.ensure_future(self._aggregator.held.wait())
            await working
        finally:
            held.cancel()
            working.cancel()
            await asyncio.wait((working,))

    async def quiet(self, seconds: float) -> None:
        """Wait until no totals are being changed, so long at the most: whoever comes must not wait for a database."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changing.acquire(), seconds)
            self._changing.release()

    async def _ours(self, batch: Batch, change: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Change totals only as long as the partitions are ours, and the session cannot be over.

        Whoever opened the partitions since has replaced the totals behind the ledger that were there then. One that
        came later would win over its totals of lower versions: with the right value, but maybe with a flag that was
        right only in between. A deletion could meet totals of the same version that others account for.
        """
        # The session began with a heartbeat, which was sent up to an interval before, and came whenever it came.
        longest = self._settings.session_seconds - 2 * self._settings.heartbeat_seconds

        @functools.wraps(change)
        def change_in_time() -> None:
            if self._pulse.standstill() > longest:
                raise Fenced("The process stood still for nearly its session: its partitions may have moved.")
            if not self._aggregator.holds(batch):
                raise Fenced("The partitions were revoked while their totals were stored.")
            change(*args, **kwargs)

        async with self._changing:
            await self._threads.database(change_in_time)

    async def _delete(self, keys: Sequence[Key], version: int, batch: Batch) -> None:
        if keys:
            await self._health.persist(
                "deleting totals that nothing accounts for",
                lambda: self._ours(batch, delete_totals, self._client, keys, version),
            )

    def _passed(self, step: Step) -> None:
        """Die here, as a crash would, if that is asked for: what a restart makes of it is tested so."""
        if self._settings.fault_stop_after == step and self._settings.fault_stop_flush == self._flushes:
            os.kill(os.getpid(), signal.SIGKILL)

    async def _due(self) -> None:
        """Wait until the oldest block has waited long enough, or there is no more room; store rows ahead meanwhile."""
        settings, aggregator = self._settings, self._aggregator
        while True:
            if aggregator.filled.is_set():
                return
            if aggregator.held.is_set():
                await self._store_ahead()
                continue
            pause = self._wanted()
            if aggregator.since is not None:
                pause = aggregator.since + self._wanted() - time.monotonic()
                if pause <= 0:
                    return
            waiting = [asyncio.ensure_future(event.wait()) for event in (aggregator.filled, aggregator.held)]
            await asyncio.wait(
                waiting, timeout=min(pause, settings.flush_ms / 1000), return_when=asyncio.FIRST_COMPLETED
            )
            for each in waiting:
                each.cancel()

    def _wanted(self) -> float:
        """Give the seconds that events wait for a flush.

        Lines are written whole: the fewer flushes, the fewer lines. So they take a bounded share of a replay's time.
        """
        settings = self._settings
        if not self._aggregator.behind:
            return wait_near_the_head(settings.flush_ms / 1000, self._took)
        return max(settings.replay_flush_ms / 1000, min(PATIENCE * self._took, settings.replay_wait_ms / 1000))

    async def _store_ahead(self) -> None:
        """Store rows before their flush: they are the same whenever they come, and need not wait in memory."""
        async with self._whole():
            await self._store(self._aggregator.take_rows())


def _as_one(insert: Callable[[pa.Table], None], tables: Sequence[pa.Table]) -> Callable[[], None]:
    @functools.wraps(insert)
    def insert_them() -> None:
        insert(pa.concat_tables(tables).unify_dictionaries())

    return insert_them
