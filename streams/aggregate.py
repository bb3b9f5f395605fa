"""Fold judged blocks into cubes: what the aggregate agent does with each, and what a flush takes from it."""

import asyncio
import collections
import itertools
import time
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
from faust.types import TP

from schemas.catalogue import Catalogue, Indicator
from schemas.errors import Fatal
from sinks.clickhouse import queries
from sinks.clickhouse.client import Client
from streams.announce import Messages
from streams.batch import Batch, Rows
from streams.guard import Guard
from streams.health import Health
from streams.metrics import Metrics
from streams.partition import Partition
from streams.reckon import Reckoning
from streams.report import Encoding
from streams.settings import WorkerSettings
from streams.threads import Threads
from streams.validate import Judged
from streams.waiting import Folded, Open, Start


class Aggregator:
    """The open partitions of this worker, and the room left for more blocks before a flush."""

    def __init__(
        self,
        settings: WorkerSettings,
        catalogue: Catalogue,
        client: Client,
        threads: Threads,
        health: Health,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._client = client
        self._threads = threads
        self._health = health
        self._metrics = metrics
        self._guard = Guard(settings.guard_ratio, settings.guard_events, settings.guard_agencies)
        self._open: dict[TP, Open] = {}
        self._uses = itertools.count()
        # Held by a fold from its read-back to its end, and by the taking of a flush: neither sees the other half done.
        self._state = asyncio.Lock()
        self._taken = asyncio.Event()
        self._stored_ahead = asyncio.Event()
        self.filled = asyncio.Event()
        """Set when no more events are folded in until a flush takes those that were."""
        self.held = asyncio.Event()
        """Set when there are rows enough to store them ahead of their flush."""
        self._rows = Rows([], [])
        self._held = 0

    @property
    def since(self) -> float | None:
        """When the oldest block that a flush may take was folded in (monotonic seconds)."""
        return min((p.since for p in self._open.values() if p.since is not None and p.state.due), default=None)

    @property
    def rows(self) -> int:
        """How many events a flush may take."""
        return sum(p.events for p in self._open.values() if p.state.due)

    @property
    def full(self) -> bool:
        """Whether no more may be folded in before a flush has taken what was."""
        held = sum(p.bytes for p in self._open.values() if p.state.due)
        return self.rows >= self._settings.flush_rows or held >= self._settings.flush_bytes

    @property
    def behind(self) -> bool:
        """Whether a partition is so far behind its end that flushes may grow."""
        return any(p.end - p.state.position.next_offset > self._settings.behind_events for p in self._open.values())

    async def open(self, tp: TP, opening: int, start: Start) -> None:
        """Begin to take blocks of a partition from the ledger's position."""
        state = Partition(self._catalogue, start.agency, start.position, start.days, self._uses)
        state.floor = start.floor
        if start.restoring:
            await self._load_years(state, state.unknown_years_of(start.restoring))
            await self._load(state, {day for day, *_ in start.restoring})
            state.restore(start.restoring)
        place = start.position.next_offset
        self._open[tp] = Open(opening, state, place, place, time.time() * 1000)

    def holds(self, batch: Batch) -> bool:
        """Tell whether all partitions of a batch are still open as they were when it was taken. Any thread may ask."""
        found = ((self._open.get(tp), opening) for tp, (opening, _) in batch.blocks.items())
        return all(partition is not None and partition.opening == opening for partition, opening in found)

    def close(self) -> None:
        """Forget everything: partitions were revoked, or are about to be opened anew from the ledger."""
        for tp in self._open:
            self._metrics.forget(tp.topic, tp.partition)
        self._open.clear()
        self.take_rows()
        self._reset_room()

    async def fold(self, judged: Judged) -> None:
        """Fold a block in, once its buckets are in memory; one of a former opening is dropped and read again."""
        async with self._state:
            partition = self._open_of(judged)
            if partition is None:
                return
            if judged.follows != partition.reached:
                raise Fatal(
                    f"A block of {judged.tp.topic} was lost inside the worker. Nothing was acknowledged: start it"
                    " again, and please report it."
                )
            if not len(judged.block.offsets):
                partition.reached = judged.reaches
                return
            self._guard.count(judged.block.agency, len(judged.accepted.rows), len(judged.refused))
            # Only here, where nobody else is at the cubes: one that left between its read-back and the fold, or in the
            # middle of a fold, would come back empty.
            self._evict()
            await self._read_back(partition.state, judged)
            if self._open_of(judged) is None:
                return
            with self._metrics.stage("fold"):
                await self._threads.compute(partition.state.fold, judged.block, judged.accepted)
            if self._open_of(judged) is None:
                return
            partition.state.advance(judged.block, len(judged.accepted.rows), len(judged.refused))
            partition.reached = judged.reaches
            self._keep(partition, judged)
            partition.end = judged.end
            partition.oldest_ms = partition.oldest_ms or float(judged.block.timestamps[0])
        # Back-pressure: the next block waits until flushes have taken these.
        while self.full:
            self.filled.set()
            self._taken.clear()
            await self._taken.wait()
        while self._held >= 2 * self._settings.held_rows:
            self._stored_ahead.clear()
            await self._stored_ahead.wait()

    def _keep(self, partition: Open, judged: Judged) -> None:
        partition.since = partition.since or time.monotonic()
        timestamps = judged.block.timestamps
        changes = np.flatnonzero(np.diff(timestamps, prepend=timestamps[0] - 1))
        partition.pending.append(
            Folded(
                judged.block.agency,
                timestamps[changes],
                np.diff(changes, append=len(timestamps)),
                len(judged.accepted.rows),
                collections.Counter(refusal.reason for refusal in judged.refused),
                judged.rejects,
                judged.bytes,
                np.unique(judged.accepted.day).tolist(),
            )
        )
        if judged.observations.num_rows:
            self._rows.observations.append(judged.observations)
        if judged.rejected.num_rows:
            self._rows.rejected.append(judged.rejected)
        self._held += len(judged.block.offsets)
        if self._held >= self._settings.held_rows:
            self.held.set()

    async def rows_folded(self) -> Rows:
        """Take the rows of all blocks, once a block that is being folded in is."""
        async with self._state:
            return self.take_rows()

    def take_rows(self) -> Rows:
        """Take the rows of all blocks that nobody took: they may be stored any time before the ledger passes them."""
        rows, self._rows, self._held = self._rows, Rows([], []), 0
        self.held.clear()
        self._stored_ahead.set()
        return rows

    def _open_of(self, judged: Judged) -> Open | None:
        partition = self._open.get(judged.tp)
        return partition if partition is not None and partition.opening == judged.opening else None

    async def _read_back(self, state: Partition, judged: Judged) -> None:
        await self._load_years(state, state.unknown_years(judged.accepted))
        await self._load(state, np.unique(judged.accepted.day).tolist())

    async def _load_years(self, state: Partition, years: Mapping[int, Sequence[Indicator]]) -> None:
        for year, indicators in years.items():
            cells = await self._cells(state, state.stored_in(year), indicators)
            await self._threads.compute(state.load_year, year, indicators, cells)

    async def _load(self, state: Partition, days: Iterable[int]) -> None:
        absent = state.absent(days)
        if absent:
            cells = await self._cells(state, absent, ())
            await self._threads.compute(state.load, absent, cells)

    async def _cells(self, state: Partition, days: Sequence[int], indicators: Sequence[Indicator]) -> pa.Table:
        if not days:
            return queries.CELL_COLUMNS.empty_table()
        place = state.position
        # The table is ordered by indicator: without any named, a bucket's rows are looked for in nearly all of it.
        codes = [indicator.code for indicator in indicators] or state.codes
        return await self._health.persist(
            "reading buckets back from ClickHouse",
            lambda: self._threads.database(
                queries.cells, self._client, place.topic, place.partition, days, state.flushed, indicators=codes
            ),
        )

    async def take(self, most: int | None = None) -> Batch | None:
        """Take what was folded in since the last flush and the totals of what it touched; None for nothing.

        ``most`` bounds the events: those of the partition that waits longest are taken, and of others that fit.
        """
        async with self._state:
            ready = self._ready(most)
            reckoned: dict[TP, list[Reckoning]] = {}
            for tp, partition in ready.items():
                with self._metrics.stage("totals"):
                    found = await self._threads.compute(partition.state.reckon)
                    await self._load(partition.state, partition.state.fallen_elsewhere())
                    reckoned[tp] = found + await self._threads.compute(partition.state.reckon_flipped)
            # What was revoked while it was reckoned is no longer ours to write.
            ready = {tp: p for tp, p in ready.items() if self._open.get(tp) is p}
            if not ready:
                self._reset_room()
                return None
            positions = {tp: p.state.position for tp, p in ready.items()}
            blocks = {tp: (p.opening, p.pending) for tp, p in ready.items()}
            superfluous = {tp: p.state.superfluous(reckoned[tp]) for tp, p in ready.items() if p.state.restoring}
            for partition in ready.values():
                partition.pending, partition.since = [], None
            self._note_freshness(reckoned.values())
            rows = self.take_rows()
            self._reset_room()
        return Batch(
            rows,
            {tp: reckoned[tp] for tp in ready},
            {
                tp: Messages(
                    [reject for folded in blocks[tp][1] for reject in folded.rejects],
                    Encoding(reckoned[tp], positions[tp].next_offset),
                )
                for tp in ready
            },
            superfluous,
            positions,
            blocks,
        )

    def _ready(self, most: int | None) -> dict[TP, Open]:
        due = [(tp, p) for tp, p in self._open.items() if p.state.due and p.pending]
        due.sort(key=lambda each: each[1].since or 0.0)
        ready: dict[TP, Open] = {}
        events = 0
        for tp, partition in due:
            if ready and most is not None and events + partition.events > most:
                continue
            ready[tp] = partition
            events += partition.events
        return ready

    def note_ends(self, ends: Mapping[TP, int]) -> None:
        """Take the partitions' ends as the broker tells them: what lags grows also while nothing can be stored."""
        for tp, end in ends.items():
            partition = self._open.get(tp)
            if partition is not None:
                partition.end = end
                self._metrics.behind(*tp, *partition.lag(time.time() * 1000))

    def stored(self, batch: Batch) -> None:
        """Note that a batch is stored to its ledger rows: its buckets may leave memory."""
        now_ms = time.time() * 1000
        for tp, (opening, blocks) in batch.blocks.items():
            for folded in blocks:
                self._count(folded, now_ms)
            partition = self._open.get(tp)
            position = batch.positions[tp]
            if partition is not None and partition.opening == opening:
                days = {day for folded in blocks for day in folded.days}
                partition.state.stored_up_to(position.next_offset, days)
                partition.oldest_ms = float(partition.pending[0].times[0]) if partition.pending else 0.0
                self._metrics.stored(position)
                self._metrics.behind(*tp, *partition.lag(now_ms))

    def _count(self, folded: Folded, now_ms: float) -> None:
        self._metrics.events.labels(folded.agency, "accepted").inc(folded.accepted)
        self._metrics.events.labels(folded.agency, "rejected").inc(sum(folded.refused.values()))
        for reason, count in folded.refused.items():
            self._metrics.rejects.labels(reason.name).inc(count)
        self._metrics.ages.observe((now_ms - folded.times) / 1000, folded.counts)

    def _note_freshness(self, reckoned: Iterable[Sequence[Reckoning]]) -> None:
        for one in itertools.chain.from_iterable(reckoned):
            for code, newest_ms in one.newest_by_indicator():
                self._metrics.freshness.labels(code).set(newest_ms / 1000)

    def _evict(self) -> None:
        """Let the least recently used buckets go while memory is over the limit; what is not stored yet stays."""
        total = sum(cube.bytes for p in self._open.values() for cube in p.state.cubes.values())
        if total > self._settings.cube_bytes:
            candidates = [(cube.used, p.state, cube) for p in self._open.values() for cube in p.state.evictable()]
            for _, state, cube in sorted(candidates, key=lambda c: c[0]):
                state.evict(cube)
                total -= cube.bytes
                if total <= self._settings.cube_bytes:
                    break
        self._metrics.cubes.set(total)

    def _reset_room(self) -> None:
        self.filled.clear()
        self._taken.set()
