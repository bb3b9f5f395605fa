"""A worker may die at any moment: what it had not finished is done again, nothing is lost and nothing is doubled."""

from pathlib import Path

from tests.support.compare import differences
from tests.support.small_catalogue import write_catalogue
from tests.support.stack import running_stack
from tests.support.wait import wait_for
from tests.support.workload import Workload, publish

EVENTS = 90_000
KILLS_AT = (10_000, 30_000, 50_000)  # records that the ledger has passed, at least, when the worker dies


def test_three_sigkills_in_the_middle_of_a_stream_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    catalogue = write_catalogue(tmp_path / "catalogue")
    with running_stack(tmp_path, catalogue) as stack:
        workload = Workload(EVENTS, days=60)
        publish(workload, stack.bootstrap)
        small_flushes = {"GRIS_BLOCK_EVENTS": "5000", "GRIS_FLUSH_ROWS": "10000", "GRIS_HELD_ROWS": "2000"}
        for passed in KILLS_AT:
            worker = stack.worker(settings=small_flushes, ready=False)
            wait_for(
                lambda passed=passed: stack.stored() >= passed,  # type: ignore[misc]
                f"the ledger to pass {passed} records",
                within=90,
                every=0.05,
            )
            worker.kill()
            assert stack.stored() < EVENTS, "it was killed too late to prove anything"
        worker = stack.worker()
        stack.wait_caught_up(alive=[worker])
        found = differences(stack, workload, catalogue)
        assert not found, "\n".join(found)
        stack.run("check")
        assert worker.stop() == 0, worker.tail()
