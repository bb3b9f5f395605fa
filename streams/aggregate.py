"""Fold judged blocks into cubes: what the aggregate agent does with each, and what a flush takes from it."""

import asyncio
import dataclasses
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
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.tail import Key, LineKey
from streams.announce import Messages
from streams.guard import Guard
from streams.health import Health
from streams.metrics import Metrics
from streams.partition import Partition
from streams.reckon import Reckoning
from streams.report import Line, lines, total_rows
from streams.settings import WorkerSettings
from streams.threads import Threads
from streams.validate import Judged


@dataclasses.dataclass(frozen=True, slots=True)
class Start:
    """Where a partition starts, what ClickHouse holds of it, and what a flush left behind the ledger."""

    agency: str
    position: Position
    days: Sequence[int]
    floor: int
    restoring: Mapping[LineKey, Sequence[str]]


@dataclasses.dataclass(slots=True)
class Open:
    """An open partition: its state, and the blocks folded in since the last flush was taken."""

    opening: int
    state: Partition
    end: int
    reached: int
    """Where the last block folded in reaches."""
    pending: list[Judged] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """What one flush stores, in the order in which it is stored."""

    observations: Sequence[pa.Table]
    rejected: Sequence[pa.Table]
    totals: pa.Table
    messages: Mapping[TP, Messages]
    superfluous: Mapping[TP, Sequence[Key]]
    """Rows of day_totals that nothing accounts for any more, after a start under other rules."""
    positions: Mapping[TP, Position]
    blocks: Mapping[TP, tuple[int, Sequence[Judged]]]


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
        self.filled = asyncio.Event()
        self.since: float | None = None
        """When the oldest block that no flush has taken was folded in (monotonic seconds)."""
        self.rows = 0

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
        self._open[tp] = Open(opening, state, start.position.next_offset, start.position.next_offset)

    def close(self) -> None:
        """Forget everything: partitions were revoked, or are about to be opened anew from the ledger."""
        for tp in self._open:
            self._metrics.forget(tp.topic, tp.partition)
        self._open.clear()
        self._reset_room()

    async def fold(self, judged: Judged) -> None:
        """Fold a block in, once its buckets are in memory; one of a former opening is dropped and read again."""
        async with self._state:
            partition = self._held(judged)
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
            if self._held(judged) is None:
                return
            with self._metrics.stage("fold"):
                await self._threads.compute(partition.state.fold, judged.block, judged.accepted)
            if self._held(judged) is None:
                return
            partition.state.advance(judged.block, len(judged.accepted.rows), len(judged.refused))
            partition.reached = judged.reaches
            partition.pending.append(judged)
            partition.end = judged.end
            self.rows += len(judged.block.offsets)
            self.since = self.since or time.monotonic()
        if self.rows >= self._settings.flush_rows:
            self.filled.set()
            # Back-pressure: the next block waits until a flush has taken these.
            self._taken.clear()
            while self.rows >= self._settings.flush_rows:
                await self._taken.wait()
                self._taken.clear()

    def _held(self, judged: Judged) -> Open | None:
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
        codes = [indicator.code for indicator in indicators]
        return await self._health.persist(
            "reading buckets back from ClickHouse",
            lambda: self._threads.database(
                queries.cells, self._client, place.topic, place.partition, days, state.flushed, indicators=codes
            ),
        )

    async def take(self) -> Batch | None:
        """Take all that was folded in since the last flush and the totals of what it touched; None for nothing."""
        async with self._state:
            ready = {tp: p for tp, p in self._open.items() if p.state.due}
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
            with self._metrics.stage("report"):
                totals, lines_of = await self._threads.compute(
                    _report, {tp: (positions[tp].next_offset, reckoned[tp]) for tp in ready}
                )
            blocks = {tp: (p.opening, p.pending) for tp, p in ready.items()}
            superfluous = {tp: p.state.superfluous(reckoned[tp]) for tp, p in ready.items() if p.state.restoring}
            for partition in ready.values():
                partition.pending = []
            self._note_freshness(reckoned.values())
            self._reset_room()
        pending = [judged for _, judged_blocks in blocks.values() for judged in judged_blocks]
        return Batch(
            [j.observations for j in pending if j.observations.num_rows],
            [j.rejected for j in pending if j.rejected.num_rows],
            totals,
            {tp: Messages([r for j in blocks[tp][1] for r in j.rejects], lines_of[tp]) for tp in ready},
            superfluous,
            positions,
            blocks,
        )

    def note_ends(self, ends: Mapping[TP, int]) -> None:
        """Take the partitions' ends as the broker tells them: what lags grows also while nothing can be stored."""
        for tp, end in ends.items():
            partition = self._open.get(tp)
            if partition is not None:
                partition.end = end
                self._metrics.behind(tp.topic, str(tp.partition), end - partition.state.flushed, partition.state.newest)

    def stored(self, batch: Batch) -> None:
        """Note that a batch is stored to its ledger rows: its buckets may leave memory."""
        now_ms = time.time() * 1000
        for tp, (opening, blocks) in batch.blocks.items():
            for judged in blocks:
                self._count(judged, now_ms)
            partition = self._open.get(tp)
            position = batch.positions[tp]
            if partition is not None and partition.opening == opening:
                days = {day for judged in blocks for day in np.unique(judged.accepted.day).tolist()}
                partition.state.stored_up_to(position.next_offset, days)
                self._metrics.stored(position, partition.end, partition.state.newest)

    def _count(self, judged: Judged, now_ms: float) -> None:
        agency = judged.block.agency
        self._metrics.events.labels(agency, "accepted").inc(len(judged.accepted.rows))
        self._metrics.events.labels(agency, "rejected").inc(len(judged.refused))
        for refusal in judged.refused:
            self._metrics.rejects.labels(refusal.reason.name).inc()
        self._metrics.ages.observe((now_ms - judged.block.timestamps) / 1000)

    def _note_freshness(self, reckoned: Iterable[Sequence[Reckoning]]) -> None:
        for one in itertools.chain.from_iterable(reckoned):
            shape = one.totals.shape
            for at in np.flatnonzero(one.publish).tolist():
                code = shape.indicators[int(one.totals.line[at]) // shape.breakdowns].code
                self._metrics.freshness.labels(code).set(one.newest[at] / 1000)

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
        self.rows = 0
        self.since = None
        self.filled.clear()
        self._taken.set()


def _report(reckoned: Mapping[TP, tuple[int, list[Reckoning]]]) -> tuple[pa.Table, dict[TP, list[Line]]]:
    totals = [total_rows(found, version) for version, found in reckoned.values()]
    return pa.concat_tables(totals), {tp: list(lines(found, version)) for tp, (version, found) in reckoned.items()}
