"""The bench's workload: the same for a seed, judged by the rules as it says, counted as the plain oracle counts."""

import collections
import datetime as dt
import itertools
from pathlib import Path

import numpy as np
import pytest

from deploy.benchmark.catalogue import AGENCIES, FIGURES, NATION, PROVINCES, code_of, write_catalogue
from deploy.benchmark.draw import HOUR_CELLS, Mistake, Shuffled, Week
from deploy.benchmark.expected import RANKED, WATCHED, Said
from deploy.benchmark.packing import Message
from deploy.benchmark.workload import SHAPES, TOPICS, Workload
from schemas.catalogue import load
from schemas.codec import STATUSES, EventCodec
from schemas.reasons import Reason
from schemas.registry import BundledSchemas
from schemas.rules import Block, Judged, Rules
from schemas.spans import Spans
from tests.support import oracle
from tests.support.judging import NOW, SCHEMA_IDS


def whole(workload: Workload) -> dict[str, list[Message]]:
    """Draw a workload to its end."""
    logs: dict[str, list[Message]] = {topic: [] for topic in TOPICS}
    for chunk in workload.chunks():
        for topic, messages in chunk.items():
            logs[topic] += messages
    return logs


def judge(rules: Rules, agency: str, log: list[Message]) -> Judged:
    """Judge a topic's records as one block."""
    values = Spans.of([value for _, value in log])
    block = Block(
        topic=f"gris.events.{agency}",
        agency=agency,
        partition=0,
        partitions=1,
        offsets=np.arange(len(log), dtype=np.int64),
        timestamps=np.full(len(log), NOW, np.int64),
        keys=Spans.of([key for key, _ in log]),
        values=values,
        replay_of={},
    )
    return rules.judge(block, EventCodec(BundledSchemas()).decode(values))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_seed_gives_the_same_stream_every_time_and_another_seed_another(shape: str) -> None:
    first, second, other = (Workload(3_000, shape=shape, seed=seed) for seed in (1, 1, 2))
    assert whole(first) == whole(second) != whole(other)
    assert dict(first.expected.totals()) == dict(second.expected.totals())


@pytest.mark.parametrize("shape", SHAPES)
def test_every_record_gets_the_verdict_that_the_count_expects(shape: str, tmp_path: Path) -> None:
    rules = Rules(load(write_catalogue(tmp_path / "catalogue")), SCHEMA_IDS)
    workload = Workload(60_000, shape=shape)
    logs = whole(workload)
    for agency, code in enumerate(AGENCIES):
        log = logs[TOPICS[agency]]
        judged = judge(rules, code, log)
        assert len(log) == workload.expected.records[agency]
        assert (
            collections.Counter(refusal.reason.name for refusal in judged.refused)
            == (workload.expected.rejected[agency])
        )
        accepted, said = judged.accepted, workload.expected.accepted_of(agency)
        assert accepted.version.tolist() == (said.version + 1).tolist()
        assert np.where(accepted.status == STATUSES.index("M"), 0, said.ticks).tolist() == accepted.ticks.tolist()
        withdrawn = accepted.status == STATUSES.index("M")
        assert np.where(withdrawn, 0, said.base).tolist() == accepted.base.tolist()
        assert [RANKED[rank] for rank in said.rank] == [STATUSES[status] for status in accepted.status]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_count_equals_the_plain_oracle(shape: str, tmp_path: Path) -> None:
    catalogue = write_catalogue(tmp_path / "catalogue")
    workload = Workload(40_000, shape=shape)
    whole(workload)
    first = SHAPES[shape](40_000, 0).first.date()
    hours = SHAPES[shape](40_000, 0).hours
    statements = itertools.chain.from_iterable(
        spelled_out(workload.expected.accepted_of(agency), agency, first, hours) for agency in range(len(AGENCIES))
    )
    shown = {NATION, *(PROVINCES[at] for at in WATCHED)}
    plain = {
        (bucket, indicator, area): (row.value, row.min, row.max, row.areas_reported, row.cells, row.status)
        for (bucket, indicator, area, _), row in oracle.totals(statements, oracle.read_book(catalogue)).items()
        if area in shown
    }
    counted = {
        key: (row.value, row.low, row.high, row.areas_reported, row.cells, row.status)
        for key, row in workload.expected.totals()
    }
    assert counted == plain
    # Where cells are few, some total is withdrawn.
    assert (shape == "shuffled") == (None in {row[0] for row in plain.values()})


def spelled_out(said: Said, agency: int, first: dt.date, hours: int) -> list[oracle.Statement]:
    """Spell accepted statements out for the oracle."""
    width = -(-hours // 24) * 24
    statements = []
    for cell, version, ticks, base, rank in zip(
        said.cell.tolist(),
        said.version.tolist(),
        said.ticks.tolist(),
        said.base.tolist(),
        said.rank.tolist(),
        strict=True,
    ):
        place, hour = divmod(cell, width)
        serial, area = divmod(place, len(PROVINCES))
        withdrawn = RANKED[rank] == "M"
        statements.append(
            oracle.Statement(
                indicator=code_of(agency, serial),
                area=PROVINCES[area],
                breakdown="_T",
                time_period=f"{first + dt.timedelta(days=hour // 24)}T{hour % 24:02}:00:00/PT1H",
                value=None if withdrawn else ticks,
                base=base if FIGURES[serial].needs_base and not withdrawn else None,
                status=RANKED[rank],
                revision=version >> 40,
                offset=version & (1 << 40) - 1,
            )
        )
    return statements


def test_a_week_of_figures_is_every_hour_of_every_indicator_in_every_province() -> None:
    assert HOUR_CELLS * 24 * 7 == 2_116_800
    drawn = Week(20_000, 3).draw(20_000)
    figures = (drawn.revision == 0) & (drawn.mistake == 0)
    cells = list(
        zip(*(getattr(drawn, name)[figures].tolist() for name in ("hour", "agency", "serial", "area")), strict=True)
    )
    assert len(set(cells)) == len(cells)
    assert cells == sorted(cells)
    assert abs(figures.mean() - 0.94) < 0.01
    assert abs((drawn.revision > 0).mean() - 0.05) < 0.01


def test_a_shuffled_stream_touches_all_days_in_any_part_of_it_and_cells_twice_on_average() -> None:
    drawn = Shuffled(40_000, 3).draw(40_000)
    assert len(np.unique(drawn.hour[:5_000] // 24)) == 400
    cells = set(
        zip(drawn.hour.tolist(), drawn.agency.tolist(), drawn.serial.tolist(), drawn.area.tolist(), strict=True)
    )
    assert 15_000 < len(cells) <= 20_000


def test_every_mistake_bears_the_name_of_a_reason_and_occurs() -> None:
    assert {mistake.name for mistake in Mistake if mistake} <= {reason.name for reason in Reason}
    workload = Workload(20_000)
    whole(workload)
    assert {name for counts in workload.expected.rejected for name in counts} == {m.name for m in Mistake if m}
