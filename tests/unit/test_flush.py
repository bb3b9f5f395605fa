"""Rows leave for the database ahead of their flush, and what cannot be stored is never passed by a later one."""

import asyncio
import dataclasses
import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Fatal, Retry
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.writer import REJECTED
from streams.aggregate import Aggregator
from streams.announce import Silence
from streams.flush import Flusher, wait_near_the_head
from streams.health import Health
from streams.metrics import Metrics
from streams.rows import observation_rows
from streams.settings import WorkerSettings
from streams.threads import Threads
from streams.validate import Judged
from streams.waiting import Start
from tests.support.judging import block, bundled, decoded
from tests.support.wire import event

PLACE = TP("gris.events.g18", 0)
OTHER = TP("gris.events.g09", 0)
PERIODS = {"G18.001": "2026-11-22T00:00:00/PT6H", "G09.001": "2026-Q3"}
BLOCK = 10
REFUSED = {field.name: "" for field in REJECTED} | {
    "partition": 0,
    "offset": 9,
    "raw": b"",
    "schema_id": None,
    "received_at": datetime(2026, 11, 22, tzinfo=UTC),
}


class Database:
    """Keeps the inserts in the order in which they come; refuses a table when it is told to."""

    def __init__(self) -> None:
        self.inserts: list[tuple[str, int]] = []
        self.refuses = ""
        self.busy: dict[str, int] = {}
        """How often a table is not yet to be had."""

    def insert(self, table: str, rows: pa.Table) -> None:
        """Take rows."""
        if table == self.refuses:
            raise Fatal("refused")
        if self.busy.get(table):
            self.busy[table] -= 1
            raise Retry("busy")
        self.inserts.append((table, rows.num_rows))

    def count(self, table: str) -> int:
        """Count the rows of a table."""
        return sum(rows for name, rows in self.inserts if name == table)


def judged(at: int, code: str = "G18.001", place: TP = PLACE) -> Judged:
    """Make the block that begins at an offset."""
    _, rules = bundled()
    events = [event(code, "VN", PERIODS[code], 1.0, revision=at + each) for each in range(BLOCK)]
    block_ = block(code[:3].lower(), [code.encode()] * BLOCK, first_offset=at)
    verdicts = rules.judge(block_, decoded(events))
    assert not verdicts.refused
    rows = observation_rows(block_, verdicts.accepted, rules.digest)
    return Judged(place, 1, block_, verdicts.accepted, [], rows, REJECTED.empty_table(), [], at, at + BLOCK, at + BLOCK)


def scene(database: Database, play: Callable[[Aggregator, Flusher], Any], **settings: int) -> None:
    """Play with an aggregator, whose partition is open, and its flusher."""

    async def played() -> None:
        given = WorkerSettings.model_validate({"guard_agencies": 0, "held_rows": 1_000, **settings})
        client: Any = database
        threads = Threads()
        shared = threads, Health(), Metrics()
        aggregator = Aggregator(given, bundled()[0], client, *shared)
        flusher = Flusher(given, aggregator, client, Silence(), asyncio.Lock(), *shared)
        await aggregator.open(PLACE, 1, Start("g18", Position(*PLACE, 0, 0, 0, 0, "", "", 1), (), 0, {}))
        try:
            await play(aggregator, flusher)
        finally:
            threads.close()

    asyncio.run(played())


def test_rows_are_stored_ahead_and_the_ledger_and_the_totals_come_with_the_flush() -> None:
    database = Database()

    async def play(aggregator: Aggregator, flusher: Flusher) -> None:
        running = asyncio.ensure_future(flusher.run())
        for at in range(0, 3_000, BLOCK):  # would wait for ever, were no rows stored ahead
            await aggregator.fold(judged(at))
        running.cancel()
        await asyncio.wait((running,))
        assert database.count("observations") >= 1_000
        assert {table for table, _ in database.inserts} == {"observations"}

    scene(database, play, flush_ms=60_000)


def test_a_flush_stores_what_was_not_stored_ahead() -> None:
    database = Database()

    async def play(aggregator: Aggregator, flusher: Flusher) -> None:
        for at in itertools.islice(itertools.count(0, BLOCK), 5):
            await aggregator.fold(judged(at))
        await flusher.flush()
        await flusher.flush()
        assert [table for table, _ in database.inserts] == ["observations", "day_totals", "ledger"]
        assert database.count("observations") == 5 * BLOCK

    scene(database, play)


def test_a_flush_of_a_few_events_takes_the_partition_that_waits_longest() -> None:
    database = Database()

    async def play(aggregator: Aggregator, _: Flusher) -> None:
        await aggregator.open(OTHER, 1, Start("g09", Position(*OTHER, 0, 0, 0, 0, "", "", 1), (), 0, {}))
        await aggregator.fold(judged(0))
        await aggregator.fold(judged(0, "G09.001", OTHER))
        await aggregator.fold(judged(BLOCK))
        first = await aggregator.take(BLOCK)
        second = await aggregator.take(BLOCK)
        assert first is not None
        assert second is not None
        assert [first.positions.keys(), second.positions.keys()] == [{PLACE}, {OTHER}]
        assert first.events == 2 * BLOCK
        assert aggregator.rows == 0

    scene(database, play)


def test_kafka_hears_where_the_ledger_stands_and_in_which_opening() -> None:
    heard: dict[TP, tuple[int, int]] = {}

    async def hear(reached: Mapping[TP, tuple[int, int]]) -> None:
        heard.update(reached)

    async def play(aggregator: Aggregator, flusher: Flusher) -> None:
        flusher.hints.commit = hear
        for at in (0, BLOCK):
            await aggregator.fold(judged(at))
            await flusher.flush()
        await flusher.hints.finish()
        assert heard == {PLACE: (2 * BLOCK, 1)}

    scene(Database(), play)


def test_rows_that_are_stored_are_not_sent_again_when_others_are_refused_for_a_while() -> None:
    database = Database()
    database.busy = {"rejected": 2}

    async def play(aggregator: Aggregator, flusher: Flusher) -> None:
        refused = pa.Table.from_pylist([REFUSED], schema=REJECTED)
        await aggregator.fold(dataclasses.replace(judged(0), rejected=refused))
        await flusher.flush()
        assert database.count("observations") == BLOCK
        assert database.count("rejected") == 1
        assert not any(database.busy.values())

    scene(database, play)


@given(longest=st.floats(0.01, 60), took=st.floats(0, 120))
def test_events_are_out_in_time_where_flushes_are_quick_and_wait_where_they_are_not(
    longest: float, took: float
) -> None:
    wait = wait_near_the_head(longest, took)
    assert wait <= longest
    assert wait + took <= longest or wait >= min(took, longest)


@pytest.mark.parametrize("table", ["observations", "day_totals", "ledger"])
def test_after_a_flush_that_failed_nothing_is_passed_until_it_is_read_again(table: str) -> None:
    database = Database()

    async def play(aggregator: Aggregator, flusher: Flusher) -> None:
        await aggregator.fold(judged(0))
        database.refuses = table
        with pytest.raises(Fatal):
            await flusher.flush()
        database.refuses = ""
        await aggregator.fold(judged(BLOCK))
        await flusher.flush()
        assert database.count("ledger") == 0

    scene(database, play)
