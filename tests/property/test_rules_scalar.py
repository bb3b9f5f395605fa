"""The columnar rules and their plain restatement give the same verdict on every record of every block."""

import datetime as dt
import functools
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.catalogue import Catalogue, Indicator, load
from schemas.partition import partition_for
from schemas.period import containing
from schemas.reasons import Refusal
from schemas.rules import Rules
from tests.support.judging import NOW, SCHEMA_IDS, block, bundled, decoded, said
from tests.support.plain_rules import Record, verdict
from tests.support.small_catalogue import write_catalogue
from tests.support.wire import STATUSES as SYMBOLS
from tests.support.wire import Event, event

HOSTILE_FLOATS = [float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 1e10, -1e10, 1e11, 5e-324, -0.0, 0.1 + 0.2]
PERIODS = [
    "2025-06-30", "2025-07-01", "2024-06-30", "2024-07-01", "1990-01-01", "2099-12-31", "1989-12-31", "2026-11-24",
    "2026-11", "2026-12", "2026-Q4", "2027-Q1", "2026-S2", "2027-S1", "2026", "2027", "2026-13", "2026-02-29",
    "2026-11-23T12:00:00/PT6H", "2026-11-23T13:00:00/PT1H", "2026-11-23T18:00:00/PT6H", "2026-11-23T05:00:00/PT6H",
    "2026-11-23T24:00:00/PT1H", "2026-11-23T00:30:00/PT1H", "\uff12\uff10\uff12\uff16", "2024-02-29",
    " 2026", "2026\n", "", "0000", "2026-11-23Z",
]  # fmt: skip
AREAS = ["VN", "vn", "R1", "R4", "R7", "R12", "01", "02", "10", "15", "21", "96", "", "ZZ", "0", "01 "]
LONGS = [0, -1, -(2**63), 2**63 - 1, 4_102_444_799_999, 4_102_444_800_000, NOW, NOW + 300_000, NOW + 300_001]
SUBMISSIONS = ["a", "x" * 64, "x" * 65, "", "a b", "é", "A.b_c-9", "a\n", "\x00"]
NOTES = [None, "", "n", "é" * 2000, "😀" * 2001, "x" * 2001]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@functools.cache
def small() -> tuple[Catalogue, Rules]:
    with tempfile.TemporaryDirectory() as folder:
        catalogue = load(write_catalogue(Path(folder) / "catalogue"))
    return catalogue, Rules(catalogue, SCHEMA_IDS)


def right(
    catalogue: Catalogue,
    indicator: Indicator,
    number: Callable[[float, float], float],
    hours_ago: int,
    choose: Callable[[Sequence[Any]], Any],
) -> Event:
    """State a figure that the rules accept, unless rounding takes it beyond a bound."""
    when = dt.datetime.fromtimestamp(NOW / 1000, dt.UTC) - dt.timedelta(hours=hours_ago)
    period = containing(when, indicator.frequency, indicator.calendar)
    map_ = catalogue.map_on(period.bucket)
    places = [map_.nation] if indicator.geography == "nation" else [*map_.provinces, map_.nation]
    low = -20.0 if indicator.min is None else indicator.min
    high = low + 500 if indicator.max is None else indicator.max
    return event(
        indicator.code,
        choose(places).code,
        period.text,
        round(number(low, high), indicator.decimals),
        breakdown=choose(indicator.breakdowns),
        base=choose([1.0, 0.0001, 12.5, 99_999_999_999.0]),
        status=choose("ABEFIP"),
        revision=choose([0, 1, 2**23 - 1]),
        observed_at=NOW - 400 * 86_400_000,
    )


@st.composite
def clean(draw: st.DrawFn, catalogue: Catalogue, indicator: Indicator) -> Event:
    """Draw a figure that the rules accept."""
    return right(
        catalogue,
        indicator,
        lambda low, high: draw(st.floats(low, high)),
        draw(st.integers(0, 30_000)),
        lambda some: draw(st.sampled_from(some)),
    )


def defects(catalogue: Catalogue) -> st.SearchStrategy[Event]:
    """One or two fields that are likely to be wrong, or right in a way that matters."""
    tenths = st.integers(-900, 900).map(lambda number: number / 10)
    numbers = st.none() | st.sampled_from(HOSTILE_FLOATS) | st.floats() | tenths
    breakdowns = sorted({name for indicator in catalogue.indicators for name in indicator.breakdowns})
    codes = [indicator.code for indicator in catalogue.indicators]
    return st.one_of(
        st.fixed_dictionaries({"value": numbers}),
        st.fixed_dictionaries({"value": st.none(), "status": st.sampled_from(SYMBOLS)}),
        st.fixed_dictionaries({"status": st.sampled_from(SYMBOLS), "base": numbers}),
        st.fixed_dictionaries({"base": numbers}),
        st.fixed_dictionaries({"area": st.sampled_from(AREAS) | TEXTS}),
        st.fixed_dictionaries({"area": st.just("VN"), "value": st.sampled_from([1e9, 1e5, 1e10 - 1, 1e10, -1.0, 0.5])}),
        st.fixed_dictionaries({"time_period": st.sampled_from(PERIODS) | TEXTS}),
        st.fixed_dictionaries({"breakdown": st.sampled_from([*breakdowns, "", "_t"]) | TEXTS}),
        st.fixed_dictionaries({"indicator": st.sampled_from([*codes, "", "G18.001 "]) | TEXTS}),
        st.fixed_dictionaries({"revision": st.sampled_from([-1, 2**23, 2**31 - 1, -(2**31)])}),
        st.fixed_dictionaries({"observed_at": st.sampled_from(LONGS)}),
        st.fixed_dictionaries({"submission": st.sampled_from(SUBMISSIONS) | TEXTS}),
        st.fixed_dictionaries({"note": st.sampled_from(NOTES)}),
    )


