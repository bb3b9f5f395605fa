"""Codec, rules, cubes and totals on a realistic stream, in any blocks and flushes, with evictions and restarts."""

import dataclasses
import datetime as dt
import itertools
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from schemas.catalogue import Catalogue, load
from schemas.codec import EventCodec, decode_line
from schemas.registry import BundledSchemas
from schemas.rules import Block, Judged, Rules
from sinks.clickhouse.ledger import Position
from streams import reckon
from streams.partition import Partition
from streams.report import lines, total_rows
from tests.support import oracle
from tests.support.figures import EVENTS, Place
from tests.support.judging import SCHEMA_IDS
from tests.support.logs import Record, judge_run, lay_out
from tests.support.small_catalogue import PARTITIONS, write_catalogue
from tests.support.workload import Workload

COLUMNS = ("indicator", "area", "breakdown", "time_period", "day", "ticks", "base", "status", "version")
TYPES = (*[pa.string()] * 4, pa.int32(), pa.int64(), pa.int64(), pa.uint8(), pa.uint64())


class Store:
    """What the database holds: the newest statement of each cell, and totals and lines of the highest version."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, ...], tuple[int, ...]] = {}
        self.totals: dict[oracle.Key, tuple[int, oracle.Total]] = {}
        self.lines: dict[oracle.Line, tuple[int, dict[str, object]]] = {}

    def take_in(self, judged: Judged) -> None:
        """Store accepted statements."""
        said = judged.accepted
        texts = [said.texts[name].to_pylist() for name in COLUMNS[:4]]
        numbers = (said.version, said.day, said.ticks, said.base, said.status)
        for cell, row in zip(zip(*texts, strict=True), zip(*(n.tolist() for n in numbers), strict=True), strict=True):
            if cell not in self.cells or row[0] > self.cells[cell][0]:
                self.cells[cell] = row

    def read(self, days: list[int], indicators: list[str] | None) -> pa.Table:
        """Give the newest statement of each cell of some days."""
        rows = [
            (*cell, day, ticks, base, status, version)
            for cell, (version, day, ticks, base, status) in self.cells.items()
            if day in days and (indicators is None or cell[0] in indicators)
        ]
        columns = zip(*rows, strict=True) if rows else [()] * len(COLUMNS)
        return pa.table([pa.array(c, t) for c, t in zip(columns, TYPES, strict=True)], names=COLUMNS)

    def keep_totals(self, table: pa.Table) -> None:
        """Let the highest version of each total win."""
        for row in table.to_pylist():
            key = (row["bucket"], row["indicator"], row["area"], row["breakdown"])
            fields = {field.name: row[field.name] for field in dataclasses.fields(oracle.Total)}
            for name in ("value", "min", "max"):
                fields[name] = None if fields[name] is None else int(fields[name] * 10_000)
            fields["flags"] = tuple(fields["flags"])
            if row["version"] >= self.totals.get(key, (0,))[0]:
                self.totals[key] = (row["version"], oracle.Total(**fields))

    def keep_line(self, line: dict[str, object]) -> None:
        """Keep the last line of each key, as compaction does."""
        bucket, version = line["bucket"], line["version"]
        assert isinstance(bucket, dt.date)
        assert isinstance(version, int)
        key = (bucket, str(line["indicator"]), str(line["breakdown"]))
        assert version >= self.lines.get(key, (0,))[0], "the last line of a key must be the highest version"
        self.lines[key] = (version, line)


class Worker:
    """The aggregate agent without Faust and without a database."""

    def __init__(self, catalogue: Catalogue, place: Place, store: Store, start: Position, dice: random.Random) -> None:
        self.store = store
        self.dice = dice
        days = {row[1] for row in store.cells.values()}
        self.state = Partition(catalogue, place[0].removeprefix(EVENTS), start, days, itertools.count())
        self.pending: list[Judged] = []

    def fold(self, block: Block, judged: Judged) -> None:
        """Read back what is absent, then fold."""
        state, said = self.state, judged.accepted
        for year, indicators in state.unknown_years(said).items():
            cells = self.store.read(state.stored_in(year), [indicator.code for indicator in indicators])
            state.load_year(year, indicators, cells)
        self.load(state.absent(said.day.tolist()))
        state.fold(block, said)
        state.advance(block, len(said.rows), len(judged.refused))
        self.pending.append(judged)

    def load(self, absent: list[int]) -> None:
        """Read buckets back."""
        if absent:
            self.state.load(absent, self.store.read(absent, None))

    def flush(self) -> None:
        """Store everything and forget some of it."""
        state, store = self.state, self.store
        found = state.reckon()
        self.load(state.absent(state.fallen_elsewhere()))
        found += state.reckon_flipped()
        version = state.position.next_offset
        for judged in self.pending:
            store.take_in(judged)
        store.keep_totals(total_rows(found, version))
        for line in lines(found, version):
            store.keep_line(decode_line(line.value))
        state.stored_up_to(version, {day for judged in self.pending for day in judged.accepted.day.tolist()})
        self.pending = []
        for cube in state.evictable():
            if self.dice.random() < 0.3:
                state.evict(cube)


def work_off(catalogue: Catalogue, rules: Rules, place: Place, records: list[Record], dice: random.Random) -> Store:
    """Work a log off as workers do that fetch, flush, forget and die at random, and start again from the ledger."""
    codec, store = EventCodec(BundledSchemas()), Store()
    ledger = Position(place[0], place[1], 0, 0, 0, 0, rules.digest, "id", PARTITIONS[place[0].removeprefix(EVENTS)])
    worker = Worker(catalogue, place, store, ledger, dice)
    offset = 0
    while offset < len(records) or worker.pending:
        if offset < len(records):
            size = dice.choice((1, 7, 100, 900, 3_000))
            worker.fold(*judge_run(rules, codec, place, offset, records[offset : offset + size]))
            offset += size
        if dice.random() < 0.4 or offset >= len(records):
            worker.flush()
            ledger = worker.state.position
        if dice.random() < 0.05:
            worker = Worker(catalogue, place, store, ledger, dice)
            offset = ledger.next_offset
    assert ledger.accepted + ledger.rejected == ledger.next_offset == len(records)
    return store


def as_total(line: dict[str, object], area: dict[str, Any], status: str) -> oracle.Total:
    """Read one area of a line of gris.daily; the line's status is VN's, the area's own is not in it."""
    value, least, most = (None if area[at] is None else int(area[at] * 10_000) for at in ("value", "min", "max"))
    flags = line["flags"]
    assert isinstance(flags, list)
    reported, expected, cells = area["areas_reported"], area["areas_expected"], area["cells"]
    return oracle.Total(value, least, most, reported, expected, cells, status, tuple(flags))


