"""Whatever dies, hangs or is cut off while events come in: nothing is lost, nothing is doubled, every total is right.

This is the short run of `gris bench faults`, with its seed fixed; the long ones are in deploy/docs/guarantees.md.
"""

from pathlib import Path

import pytest

from deploy.faults.run import Plan, run
from deploy.faults.schedule import Kind

# kafka-python, by which the harness publishes, leaks a socket whenever a broker that is down refuses it.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

KINDS = (
    Kind.WORKER_KILLED,
    Kind.WORKER_KILLED_IN_FLUSH,
    Kind.ZOMBIE,
    Kind.DATABASE_KILLED,
    Kind.BROKER_KILLED,
    Kind.BROKER_HANGS,
    Kind.KAFKA_CUT,
    Kind.KAFKA_ANSWER_LOST,
    Kind.CLICKHOUSE_HALF_CLOSED,
    Kind.CLICKHOUSE_ANSWER_LOST,
)
SEED = 11
EVENTS = 60_000
ENDS_WITHIN = 20.0  # only a hang takes longer, on any machine; tests/unit/test_finish.py adds up the worker's 10 s
RATE = 2_000.0  # events/s; by default they are spread over the faults more thinly


def test_one_fault_of_each_kind_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    outcome = run(tmp_path, Plan(SEED, len(KINDS), EVENTS, kinds=KINDS, rate=RATE, stops_within=ENDS_WITHIN), print)
    assert outcome.violations == ()
    assert outcome.stored == EVENTS
    assert {struck.fault.kind for struck in outcome.struck} == set(KINDS)
