"""One long outage: the database is away while events come in at a steady rate, then comes back."""

import dataclasses
import os
import threading
import time
from pathlib import Path

from deploy.benchmark.workload import Workload
from deploy.faults.judge import violations
from deploy.faults.publishing import Publishing
from deploy.faults.rig import READY_SECONDS, Rig, Worker, peak_memory, running
from deploy.faults.run import Tell
from schemas.errors import Fatal

WORKERS = 2
BEFORE_SECONDS = 10.0  # of publishing before the outage
TOLD_EVERY = 10.0
DRAINED_WITHIN = 600.0
LOOK_EVERY = 0.1
MOST_LINES = 12  # of each worker's log: a line for each thing that cannot be done and one when it can again
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True, slots=True)
class Outage:
    """A long outage. Seconds, bytes, and events/s; ``cpu`` is the share of a core that both workers took meanwhile."""

    seconds: float
    rate: float
    behind: int
    drained: float
    cpu: float
    most_resident: int
    lines: int
    violations: tuple[str, ...]

    @property
    def drain_rate(self) -> float:
        """Events stored per second once the database was back."""
        return self.behind / self.drained


def run(folder: Path, seconds: float, rate: float, tell: Tell) -> Outage:
    """Run it in ``folder``, which is filled. Raises Retry or Fatal when the rig itself does not work."""
    workload = Workload(round(rate * (BEFORE_SECONDS + seconds)))
    with running(folder, settings={}) as rig:
        for _ in range(WORKERS):
            rig.add_worker()
        rig.wait_ready()
        publishing = Publishing(workload, rig.broker.bootstrap, rate, fast=True)
        publishing.start()
        try:
            found = _outage(rig, publishing, seconds, rate, tell)
        finally:
            publishing.give_up()
            publishing.join()
        tell("judging")
        return dataclasses.replace(found, violations=(*found.violations, *violations(rig, workload.expected)))


def _outage(rig: Rig, publishing: Publishing, seconds: float, rate: float, tell: Tell) -> Outage:
    publishing.allow(round(rate * BEFORE_SECONDS))
    _wait(rig, publishing, round(rate * BEFORE_SECONDS / 2), "the first events")
    rebalances, spent = (sum(map(count, rig.workers)) for count in (_rebalances, _cpu))
    lines = sum(map(_lines, rig.workers))
    before = publishing.confirmed.total()
    tell(f"the database is killed; {before:,} events are published")
    rig.engine.kill()
    began = time.monotonic()
    told = began
    while (now := time.monotonic()) < began + seconds:
        # A second's worth at a time, so that nothing new is under way when the database is back.
        publishing.allow(round(rate * (BEFORE_SECONDS + now - began + 1)))
        threading.Event().wait(LOOK_EVERY)
        if now - told >= TOLD_EVERY:
            told = now
            memory = ", ".join(f"{peak_memory(worker) >> 20} MiB" for worker in rig.workers)
            tell(f"{publishing.confirmed.total():,} published, workers had at most {memory}")
    lasted = time.monotonic() - began
    published = publishing.confirmed.total()
    cpu = (sum(map(_cpu, rig.workers)) - spent) / lasted
    said = sum(map(_lines, rig.workers)) - lines
    rig.start_engine()
    back = time.monotonic()
    behind = published - sum((rig.stored() or {}).values())
    tell(f"the database is back; {behind:,} events are to be stored")
    _wait(rig, publishing, published, "all that was published")
    drained = time.monotonic() - back
    again = round(sum(map(_rebalances, rig.workers)) - rebalances)
    publishing.hurry()
    _wait(rig, publishing, publishing.events, "everything at the end")
    wrong = rig.dead()
    if again:
        wrong.append(f"partitions were assigned anew {again} times, though no worker came or went")
    if said > MOST_LINES * WORKERS:
        wrong.append(f"the workers wrote {said} lines of log during the outage, {MOST_LINES} each are enough")
    most = max(map(peak_memory, rig.workers))
    return Outage(lasted, (published - before) / lasted, behind, drained, cpu, most, said, tuple(wrong))


def _wait(rig: Rig, publishing: Publishing, events: int, what: str) -> None:
    deadline = time.monotonic() + DRAINED_WITHIN
    while sum((rig.stored() or {}).values()) < events:
        if publishing.error is not None:
            raise publishing.error
        if dead := rig.dead():
            raise Fatal("; ".join(dead))
        if time.monotonic() > deadline:
            raise Fatal(f"After {DRAINED_WITHIN:.0f} s {what} are not stored: {rig.stored()}.")
        threading.Event().wait(LOOK_EVERY)


def _rebalances(worker: Worker) -> float:
    return sum(worker.metric("gris_rebalances_total", READY_SECONDS))


def _lines(worker: Worker) -> int:
    return worker.service.log_file.read_bytes().count(b"\n")


def _cpu(worker: Worker) -> float:
    """Read the seconds of CPU that a worker has taken so far."""
    pid = worker.service.pid()
    if pid is None:
        return 0.0
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICKS_A_SECOND
