"""Any order, any split into blocks and flushes, any eviction and any restart: the totals are those of the oracle."""

import dataclasses
import datetime as dt
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.catalogue import Catalogue, load
from schemas.period import parse
from schemas.rules import Block
from schemas.spans import NOTHING
from sinks.clickhouse.ledger import Position
from streams.flags import EPOCH
from streams.partition import Partition
from streams.settings import Step
from tests.support import oracle
from tests.support.one_partition import Store, block_of, opened, read_back
from tests.support.small_catalogue import FIGURES, provinces_on, write_catalogue

STEPS: tuple[Step, ...] = ("totals", "floors", "messages", "deletions")  # before them, no total is out yet
ANYTHING = ["go on", "flush", "flush", "evict", "restart", "die", "die, change rules"]
DEATHS = ["die, change rules", "die", "flush"]
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


@pytest.mark.parametrize("events", [ANYTHING, DEATHS], ids=["anything", "deaths"])
@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(said=statements(), data=st.data())
def test_totals_lines_and_flags_are_the_oracles_whatever_happens(
    folder: Path, catalogue: Catalogue, events: list[str], said: list[oracle.Statement], data: st.DataObject
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
        then = data.draw(st.sampled_from(events))
        if (then != "go on" or at >= len(said)) and partition.due:
            reached = partition.position.next_offset
            if then.startswith("die") and crashes < 4:
                # The ledger is not written: the tail is judged again, perhaps by other rules.
                store.write(partition, reached, data.draw(st.sampled_from(STEPS), label="died after"))
                crashes += 1
                if then == "die, change rules":
                    tail = range(flushed, len(said))
                    judged = data.draw(st.sets(st.sampled_from(tail)) | st.sampled_from([set(), set(tail)]), "refused")
                    refused = {offset for offset in refused if offset < flushed} | judged
                at, folded = flushed, []
                partition = opened(catalogue, agency, store, flushed)
            else:
                store.write(partition, reached)
                flushed = reached
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
    block = Block("t", "z01", 0, 1, offsets, offsets, NOTHING, NOTHING, {})
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
