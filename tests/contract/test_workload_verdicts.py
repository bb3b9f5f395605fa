"""Codec and rules, held against a workload that knows every verdict beforehand, in blocks of many sizes."""

import pytest

from schemas.catalogue import Catalogue, load
from schemas.codec import STATUSES, EventCodec
from schemas.registry import BundledSchemas
from schemas.rules import Judged, Rules
from tests.support import oracle
from tests.support.judging import SCHEMA_IDS
from tests.support.logs import judge_run, lay_out
from tests.support.small_catalogue import write_catalogue
from tests.support.workload import Workload


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return load(write_catalogue(tmp_path_factory.mktemp("catalogue")))


def spelled_out(catalogue: Catalogue, judged: Judged) -> list[oracle.Statement]:
    """Read accepted rows back as statements, areas and breakdowns by their ordinals and not by their texts."""
    said = judged.accepted
    statements = []
    for at in range(len(said.rows)):
        indicator = catalogue.indicators[said.indicator[at]]
        status = STATUSES[said.status[at]]
        statement = oracle.Statement(
            indicator=indicator.code,
            area=catalogue.maps[said.map[at]].areas[said.area[at]].code,
            breakdown=indicator.breakdowns[said.breakdown[at]],
            time_period=said.texts["time_period"][at].as_py(),
            value=None if status == "M" else int(said.ticks[at]),
            base=int(said.base[at]) or None,
            status=status,
            revision=int(said.revision[at]),
            offset=(int(said.version[at]) & (1 << 40) - 1) - 1,
        )
        assert (int(said.day[at]), int(said.slot[at])) == bucket_of(statement.time_period)
        assert said.texts["area"][at].as_py() == statement.area
        statements.append(statement)
    return statements


def bucket_of(time_period: str) -> tuple[int, int]:
    bucket, slot = oracle.bucket_and_slot(time_period)
    return bucket.toordinal() - 719_163, slot


@pytest.mark.parametrize(("size", "spoiled"), [(5_000, 0.01), (977, 0.0), (37, 0.3), (1, 0.5)])
def test_each_record_gets_the_verdict_it_was_made_for(catalogue: Catalogue, size: int, spoiled: float) -> None:
    workload = Workload(4_000 if size < 100 else 20_000, seed=size, days=3, spoiled=spoiled)
    rules, codec = Rules(catalogue, SCHEMA_IDS), EventCodec(BundledSchemas())
    accepted: list[oracle.Statement] = []
    for place, records in lay_out(workload).items():
        refused: dict[int, str] = {}
        for start in range(0, len(records), size):
            _, judged = judge_run(rules, codec, place, start, records[start : start + size])
            refused |= {start + refusal.position: refusal.reason.name for refusal in judged.refused}
            accepted += spelled_out(catalogue, judged)
            assert all(len(refusal.detail) <= 500 for refusal in judged.refused)
        expected = workload.rejected.get(place, {})
        wrong = {
            offset: (expected.get(offset, "accepted"), refused.get(offset, "accepted"), records[offset])
            for offset in expected.keys() | refused.keys()
            if expected.get(offset) != refused.get(offset)
        }
        assert wrong == {}, f"of {len(wrong)} in {place}: offset, expected, found, record"
    assert sorted(accepted, key=order) == sorted(workload.statements(), key=order)


def order(statement: oracle.Statement) -> tuple[str, int]:
    return statement.indicator, statement.offset
