"""One run: publish, break, mend, wait for recovery, fault after fault; then judge."""

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.benchmark.workload import Workload
from deploy.faults.judge import violations
from deploy.faults.publishing import Publishing
from deploy.faults.rig import STOPS_WITHIN, WORKER, Rig, running
from deploy.faults.schedule import Fault, Kind, draw
from deploy.faults.strikes import STRIKES

RECOVERY_SECONDS = 120.0  # after which a fault counts as not recovered from
LOOK_EVERY = 0.05
FIRST_WORKERS = 2
BUSY_SECONDS = 8.0  # of every fault's time the publisher is to be busy about so long

Tell = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    ``rate`` in events/s; None spreads the events over the faults. ``stops_within``: seconds a worker may take to stop.
    """

    seed: int
    faults: int
    events: int
    shape: str = "week"
    kinds: tuple[Kind, ...] = tuple(Kind)
    rate: float | None = None
    command: Sequence[str] = WORKER
    clock: Path | None = None
    stops_within: float = STOPS_WITHIN


@dataclasses.dataclass(frozen=True, slots=True)
class Struck:
    """A fault that struck; ``recovery`` is None when the next one struck before everything was stored again."""

    fault: Fault
    recovery: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """A run. Seconds of ``Struck.recovery``: from the mending of a fault until all published by then was stored."""

    plan: Plan
    struck: tuple[Struck, ...]
    violations: tuple[str, ...]
    seconds: float
    stored: int
    rebalances: int
    slowest_stop: float
    most_resident: int


class Stopped(Exception):
    """What went wrong already is enough."""


def run(folder: Path, plan: Plan, tell: Tell) -> Outcome:
    """Run in ``folder``, which is filled. Raises Retry or Fatal when the rig itself does not work."""
    began = time.monotonic()
    workload = Workload(plan.events, shape=plan.shape, seed=plan.seed)
    with running(folder, plan.command, plan.clock, stops_within=plan.stops_within) as rig:
        course = Course(rig, plan, workload, tell)
        try:
            course.go()
            tell("judging")
            rig.violations += violations(rig, workload.expected)
            for worker in rig.workers:
                rig.stop(worker)
        except Stopped as stopped:
            rig.violations.append(str(stopped))
        finally:
            course.publishing.give_up()
        stored = rig.stored() or {}
    return Outcome(
        plan,
        tuple(course.struck),
        tuple(rig.violations),
        round(time.monotonic() - began, 1),
        sum(stored.values()),
        rig.rebalances,
        round(rig.slowest_stop, 2),
        rig.most_resident,
    )


class Course:
    """The course of a run: what has struck so far."""

    def __init__(self, rig: Rig, plan: Plan, workload: Workload, tell: Tell) -> None:
        self.struck: list[Struck] = []
        share = plan.events / (plan.faults + 1)
        self.publishing = Publishing(workload, rig.broker.bootstrap, plan.rate or max(500.0, share / BUSY_SECONDS))
        self._share = share
        self._rig = rig
        self._plan = plan
        self._workload = workload
        self._tell = tell

    def go(self) -> None:
        """Let everything happen, and return when all is stored."""
        rig, plan = self._rig, self._plan
        for _ in range(FIRST_WORKERS):
            rig.add_worker()
        rig.wait_ready()
        self.publishing.start()
        schedule = list(draw(plan.seed, plan.faults, plan.kinds, workers=FIRST_WORKERS))
        for at, fault in enumerate(schedule):
            self.publishing.allow(round(self._share * (at + 2)))
            if not fault.in_recovery:
                self._wait_stored(self._passed() + fault.passed, f"the {fault.passed:,} events before fault {fault}")
            self._tell(str(fault))
            with STRIKES[fault.kind](rig, fault):
                threading.Event().wait(fault.seconds)
            mended = time.monotonic()
            recovery = None
            if at + 1 == len(schedule) or not schedule[at + 1].in_recovery:
                goal = self.publishing.confirmed.total()
                self._wait_stored(goal, f"recovery from fault {fault}")
                recovery = round(time.monotonic() - mended, 2)
                self._tell(f"   recovered in {recovery:.1f} s")
            self.struck.append(Struck(fault, recovery))
        self.publishing.hurry()
        self._wait_stored(plan.events, "everything at the end", stay=True)

    def _passed(self) -> int:
        stored = self._rig.stored()
        return sum(stored.values()) if stored is not None else 0

    def _wait_stored(self, events: int, what: str, *, stay: bool = False) -> None:
        """Return when so many events are stored; ``stay`` counts the time since the last progress only."""
        events = min(events, self._plan.events)
        moved, before = time.monotonic(), -1
        while (stored := self._passed()) < events:
            if stored != before and stay:
                moved, before = time.monotonic(), stored
            if dead := self._rig.dead():
                raise Stopped(f"waiting for {what}: {'; '.join(dead)}")
            if self.publishing.error is not None:
                raise self.publishing.error
            if time.monotonic() - moved > RECOVERY_SECONDS:
                raise Stopped(
                    f"waiting for {what}: {stored:,} events are stored after {RECOVERY_SECONDS:.0f} s, {events:,} are "
                    f"published. Workers say: {'; '.join(self._says())}"
                )
            threading.Event().wait(LOOK_EVERY)

    def _says(self) -> list[str]:
        return [f"{worker.name}: {worker.ask('/readyz') or 'nothing'}" for worker in self._rig.workers]
