"""How fast workers get a published stream into ClickHouse, at what cost, and whether they were right.

Everything is published before the workers start, so that nothing waits for a publisher.
"""

import dataclasses
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from deploy import topics
from deploy.benchmark.announced import Ends, announced_differences
from deploy.benchmark.probe import Told, Usage, lags, told, usage
from deploy.benchmark.stack import Bench, Worker
from deploy.benchmark.verdict import differences
from deploy.benchmark.workload import TOPICS, Workload
from deploy.local.process import poll
from schemas.errors import Fatal

LOOK_EVERY = 0.1  # seconds between two looks at how far it is
STANDSTILL = 120.0  # seconds without progress after which a run has failed
SLICES = 5  # of a run, whose CPU is told apart: it must not grow with the events
LOOP = "Kafka, Faust, event loop"

LEDGER = "SELECT sum(next_offset), toUnixTimestamp64Milli(max(written_at)) FROM ledger FINAL"
FIRST = "SELECT toUnixTimestamp64Milli(min(written_at)) FROM ledger WHERE next_offset > 0"  # not of an opening

Tell = Callable[[str, int], None]  # what is being done, and how many events of it are done


@dataclasses.dataclass(frozen=True, slots=True)
class Measures:
    """What was measured.

    ``events_per_second``: all events by ``seconds``, from the workers' first block (its records taken out of the first
    fetch) to the last ledger row, both by this machine's clock. ``first_row_seconds``: from the start of the workers'
    processes to the first ledger row (of which 3 s are the group's wait for its members); ``whole_seconds`` to the
    last. ``cpu_us_per_event``: the workers' user and system time since they were ready; ``cpu_slices`` the same for
    each fifth of the events, in their order; ``cpu_stages`` by what was done: what threads computed and sent, and the
    rest, which is Kafka, Faust and the event loop. ``stages``: wall seconds and calls by stage; stages overlap, and
    those of the database are time spent waiting for it.
    """

    events_per_second: int
    seconds: float
    first_row_seconds: float | None
    whole_seconds: float
    cpu_us_per_event: float | None
    cpu_slices: tuple[float, ...]
    cpu_stages: dict[str, float]
    peak_rss_bytes: int | None
    flushes: int
    stages: dict[str, tuple[float, int]]


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One run: ``measures`` only when it was right, else ``wrong`` says what was not."""

    events: int
    workers: int
    partitions: int
    inserts: bool
    check_seconds: float
    wrong: tuple[str, ...]
    measures: Measures | None


def throughput(
    bench: Bench,
    workload: Workload,
    workers: int,
    tell: Tell,
    *,
    inserts: bool = True,
    then: Callable[[Bench], None] | None = None,
) -> Run:
    """Run workers over what is published, into a fresh database. Raises Retry or Fatal when nothing moves.

    ``then`` may use the database before it is dropped.
    """
    with bench.afresh() as fresh:
        daily = None if inserts else Ends.of(bench.settings.kafka)
        measures = measured(fresh, workload.events, workers, tell, inserts=inserts)
        fresh.stop_workers()
        tell("checking", 0)
        began = time.monotonic()
        found = (
            differences(fresh, workload.expected)
            if daily is None
            else announced_differences(bench.settings.kafka, daily, workload.expected)
        )
        wrong = tuple(found)
        checked = time.monotonic() - began
        if then is not None:
            then(fresh)
    partitions = sum(agency.partitions for agency in bench.catalogue.agencies)
    right = None if wrong else measures
    return Run(workload.events, workers, partitions, inserts, round(checked, 2), wrong, right)


def measured(bench: Bench, events: int, workers: int, tell: Tell, *, inserts: bool = True) -> Measures:
    """Start workers on what is published and measure until the last of so many events is done with."""
    # A group of its own: the members of the run before are still known to the one they were in.
    environment = {"GRIS_GROUP": f"gris-{time.monotonic_ns()}"}
    if not inserts:
        environment |= {"GRIS_BENCH_NO_INSERTS": "1"}
    bench.start_workers(workers, environment)
    ready = [worker.wait_ready() for worker in bench.workers]
    watch = _Ledger(bench) if inserts else _Metrics(bench, events)
    spent = _watch(bench, watch, events, tell)
    used = [usage(worker.pid) for worker in bench.workers]
    seen = _told(bench.workers)
    first, last = watch.first, watch.last or seen.last_flush
    if seen.first_block is None or last is None:
        raise bench.workers[0].failure("stored events and tells of no block")
    began = min(worker.started for worker in bench.workers)
    seconds = last - seen.first_block
    cpu = _cpu(ready, used)
    return Measures(
        events_per_second=round(events / seconds),
        seconds=round(seconds, 3),
        first_row_seconds=None if first is None else round(first - began, 3),
        whole_seconds=round(last - began, 3),
        cpu_us_per_event=None if cpu is None else round(cpu / events * 1e6, 2),
        cpu_slices=_slices(spent),
        cpu_stages=_by_stage(seen.cpu, cpu, events),
        peak_rss_bytes=max((one.peak_bytes for one in used if one is not None), default=None),
        flushes=seen.flushes,
        stages=seen.stages,
    )


class _Watch(Protocol):
    """Tells how far workers are: ``first`` and ``last`` are the times of the first and the last row, where known."""

    first: float | None
    last: float | None

    def done(self) -> int: ...


class _Ledger:
    """Looks at the ledger, where what is there is stored."""

    def __init__(self, bench: Bench) -> None:
        self._client = bench.client
        self.first: float | None = None
        self.last: float | None = None

    def done(self) -> int:
        (done, written), *_ = self._client.query(LEDGER)
        if done and self.first is None:
            self.first = self._client.query(FIRST)[0][0] / 1000
        self.last = written / 1000
        return int(done)


class _Metrics:
    """Looks at what the workers tell of their lag, where no ledger is written."""

    def __init__(self, bench: Bench, events: int) -> None:
        self._workers = bench.workers
        self._events = events
        ends = topics.ends(bench.settings.kafka, TOPICS)
        self._wanted = {place for place, end in ends.items() if end}
        self.first: float | None = None
        self.last: float | None = None

    def done(self) -> int:
        found = lags(worker.metrics() for worker in self._workers)
        left = sum(found.values())
        return (
            self._events - left if self._wanted <= found.keys() else max(min(self._events - left, self._events - 1), 0)
        )


def _watch(bench: Bench, watch: _Watch, events: int, tell: Tell) -> list[tuple[int, float]]:
    """Return when all events are done with: how much CPU was spent (seconds) when so many were done."""
    spent: list[tuple[int, float]] = []
    stored, moved = 0, time.monotonic()
    while stored < events:
        done = watch.done()
        if done != stored:
            stored, moved = done, time.monotonic()
            tell("storing", stored)
            now = [usage(worker.pid) for worker in bench.workers]
            spent.append((stored, sum(one.cpu_seconds for one in now if one is not None)))
        for worker in bench.workers:
            _alive(worker)
        if time.monotonic() - moved > STANDSTILL:
            raise Fatal(f"{stored:,} of {events:,} events are stored, and none in the last {STANDSTILL:.0f} s.")
        if stored < events:
            time.sleep(LOOK_EVERY)
    return spent


def _told(workers: Sequence[Worker]) -> Told:
    """Give what workers tell of themselves: a flush is told of after its last row can be seen."""
    seen = poll(lambda: found if (found := told(worker.metrics() for worker in workers)).flushes else None, STANDSTILL)
    if seen is None:
        raise workers[0].failure("stored events and tells of no flush")
    return seen


def _alive(worker: Worker) -> None:
    if worker.service.pid() is None:
        raise worker.failure("died")


def _cpu(ready: list[Usage | None], used: list[Usage | None]) -> float | None:
    """Give the seconds of CPU between two looks at all workers."""
    spent = [
        after.cpu_seconds - before.cpu_seconds
        for before, after in zip(ready, used, strict=True)
        if before is not None and after is not None
    ]
    return sum(spent) if len(spent) == len(used) else None


def _slices(spent: list[tuple[int, float]]) -> tuple[float, ...]:
    """Give the CPU of an event (µs) in each fifth of a run, as well as the looks at it tell."""
    if len(spent) <= SLICES:
        return ()
    cuts = [spent[at * (len(spent) - 1) // SLICES] for at in range(SLICES + 1)]
    return tuple(
        round((after - before) / (upto - since) * 1e6, 2)
        for (since, before), (upto, after) in itertools.pairwise(cuts)
        if upto > since
    )


def _by_stage(cpu: dict[str, float], whole: float | None, events: int) -> dict[str, float]:
    """Give the CPU of an event (µs) by what was done, the dearest first."""
    shares = dict(cpu)
    if whole is not None:
        shares[LOOP] = max(whole - sum(cpu.values()), 0.0)
    found = {work: round(seconds / events * 1e6, 3) for work, seconds in shares.items()}
    return {work: found[work] for work in sorted(found, key=lambda work: -found[work]) if found[work]}
