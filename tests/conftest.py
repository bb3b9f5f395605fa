"""Which process runs which tests of real services, and when: so that two of them end at about the same time.

And what Hypothesis makes of time: nothing.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling, Scheduling

# The longest files, longest first; of all others it does not matter which comes when.
LONGEST = (
    "integration/test_bench.py",
    "fault/test_outages.py",
    "fault/test_stopped_early.py",
    "fault/test_rules_change.py",
    "fault/test_faults.py",
    "integration/test_workload.py",
    "integration/test_hostile_input.py",
)
# Files of long tests that share nothing: each test may go elsewhere.
APART = ("tests/fault/test_outages.py", "tests/integration/test_bench.py", "tests/integration/test_workload.py")
TESTS = Path(__file__).parent
TOGETHER = "tests/browser/"  # one system and one browser for all of its files

# By default an example that takes 200 ms is a fault, and so is a second for the first ones: a busy machine does both.
settings.register_profile("gris", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gris")


class ByFile(LoadFileScheduling):
    """Whole files go to a process, and those of the browser all to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(TOGETHER):
            return TOGETHER
        return nodeid if nodeid.startswith(APART) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling | None:
    """Take the place of `--dist loadfile`."""
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None  # type: ignore[arg-type]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first: none of them is begun when nothing else is left."""
    ranks = {TESTS / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))
