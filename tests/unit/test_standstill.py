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
        self._clock, self._seconds = clock, seconds

    def insert(self, table: str, _: pa.Table) -> None:
        if not self.tables:
            self._clock.jump(self._seconds)
        self.tables.append(table)


async def flushed(folder: Path, clock: Clock, seconds: float) -> list[str]:
    """Flush one event with a standstill of so many seconds; gives the tables that were written, in order."""
    catalogue = load(folder)
    options = WorkerSettings.read().model_copy(update={"session_seconds": SESSION})
    threads, health, metrics = Threads(), Health(), Metrics()
    inserts: Any = Inserts(clock, seconds)
    validator = Validator(
        Rules(catalogue, SCHEMA_IDS), EventCodec(BundledSchemas()), {PLACE.topic: 1}, 1_000, threads, health, metrics
    )
    aggregator = Aggregator(options, catalogue, inserts, threads, health, metrics)
    flusher = Flusher(options, aggregator, inserts, Announced(), asyncio.Lock(), threads, health, metrics)
    await aggregator.open(PLACE, 1, Start("z01", Position(*PLACE, 0, 0, 0, 0, "r", "t", 1), [], 0, {}))
    record = Said(0, CODE.encode(), frame(event(CODE, "01", "2024-05-07T01:00:00/PT1H", 1.0)))
    batches, end = fetched(batch(0, [record]))
    async for judged in validator.judge(Fetched(PLACE, 1, batches, 0, end, end)):
        await aggregator.fold(judged)
    try:
        await flusher.flush()
    except Fenced:
        inserts.tables.append("fenced")
    threads.close()
    return list(inserts.tables)


@pytest.mark.parametrize(
    ("seconds", "tables"),
    [(0.0, ["observations", "day_totals", "ledger"]), (SESSION * 1.5, ["observations", "fenced"])],
)
def test_no_total_is_stored_after_a_standstill_that_may_have_cost_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, tables: list[str]
) -> None:
    clock = Clock()
    monkeypatch.setattr("streams.flush.time", clock)
    assert asyncio.run(flushed(write_catalogue(tmp_path / "catalogue"), clock, seconds)) == tables
