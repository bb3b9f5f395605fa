"""Workers die between the steps of a flush, one after another, each under other rules than the one before.

What the ledger had passed stays as it was judged; all behind it is judged by the rules of whoever comes next, be they
narrower or wider, however much of it a lost flush had already stored, totalled and announced.
"""

from importlib import resources
from pathlib import Path

from schemas.catalogue import load
from schemas.rules import Rules
from tests.support import compare, daily_topic, oracle
from tests.support.bounds import passes, set_bounds
from tests.support.figures import HOMES, Place
from tests.support.small_catalogue import FIGURES, write_catalogue
from tests.support.stack import Stack, running_stack
from tests.support.wait import wait_for
from tests.support.workload import Workload, publish

EVENTS = 60_000
STEPS = ("observations", "rejected", "totals", "floors", "messages", "deletions", "ledger")
SHARES = (1.0, 0.9, 0.5, 0.75, 0.97, 0.34, 0.67, 0.4)
"""Of the catalogue's bounds: the rules of the workers, one after the other; each but the last dies in a flush."""
DIES_IN = 2  # the flush in which it dies; those before move the ledger
HOME = dict(zip((figure.code for figure in FIGURES), HOMES, strict=True))
LARGEST, STEP_DOWN = 6_000, 500  # rows of a flush: a lost one is longer than those that repeat it
LATE_FLUSHES = {"GRIS_FLUSH_MS": "60000", "GRIS_REPLAY_FLUSH_MS": "60000"}  # by rows, and not by time


class Judges:
    """Under which rules each part of each log was sealed by the ledger."""

    def __init__(self, stack: Stack, catalogue: Path) -> None:
        self._stack = stack
        self._catalogue = catalogue
        self._sealed: dict[Place, list[tuple[int, float]]] = {}
        self.digests: dict[float, str] = {}

    def change(self, share: float) -> None:
        """Put other rules in force."""
        set_bounds(self._catalogue, share)
        ids = resources.files("schemas").joinpath("ids.json").read_bytes()
        self.digests[share] = Rules(load(self._catalogue), ids).digest

    def seal(self, share: float) -> None:
        """Note that what the ledger has passed since was judged under these rules."""
        for place, row in self._stack.ledger().items():
            self._sealed.setdefault(place, []).append((row[0], share))

    def of(self, place: Place, offset: int) -> float:
        """Tell under which rules a record was sealed."""
        return next(share for below, share in self._sealed[place] if offset < below)


def test_every_step_of_a_flush_may_be_the_last_one_under_its_rules(tmp_path: Path) -> None:
    catalogue = write_catalogue(tmp_path / "catalogue")
    with running_stack(tmp_path, catalogue) as stack:
        workload = Workload(EVENTS, days=6, spoiled=0)
        publish(workload, stack.bootstrap)
        judges = Judges(stack, catalogue)
        for at, (step, share) in enumerate(zip(STEPS, SHARES, strict=False)):
            judges.change(share)
            dying = {"GRIS_FAULT_STOP_AFTER": step, "GRIS_FAULT_STOP_FLUSH": str(DIES_IN)}
            sizes = {"GRIS_BLOCK_EVENTS": "1000", "GRIS_FLUSH_ROWS": str(LARGEST - STEP_DOWN * at), **LATE_FLUSHES}
            before = stack.stored()
            worker = stack.worker(settings=dying | sizes, ready=False)
            wait_for(lambda worker=worker: not worker.alive(), f"the worker to die after {step}", within=120)  # type: ignore[misc]
            assert stack.stored() > before, "no flush was whole"
            judges.seal(share)
        judges.change(SHARES[-1])
        assert stack.stored() < EVENTS, "it was too fast to prove anything"
        worker = stack.worker()
        stack.wait_caught_up(alive=[worker])
        judges.seal(SHARES[-1])

        judged = {(HOME[s.indicator], s.offset): judges.of(HOME[s.indicator], s.offset) for s in workload.statements()}
        accepted = {s: passes(s, judged[HOME[s.indicator], s.offset]) for s in workload.statements()}
        assert set(judged.values()) == set(SHARES), "every one of the rules must have sealed something"
        verdicts = {(HOME[s.indicator], s.offset): good for s, good in accepted.items()}
        expected = {key: (good, judges.digests[judged[key]]) for key, good in verdicts.items()}
        assert stored_verdicts(stack) == expected
        kept = [statement for statement, good in accepted.items() if good]
        totals = oracle.totals(kept, oracle.read_book(catalogue))
        assert compare.different_totals(compare.stored_totals(stack), totals) == []
        published = daily_topic.read(stack.bootstrap)
        empty = [key for key, messages in published.items() if not messages[-1].totals]
        assert empty, "a line of which a lost flush said something and nothing is left must be among them"
        for key in empty:
            last = published.pop(key)[-1]
            assert (last.status, last.totals) == ("M", {})
        assert daily_topic.differences(published, totals) == []
        stack.run("check")
        stack.run("rebuild", "totals")


def stored_verdicts(stack: Stack) -> dict[tuple[Place, int], tuple[bool, str]]:
    """Read of every offset whether it was accepted, and the rules that its row names."""
    rows = stack.query(
        "SELECT topic, partition, offset, 1, rules FROM observations FINAL"
        " UNION ALL SELECT topic, partition, offset, 0, rules FROM rejected FINAL"
    )
    found = {((topic, partition), offset): (bool(good), rules) for topic, partition, offset, good, rules in rows}
    assert len(found) == len(rows), "an offset has two rows"
    return found