@st.composite
def blocks(draw: st.DrawFn, catalogue: Catalogue) -> list[Record]:
    """Draw records of one topic: mostly of its agency and partition, mostly right."""
    agency = draw(st.sampled_from(catalogue.agencies)).code
    owned = catalogue.owned_by(agency) or catalogue.indicators
    partitions = draw(st.sampled_from([1, 2, 3]))
    partition = partition_for(draw(st.sampled_from(owned)).code.encode(), partitions)
    if draw(st.integers(0, 4)):
        owned = tuple(one for one in owned if partition_for(one.code.encode(), partitions) == partition)
    records = []
    for offset in range(draw(st.integers(0, 12))):
        said = draw(clean(catalogue, draw(st.sampled_from(owned))))
        for defect in draw(st.lists(defects(catalogue), max_size=2)):
            said |= defect
        key: bytes | None = str(said["indicator"]).encode()
        if not draw(st.integers(0, 19)):
            key = draw(st.sampled_from([None, b"", b"G18.001", b"\xff"]))
        timestamp = NOW - draw(st.sampled_from([0, 0, 0, 1, 3_600_000, 400 * 86_400_000]))
        records.append(Record(agency, partition, partitions, offset * 7, timestamp, key, said))
    return records


def many(rng: random.Random, catalogue: Catalogue, size: int) -> list[Record]:
    """Make a long block of one topic, half of its records with one defect or two."""
    agency = rng.choice(catalogue.agencies).code
    owned = catalogue.owned_by(agency) or catalogue.indicators
    breakdowns = sorted({name for indicator in catalogue.indicators for name in indicator.breakdowns})
    fields: dict[str, list[object]] = {
        "value": [None, *HOSTILE_FLOATS, 0.5, 1.0, 99.95, 1e9],
        "base": [None, *HOSTILE_FLOATS, 0.00005, 12.3456],
        "status": list(SYMBOLS),
        "area": [*AREAS],
        "time_period": [*PERIODS],
        "breakdown": [*breakdowns, "_T", ""],
        "indicator": [*(indicator.code for indicator in catalogue.indicators), ""],
        "revision": [-1, 2**23, -(2**31)],
        "observed_at": [*LONGS],
        "submission": [*SUBMISSIONS],
        "note": [*NOTES],
    }
    records = []
    for offset in range(size):
        indicator = rng.choice(owned)
        said = right(catalogue, indicator, rng.uniform, rng.randrange(20_000), rng.choice)
        for field in rng.sample(list(fields), rng.choice([0, 0, 1, 2])):
            said[field] = rng.choice(fields[field])
        key = None if rng.random() < 0.01 else str(said["indicator"]).encode()
        records.append(Record(agency, 0, 1, offset, NOW - rng.choice([0, 1, 10**9]), key, said))
    return records


def compare(records: list[Record], catalogue: Catalogue, rules: Rules) -> None:
    if not records:
        return
    first = records[0]
    where = block(
        first.agency,
        [record.key for record in records],
        timestamps=[record.timestamp for record in records],
        partition=first.partition,
        partitions=first.partitions,
    )
    where.offsets[:] = [record.offset for record in records]
    judged = rules.judge(where, decoded([record.event for record in records]))
    expected = [verdict(record, catalogue) for record in records]
    found, got = said(judged), judged.accepted
    assert [found[position] for position in range(len(records))] == expected
    assert len(got.rows) + len(judged.refused) == len(records)
    assert all(isinstance(refusal, Refusal) and refusal.detail for refusal in judged.refused)
    for at, row in enumerate(got.texts.to_pylist()):
        assert row == {name: records[int(got.rows[at])].event[name] for name in row}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_blocks_of_the_bundled_catalogue_get_the_plain_verdicts(data: st.DataObject) -> None:
    catalogue, rules = bundled()
    compare(data.draw(blocks(catalogue)), catalogue, rules)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_blocks_of_another_catalogue_get_the_plain_verdicts(data: st.DataObject) -> None:
    catalogue, rules = small()
    compare(data.draw(blocks(catalogue)), catalogue, rules)


@pytest.mark.parametrize("seed", range(8))
def test_long_blocks_with_every_reason_get_the_plain_verdicts(seed: int) -> None:
    for catalogue, rules in (bundled(), small()):
        compare(many(random.Random(seed), catalogue, 1_500), catalogue, rules)
