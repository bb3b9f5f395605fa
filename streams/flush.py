"""The order of a flush. A crash anywhere in it repeats, and never skips."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pyarrow as pa
import structlog
from faust.types import TP

from sinks.clickhouse.client import Client
from sinks.clickhouse.tail import Key, delete_totals
from sinks.clickhouse.writer import Writer
from streams.aggregate import Aggregator, Batch
from streams.announce import Announcing, Fenced
from streams.health import Health
from streams.metrics import Metrics
from streams.settings import Step, WorkerSettings
from streams.threads import Threads

TICK_SECONDS = 0.5

log = structlog.get_logger(__name__)


class Pulse:
    """Tells whether the process stood still: what it was about to do then may be another's business by now."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._longest = 0.0

    def begin(self) -> None:
        """Feel it from now on."""
        self._longest = 0.0
        if self._last is None:
            self._beat()

    def standstill(self) -> float:
        """Give the longest standstill since ``begin``, in seconds; a tick is the least."""
        return max(self._longest, time.monotonic() - self._last) if self._last is not None else 0.0

    def _beat(self) -> None:
        now = time.monotonic()
        self._longest = max(self._longest, now - self._last if self._last is not None else 0.0)
        self._last = now
        asyncio.get_running_loop().call_later(TICK_SECONDS, self._beat)


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
        self.commit_hint: Callable[[Mapping[TP, int]], Awaitable[None]] | None = None
        self._storing = storing
        self._pulse = Pulse()

    async def run(self) -> None:
        """Flush for ever, whenever one is due."""
        while True:
            await self._due()
            try:
                await self.flush()
            except Fenced as fenced:
                log.warning("fenced", what=str(fenced), remedy="partitions are opened anew from the ledger")
                if self.on_fenced is not None:
                    await self.on_fenced()

    async def flush(self) -> None:
        """Store one batch: rows, totals, messages, ledger, and last the hint to Kafka.

        1. observations, rejected, day_totals into ClickHouse: equal rows if repeated, and older totals lose;
        2. gris.rejected and gris.daily, acknowledged: readers dedupe by place and keep the highest version;
        3. after a start under other rules, the deletion of totals that nothing accounts for any more;
        4. the ledger row: from here on a restart begins behind the batch;
        5. the Kafka commit: for lag tools only.

        Raises Fenced when another worker may have the partitions by now; what was stored of the batch does no harm.
        """
        async with self._storing:
            self._pulse.begin()
            start = time.perf_counter()
            batch = await self._aggregator.take()
            if batch is None:
                return
            if self._settings.bench_no_inserts:
                await self._announce(batch)
                self._aggregator.stored(batch)
                self._metrics.flushes.observe(time.perf_counter() - start)
                return
            await self._store("storing observations", self._writer.observations, batch.observations)
            self._passed("observations")
            await self._store("storing rejected events", self._writer.rejected, batch.rejected)
            self._passed("rejected")
            if batch.totals.num_rows:
                await self._store("storing day totals", self._ours(self._writer.day_totals), [batch.totals])
            self._passed("totals")
            await self._announce(batch)
            self._passed("messages")
            for tp, keys in batch.superfluous.items():
                await self._delete(keys, batch.positions[tp].next_offset)
            self._passed("deletions")
            await self._health.persist(
                "writing the ledger",
                lambda: self._threads.database(self._writer.ledger, list(batch.positions.values())),
            )
            self._passed("ledger")
            self._aggregator.stored(batch)
            self._metrics.flushes.observe(time.perf_counter() - start)
            if self.commit_hint is not None:
                await self.commit_hint({tp: p.next_offset for tp, p in batch.positions.items()})

    def _ours(self, insert: Callable[[pa.Table], None]) -> Callable[[pa.Table], None]:
        """Insert totals only as long as the session cannot be over.

        Whoever opened the partitions since has replaced the totals behind the ledger that were there then. One that
        came later would win over its totals of lower versions: with the right value, but maybe with a flag that was
        right only in between.
        """

        def insert_in_time(rows: pa.Table) -> None:
            if self._pulse.standstill() > self._settings.session_seconds:
                raise Fenced("The process stood still for longer than its session: its partitions may have moved.")
            insert(rows)

        return insert_in_time

    async def _store(self, doing: str, insert: Callable[[pa.Table], None], tables: Sequence[pa.Table]) -> None:
        if not tables:
            return
        with self._metrics.stage(doing.removeprefix("storing ").replace(" ", "_")):
            rows = pa.concat_tables(tables).unify_dictionaries()
            await self._health.persist(doing, lambda: self._threads.database(insert, rows))

    async def _announce(self, batch: Batch) -> None:
        with self._metrics.stage("announce"):
            await self._health.persist(
                "publishing to gris.rejected and gris.daily", lambda: self._announcer.send(batch.messages)
            )

    async def _delete(self, keys: Sequence[Key], version: int) -> None:
        if keys:
            await self._health.persist(
                "deleting totals that nothing accounts for",
                lambda: self._threads.database(delete_totals, self._client, keys, version),
            )

    def _passed(self, step: Step) -> None:
        """Die here, as a crash would, if that is asked for: what a restart makes of it is tested so."""
        if self._settings.fault_stop_after == step:
            os.kill(os.getpid(), signal.SIGKILL)

    async def _due(self) -> None:
        """Wait until the oldest block has waited long enough, or there is no more room."""
        settings, aggregator = self._settings, self._aggregator
        while True:
            if aggregator.filled.is_set():
                return
            pause = settings.flush_ms / 1000
            if aggregator.since is not None:
                wanted = settings.replay_flush_ms if aggregator.behind else settings.flush_ms
                pause = aggregator.since + wanted / 1000 - time.monotonic()
                if pause <= 0:
                    return
            try:
                await asyncio.wait_for(aggregator.filled.wait(), min(pause, settings.flush_ms / 1000))
            except TimeoutError:
                continue
