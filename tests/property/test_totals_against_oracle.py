"""Any order, any split into blocks and flushes, any eviction and any restart: the totals are those of the oracle."""

import dataclasses
import datetime as dt
import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.catalogue import Catalogue, Indicator, load
from schemas.codec import STATUSES
from schemas.codec_lines import decode_line
from schemas.period import parse
from schemas.rules import Accepted, Block
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.queries import CELL_COLUMNS
from streams.flags import EPOCH
from streams.partition import Partition
from streams.report import lines, total_rows
from tests.support import oracle
from tests.support.small_catalogue import FIGURES, provinces_on, write_catalogue

AGENCIES = ("z01", "z02")  # between them, every shape of the small catalogue
BUCKETS = [dt.date(2025, 5, 1), dt.date(2025, 6, 30), dt.date(2025, 7, 1), dt.date(2025, 8, 1), dt.date(2026, 1, 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_catalogue(tmp_path_factory.mktemp("catalogue"))


@pytest.fixture(scope="module")
def catalogue(folder: Path) -> Catalogue:
    return load(folder)


def periods(frequency: str, bucket: dt.date) -> list[str]:  # noqa: PLR0911 - one return a frequency
    """Spell the time periods of a frequency in a bucket."""
    match frequency:
        case "hourly":
            return [f"{bucket}T{hour:02d}:00:00/PT1H" for hour in (0, 1, 22, 23)]
        case "six_hourly":
            return [f"{bucket}T{hour:02d}:00:00/PT6H" for hour in (0, 6, 12, 18)]
        case "daily":
            return [f"{bucket}"]
        case "monthly":
            return [f"{bucket:%Y-%m}"]
        case "quarterly":
            return [f"{bucket.year}-Q{(bucket.month + 2) // 3}"]
        case "semiannual":
            return [f"{bucket.year}-S{1 if bucket.month < 7 else 2}"]
        case _:
            return [f"{bucket.year}"]


@st.composite
def statements(draw: st.DrawFn) -> list[oracle.Statement]:
    """Draw accepted statements of one agency, in log order, about few cells so that they meet."""
    agency = draw(st.sampled_from(AGENCIES))
    own = [figure for figure in FIGURES if figure.agency == agency]
    figures = draw(st.lists(st.sampled_from(own), min_size=1, max_size=3, unique_by=lambda f: f.code))
    said = []
    for offset in range(draw(st.integers(1, 60))):
        figure = draw(st.sampled_from(figures))
        bucket = draw(st.sampled_from(BUCKETS))
        period = draw(st.sampled_from(periods(figure.frequency, bucket)))
        day, _ = oracle.bucket_and_slot(period)
        areas = ["VN"] if figure.geography == "nation" else [*provinces_on(day), "VN"]
        status = draw(st.sampled_from("AAABEFIMP"))
        value = None if status == "M" else draw(st.integers(-4, 30)) * 10_000 + draw(st.sampled_from([0, 0, 5000, 1]))
        base = draw(st.integers(1, 50)) * 3333 if figure.needs_base and status != "M" else None
        said.append(
            oracle.Statement(
                figure.code,
                draw(st.sampled_from(areas)),
                draw(st.sampled_from(["_T", "_T", *figure.breakdowns])),
                period,
                value,
                base,
                status,
                draw(st.sampled_from([0, 0, 0, 1, 2])),
                offset,
            )
        )
    return said


def block_of(catalogue: Catalogue, said: list[oracle.Statement], refused: set[int]) -> tuple[Block, Accepted]:
    """Make the columns that the validate agent hands on; ``refused`` are offsets."""
    rows = []
    for place, one in enumerate(said):
        if one.offset in refused:
            continue
        indicator = catalogue.by_code[one.indicator]
        period = parse(one.time_period)
        ordinal = catalogue.map_ordinal_on(period.day)
        rows.append(
            (
                indicator.ordinal,
                indicator.breakdowns.index(one.breakdown),
                ordinal,
                catalogue.maps[ordinal].position[one.area],
                period.slot,
                period.day,
                one.value or 0,
                one.base or 0,
                STATUSES.index(one.status),
                one.revision,
                (one.revision << 40) + one.offset + 1,
                place,
            )
        )
    column = np.array(rows, np.int64).reshape(-1, 12).T
    offsets = np.array([one.offset for one in said])
    block = Block("gris.events.z", "z", 0, 1, offsets, offsets + 1_000, [], [], {})
    small = [column[n].astype(np.int32) for n in range(6)]
    accepted = Accepted(
        column[11],
        *small,
        column[6],
        column[7],
        column[8].astype(np.uint8),
        column[9],
        column[10],
        pa.table({}),
    )
    return block, accepted


class Store:
    """What ClickHouse would hold: statements by offset, totals by key and version, lines by key."""

    def __init__(self) -> None:
        self.said: list[oracle.Statement] = []
        self.totals: dict[oracle.Key, tuple[int, oracle.Total]] = {}
        self.lines: dict[oracle.Line, tuple[int, dict[str, int | None], tuple[str, ...]]] = {}

    def cells(self, days: list[int], below: int, indicators: list[str]) -> pa.Table:
        newest: dict[tuple[str, ...], oracle.Statement] = {}
        for one in self.said:
            day = parse(one.time_period).day
            if day in days and one.offset < below and (not indicators or one.indicator in indicators):
                key = (one.indicator, one.area, one.breakdown, one.time_period)
                newest[key] = max(newest.get(key, one), one, key=lambda s: s.version)
        rows = [
            {
                "indicator": one.indicator,
                "area": one.area,
                "breakdown": one.breakdown,
                "time_period": one.time_period,
                "day": parse(one.time_period).day,
                "ticks": one.value or 0,
                "base": one.base or 0,
                "status": STATUSES.index(one.status),
                "version": (one.revision << 40) + one.offset + 1,
            }
            for one in newest.values()
        ]
        return pa.Table.from_pylist(rows, schema=CELL_COLUMNS)

    def behind(self, next_offset: int) -> dict[tuple[int, str, str], list[str]]:
        """Name the lines and areas of which a flush beyond ``next_offset`` wrote totals."""
        lines: dict[tuple[int, str, str], list[str]] = {}
        for (bucket, indicator, area, breakdown), (version, _) in self.totals.items():
            if version > next_offset:
                lines.setdefault(((bucket - EPOCH).days, indicator, breakdown), []).append(area)
        return lines

    def write(self, partition: Partition, version: int) -> None:
        found = partition.reckon()
        days = partition.absent(partition.fallen_elsewhere())
        partition.load(days, self.cells(days, partition.flushed, []))
        found += partition.reckon_flipped()
        for row in total_rows(found, version).to_pylist():
            key = (row["bucket"], row["indicator"], row["area"], row["breakdown"])
            ticks = [None if row[n] is None else int(row[n] * 10_000) for n in ("value", "min", "max")]
            counts = [row[n] for n in ("areas_reported", "areas_expected", "cells")]
            self.totals[key] = (version, oracle.Total(*ticks, *counts, row["status"], tuple(row["flags"])))
        for line in lines(found, version):
            said = decode_line(line.value)
            values = {a["area"]: None if a["value"] is None else int(a["value"] * 10_000) for a in said["areas"]}
            key = (said["bucket"], said["indicator"], said["breakdown"])
            assert line.key.decode() == "|".join(map(str, key))
            assert version >= self.lines.get(key, (0,))[0], "the last line of a key must be of the highest version"
            self.lines[key] = (version, values, tuple(said["flags"]))
        for day, indicator, breakdown, area in partition.superfluous(found):
            del self.totals[EPOCH + dt.timedelta(days=day), indicator, area, breakdown]


def opened(catalogue: Catalogue, agency: str, store: Store, next_offset: int) -> Partition:
    """Open the partition where the ledger's prefix ends, as the aggregate agent does."""
    start = Position("gris.events.z", 0, next_offset, next_offset, 0, 0, "", "", 1)
    stored = {parse(one.time_period).day for one in store.said}
    partition = Partition(catalogue, agency, start, stored, itertools.count())
    partition.floor = max((version for version, _ in store.totals.values()), default=0)
    behind = store.behind(next_offset)
    read_back(partition, store, partition.unknown_years_of(behind), [day for day, *_ in behind])
    partition.restore(behind)
    return partition


def read_back(partition: Partition, store: Store, years: dict[int, list[Indicator]], days: Iterable[int]) -> None:
    """Read back what is absent."""
    for year, indicators in years.items():
        codes = [indicator.code for indicator in indicators]
        partition.load_year(year, indicators, store.cells(partition.stored_in(year), partition.flushed, codes))
    absent = partition.absent(days)
    partition.load(absent, store.cells(absent, partition.flushed, []))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(said=statements(), data=st.data())
def test_totals_lines_and_flags_are_the_oracles_whatever_happens(
    folder: Path, catalogue: Catalogue, said: list[oracle.Statement], data: st.DataObject
) -> None:
    store, agency = Store(), said[0].indicator[:3].lower()
    partition = opened(catalogue, agency, store, 0)
    folded: list[oracle.Statement] = []
    refused: set[int] = set()
    at = flushed = crashes = 0
    while at < len(said):
        size = data.draw(st.integers(1, 20), label="block")
        block, accepted = block_of(catalogue, said[at : at + size], refused)
        read_back(partition, store, partition.unknown_years(accepted), accepted.day.tolist())
        partition.fold(block, accepted)
        partition.advance(block, len(accepted.rows), len(block.offsets) - len(accepted.rows))
        folded += [one for one in said[at : at + size] if one.offset not in refused]
        at += size
        then = data.draw(st.sampled_from(["go on", "flush", "flush", "evict", "restart", "die", "die, change rules"]))
        if then.startswith("die") and crashes < 3 and partition.due:
            # Totals and lines are out, the ledger is not written: the tail is judged again, perhaps by other rules.
            crashes += 1
            store.write(partition, partition.position.next_offset)
            if then == "die, change rules":
                tail = data.draw(st.sets(st.sampled_from(range(flushed, len(said)))), label="refused")
                refused = {offset for offset in refused if offset < flushed} | tail
            at, folded = flushed, []
            partition = opened(catalogue, agency, store, flushed)
        elif (then != "go on" or at >= len(said)) and partition.due:
            flushed = partition.position.next_offset
            store.write(partition, flushed)
            store.said += folded
            partition.stored_up_to(flushed, {parse(one.time_period).day for one in folded})
            folded = []
        if then == "evict":
            for cube in partition.evictable():
                partition.evict(cube)
        if then == "restart" and not folded:
            at = flushed
            partition = opened(catalogue, agency, store, flushed)
    assert partition.position.skipped == 0
    expected = oracle.totals([one for one in said if one.offset not in refused], oracle.read_book(folder))
    assert {key: total for key, (_, total) in store.totals.items()} == expected
    by_line: dict[oracle.Line, dict[str, int | None]] = {}
    for (bucket, indicator, area, breakdown), total in expected.items():
        by_line.setdefault((bucket, indicator, breakdown), {})[area] = total.value
    # A line of which nothing is said any more stays as an empty one.
    assert {key: values for key, (_, values, _) in store.lines.items() if values} == by_line
    for (bucket, indicator, area, breakdown), (version, _) in store.totals.items():
        assert version <= store.lines[bucket, indicator, breakdown][0], area


def test_epoch_days_are_what_arrow_calls_them() -> None:
    assert (dt.date(2025, 7, 1) - EPOCH).days == pa.scalar(dt.date(2025, 7, 1)).cast(pa.int32()).as_py()


def test_position_counts_offsets_that_were_not_delivered(catalogue: Catalogue) -> None:
    partition = Partition(catalogue, "z01", Position("t", 0, 5, 5, 0, 0, "", "", 1), [], itertools.count())
    offsets = np.array([5, 6, 9, 10])
    block = Block("t", "z01", 0, 1, offsets, offsets, [], [], {})
    partition.advance(block, 3, 1)
    assert dataclasses.asdict(partition.position) | {"topic": "t"} == {
        "topic": "t",
        "partition": 0,
        "next_offset": 11,
        "accepted": 8,
        "rejected": 1,
        "skipped": 2,
        "rules": "",
        "topic_id": "",
        "partitions": 1,
    }