@pytest.mark.parametrize("seed", range(4))
def test_a_realistic_stream_gives_the_oracle_s_totals_and_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(reckon, "LINES_AT_ONCE", (1, 5, 40, 2048)[seed])
    folder = write_catalogue(tmp_path)
    catalogue, dice = load(folder), random.Random(seed)
    rules = Rules(catalogue, SCHEMA_IDS)
    workload = Workload(12_000, seed=100 + seed, days=3 + 20 * (seed % 2))
    logs = lay_out(workload)
    stores = [work_off(catalogue, rules, place, records, dice) for place, records in logs.items()]
    expected = workload.totals(folder)
    found = {key: total for store in stores for key, (_, total) in store.totals.items()}
    wrong = {
        key: (expected.get(key), found.get(key))
        for key in expected.keys() | found.keys()
        if expected.get(key) != found.get(key)
    }
    assert not wrong, f"{len(wrong)} of {len(expected)}: key, expected, found: {list(wrong.items())[:5]}"

    published = {}
    for store in stores:
        for (bucket, indicator, breakdown), (_, line) in store.lines.items():
            nation = expected.get((bucket, indicator, "VN", breakdown))
            assert line["status"] == ("M" if nation is None else nation.status)
            for area in line["areas"]:  # type: ignore[attr-defined]
                key = (bucket, indicator, area["area"], breakdown)
                published[key] = as_total(line, area, expected[key].status)
    assert published == expected
