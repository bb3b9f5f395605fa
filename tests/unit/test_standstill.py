"""A worker that stood still for longer than its session stores no total any more: its partitions may have moved."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from faust.types import TP

from schemas.catalogue import load
from schemas.codec import EventCodec
from schemas.registry import BundledSchemas
from schemas.rules import Rules
from sinks.clickhouse.ledger import Position
from streams.aggregate import Aggregator
from streams.announce import Fenced
from streams.blocks import Fetched
from streams.flush import Flusher
from streams.health import Health
from streams.metrics import Metrics
from streams.settings import WorkerSettings
from streams.threads import Threads
from streams.validate import Validator
from streams.waiting import Start
from tests.support.batches import Said, batch, fetched
from tests.support.inline_worker import Announced
from tests.support.judging import SCHEMA_IDS
from tests.support.small_catalogue import write_catalogue
from tests.support.wire import event, frame

PLACE = TP("gris.events.z01", 0)
CODE = "Z01.001"
SESSION = 10.0


class Clock:
    """Stands in for ``time``, and goes on only when it is told: a loop that is held up for a moment does not count."""

    perf_counter = staticmethod(time.perf_counter)

    def __init__(self) -> None:
        self._now = 0.0
        self._read = threading.Event()

    def monotonic(self) -> float:
        now = self._now
        self._read.set()
        return now

    def jump(self, seconds: float) -> None:
        """Go on by so much, and return when that was seen."""
        self._now += seconds
        self._read.clear()
        assert self._read.wait(30), "nobody asks for the time"


class Inserts:
    """Takes inserts; the process stands still after the first, as one would that is frozen there."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.tables: list[str] = []
        self.totals_wait_for = threading.Event()
        self.totals_wait_for.set()
        self.totals_begun = threading.Event()
        self._clock, self._seconds = clock, seconds

    def insert(self, table: str, _: pa.Table) -> None:
        if not self.tables:
            self._clock.jump(self._seconds)
        if table == "day_totals":
            self.totals_begun.set()
            assert self.totals_wait_for.wait(30)
        self.tables.append(table)


class Scene:
    """One event that was folded in, and the parts that flush it."""

    def __init__(self, folder: Path, clock: Clock, seconds: float = 0.0) -> None:
        self._catalogue = load(folder)
        options = WorkerSettings.read().model_copy(update={"session_seconds": SESSION})
        self.threads, health, metrics = Threads(), Health(), Metrics()
        self.inserts: Any = Inserts(clock, seconds)
        rules, codec = Rules(self._catalogue, SCHEMA_IDS), EventCodec(BundledSchemas())
        self._validator = Validator(rules, codec, {PLACE.topic: 1}, 1_000, self.threads, health, metrics)
        self.aggregator = Aggregator(options, self._catalogue, self.inserts, self.threads, health, metrics)
        self.flusher = Flusher(
            options, self.aggregator, self.inserts, Announced(), asyncio.Lock(), self.threads, health, metrics
        )

    async def fold(self) -> None:
        """Fold the event in."""
        await self.aggregator.open(PLACE, 1, Start("z01", Position(*PLACE, 0, 0, 0, 0, "r", "t", 1), [], 0, {}))
        record = Said(0, CODE.encode(), frame(event(CODE, "01", "2024-05-07T01:00:00/PT1H", 1.0)))
        batches, end = fetched(batch(0, [record]))
        async for judged in self._validator.judge(Fetched(PLACE, 1, batches, 0, end, end)):
            await self.aggregator.fold(judged)

    async def flushed(self) -> list[str]:
        """Flush it; gives the tables that were written, in order."""
        try:
            await self.flusher.flush()
        except Fenced:
            self.inserts.tables.append("fenced")
        self.threads.close()
        return list(self.inserts.tables)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("streams.flush.time", found)
    return found


@pytest.mark.parametrize(
    ("seconds", "tables"),
    [(0.0, ["observations", "day_totals", "ledger"]), (SESSION * 0.7, ["observations", "fenced"])],
)
def test_no_total_is_stored_after_a_standstill_that_may_have_cost_the_session(
    tmp_path: Path, clock: Clock, seconds: float, tables: list[str]
) -> None:
    async def scene() -> list[str]:
        found = Scene(write_catalogue(tmp_path / "catalogue"), clock, seconds)
        await found.fold()
        return await found.flushed()

    assert asyncio.run(scene()) == tables


def test_no_total_is_stored_of_a_partition_that_was_revoked_since_the_flush_was_taken(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> list[str]:
        found = Scene(write_catalogue(tmp_path / "catalogue"), clock)
        await found.fold()
        close = found.aggregator.close
        monkeypatch.setattr(found.flusher, "_passed", lambda step: close() if step == "rejected" else None)
        return await found.flushed()

    assert asyncio.run(scene()) == ["observations", "fenced"]


def test_who_gives_partitions_up_waits_for_totals_that_are_being_stored_but_not_for_ever(
    tmp_path: Path, clock: Clock
) -> None:
    async def scene() -> None:
        found = Scene(write_catalogue(tmp_path / "catalogue"), clock)
        await found.fold()
        found.inserts.totals_wait_for.clear()
        flushing = asyncio.ensure_future(found.flushed())
        assert await asyncio.to_thread(found.inserts.totals_begun.wait, 30)
        await found.flusher.quiet(0.05)
        assert "day_totals" not in found.inserts.tables
        waiting = asyncio.ensure_future(found.flusher.quiet(30))
        await asyncio.sleep(0)  # it has begun to wait
        found.inserts.totals_wait_for.set()
        await waiting
        assert "day_totals" in found.inserts.tables
        await flushing

    asyncio.run(scene())
