"""How long after a crash the next row comes: a worker killed in the middle of its work, and started again at once."""

import dataclasses
import time
from collections.abc import Callable

from deploy.benchmark.stack import Bench
from deploy.benchmark.verdict import differences
from deploy.benchmark.workload import Workload
from schemas.errors import Fatal

KILLED_AT = (0.1, 0.4, 0.7)  # of the events stored
FLUSHES = 50  # of the whole, at least
LOOK_EVERY = 0.02
STANDSTILL = 60.0

DONE = "SELECT sum(next_offset) FROM ledger FINAL"
SINCE = """
SELECT toUnixTimestamp64Milli(min(written_at)) FROM ledger
WHERE next_offset > 0 AND toUnixTimestamp64Milli(written_at) >= {since:Int64}
"""

Tell = Callable[[str, int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Restarts:
    """Seconds from the start of the new process to its partitions opened, and to its first ledger row, kill by kill."""

    events: int
    ready_seconds: tuple[float, ...]
    first_row_seconds: tuple[float, ...]
    wrong: tuple[str, ...]


def restarts(bench: Bench, workload: Workload, tell: Tell) -> Restarts:
    """Run over what is published, into a fresh database, with SIGKILL in between."""
    with bench.afresh() as fresh:
        # Small blocks and flushes, as near the head of the log, or all would be done before the last kill.
        share = str(max(workload.events // FLUSHES, 1_000))
        environment = {
            "GRIS_GROUP": f"gris-{time.monotonic_ns()}",
            "GRIS_BLOCK_EVENTS": share,
            "GRIS_FLUSH_ROWS": share,
        }
        fresh.start_workers(1, environment)
        opened, first = [], []
        for done in KILLED_AT:
            _wait(fresh, round(done * workload.events), tell)
            fresh.workers[0].service.kill()
            fresh.workers.clear()
            fresh.start_workers(1, environment)
            worker = fresh.workers[0]
            worker.wait_ready()
            opened.append(round(time.time() - worker.started, 2))
            first.append(round(_first_row(fresh, worker.started) - worker.started, 2))
        _wait(fresh, workload.events, tell)
        fresh.stop_workers()
        tell("checking", 0)
        wrong = tuple(differences(fresh, workload.expected))
    return Restarts(workload.events, () if wrong else tuple(opened), () if wrong else tuple(first), wrong)


def _first_row(bench: Bench, since: float) -> float:
    until = time.monotonic() + STANDSTILL
    while time.monotonic() < until:
        ((written,),) = bench.client.query(SINCE, {"since": round(since * 1000)})
        if written:
            return float(written) / 1000
        time.sleep(LOOK_EVERY)
    raise bench.workers[0].failure("stored nothing after it was started again")


def _wait(bench: Bench, events: int, tell: Tell) -> None:
    stored, moved = -1, time.monotonic()
    while stored < events:
        ((now,),) = bench.client.query(DONE)
        if now != stored:
            stored, moved = now, time.monotonic()
            tell("storing", stored)
        if time.monotonic() - moved > STANDSTILL or bench.workers[0].service.pid() is None:
            raise Fatal(f"{stored:,} of {events:,} events are stored.\n{bench.workers[0].service.log_tail()}")
        time.sleep(LOOK_EVERY)
