"""The fault harness finds out a worker whose flush is in the wrong order: it would find out a real one."""

import sys
from pathlib import Path

from deploy.faults.run import Plan, run
from deploy.faults.schedule import Kind, draw

MUTANT = (sys.executable, "-P", str(Path(__file__).with_name("mutant_worker.py")), "worker")
KINDS = (Kind.WORKER_KILLED_IN_FLUSH,)
SEED = 9
FAULTS = 3


def test_a_worker_that_writes_the_ledger_first_is_caught_losing_events(tmp_path: Path) -> None:
    schedule = list(draw(SEED, FAULTS, KINDS, workers=2))
    assert any(fault.table == "observations" and fault.held_back for fault in schedule), "no fault would hit the gap"

    outcome = run(tmp_path, Plan(SEED, FAULTS, 12_000, kinds=KINDS, command=MUTANT), print)

    lost = [line for line in outcome.violations if "accepted events stored" in line]
    assert lost, "\n".join(outcome.violations) or "the mutant was not found out"
    assert any(line.startswith("gris check: ") for line in outcome.violations)
