"""One run of the bench: publish everything, then let the workers at it, and measure."""

import dataclasses
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from deploy.benchmark.probe import Usage, told, usage
from deploy.benchmark.publish import publish
from deploy.benchmark.stack import Bench, Worker, running
from deploy.benchmark.verdict import differences
from deploy.benchmark.workload import Workload
from schemas.errors import Fatal

LOOK_EVERY = 0.1  # seconds between two looks at the ledger
STANDSTILL = 120.0  # seconds without progress after which a run has failed

LEDGER = "SELECT sum(next_offset), toUnixTimestamp64Milli(max(written_at)) FROM ledger FINAL"
FIRST = "SELECT toUnixTimestamp64Milli(min(written_at)) FROM ledger WHERE next_offset > 0"  # not of an opening

Tell = Callable[[str, int], None]  # what is being done, and how many events of it are done


@dataclasses.dataclass(frozen=True, slots=True)
class Measures:
    """What was measured.

    ``events_per_second``: all events by ``seconds``, from the worker's first block (its records taken out of the first
    fetch) to the last ledger row, both by this machine's clock. ``first_row_seconds``: from the start of the worker's
    process to the first ledger row; ``whole_seconds`` to the last. ``cpu_us_per_event``: the workers' user and system
    time since they were ready. ``stages``: seconds and calls by stage of the worker; stages overlap, and those of the
    database are time spent waiting for it.
    """

    events_per_second: float
    seconds: float
    first_row_seconds: float
    whole_seconds: float
    cpu_us_per_event: float | None
    peak_rss_bytes: int | None
    flushes: int
    stages: dict[str, tuple[float, int]]


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """A run: ``measures`` only when it was right, else ``wrong`` says what was not."""

    workload: str
    events: int
    accepted: int
    rejected: int
    workers: int
    publisher: str
    publish_seconds: float
    check_seconds: float
    wrong: tuple[str, ...]
    measures: Measures | None
    machine: dict[str, object]


def run(folder: Path, workload: Workload, shape: str, workers: int, tell: Tell) -> Outcome:
    """Run in ``folder``, which is filled. Raises Retry or Fatal when something does not start or does not move."""
    load_before = os.getloadavg()[0]
    with running(folder) as bench:
        began = time.monotonic()
        publisher = publish(workload, bench.settings.kafka, lambda done: tell("publishing", done))
        published = time.monotonic() - began
        measures = measured(bench, workload.events, workers, tell)
        bench.stop_workers()
        tell("checking", 0)
        began = time.monotonic()
        wrong = tuple(differences(bench, workload.expected))
        checked = time.monotonic() - began
    accepted = sum(workload.expected.accepted)
    return Outcome(
        workload=shape,
        events=workload.events,
        accepted=accepted,
        rejected=workload.events - accepted,
        workers=workers,
        publisher=publisher,
        publish_seconds=round(published, 2),
        check_seconds=round(checked, 2),
        wrong=wrong,
        measures=None if wrong else measures,
        machine=_machine(load_before),
    )


def measured(bench: Bench, events: int, workers: int, tell: Tell) -> Measures:
    """Start workers on what is published and measure until the last of so many events is stored."""
    bench.start_workers(workers)
    ready = [worker.wait_ready() for worker in bench.workers]
    first, last = _watch(bench, events, tell)
    used = [usage(worker.pid) for worker in bench.workers]
    seen = told(worker.metrics() for worker in bench.workers)
    if seen.first_block is None:
        raise bench.workers[0].failure("stored events and tells of no block")
    began = min(worker.started for worker in bench.workers)
    seconds = last - seen.first_block
    return Measures(
        events_per_second=round(events / seconds),
        seconds=round(seconds, 3),
        first_row_seconds=round(first - began, 3),
        whole_seconds=round(last - began, 3),
        cpu_us_per_event=_cpu(ready, used, events),
        peak_rss_bytes=max((one.peak_bytes for one in used if one is not None), default=None),
        flushes=seen.flushes,
        stages=seen.stages,
    )


def _watch(bench: Bench, events: int, tell: Tell) -> tuple[float, float]:
    """Return when the ledger has passed every event: the times of its first and last rows, seconds since 1970."""
    first = None
    stored, moved = 0, time.monotonic()
    while True:
        (done, written), *_ = bench.client.query(LEDGER)
        if done and first is None:
            first = bench.client.query(FIRST)[0][0] / 1000
        if done != stored:
            stored, moved = done, time.monotonic()
            tell("storing", stored)
        if stored >= events and first is not None:
            return first, written / 1000
        for worker in bench.workers:
            _alive(worker)
        if time.monotonic() - moved > STANDSTILL:
            raise Fatal(f"{stored:,} of {events:,} events are stored, and none in the last {STANDSTILL:.0f} s.")
        time.sleep(LOOK_EVERY)


def _alive(worker: Worker) -> None:
    if worker.service.pid() is None:
        raise worker.failure("died")


def _cpu(ready: list[Usage | None], used: list[Usage | None], events: int) -> float | None:
    """Give microseconds of CPU an event."""
    spent = [
        after.cpu_seconds - before.cpu_seconds
        for before, after in zip(ready, used, strict=True)
        if before is not None and after is not None
    ]
    return round(sum(spent) / events * 1e6, 2) if len(spent) == len(used) else None


def _machine(load_before: float) -> dict[str, object]:
    """Say what it ran on; the load average before the run tells what else the machine was doing."""
    return {
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "chdb": version("chdb"),
        "load_average_before": round(load_before, 2),
    }
