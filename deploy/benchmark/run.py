"""One call of the bench: its parts one after the other, on brokers and engines of their own."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from deploy.benchmark.feed_load import FeedLoad, feed_load
from deploy.benchmark.floors import Floor, floors
from deploy.benchmark.latency import Latencies, latency
from deploy.benchmark.machine import machine
from deploy.benchmark.publish import publish
from deploy.benchmark.restart import Restarts, restarts
from deploy.benchmark.rivals.run import Race, rivals
from deploy.benchmark.stack import Bench, Feed, running
from deploy.benchmark.throughput import Run, throughput
from deploy.benchmark.workload import Workload

PARTS = ("throughput", "rivals", "floors", "restart", "latency", "feed")
PUBLISHED = frozenset(PARTS[:4])  # those that work on what was published before
REQUEST_SECONDS = 5.0  # of each kind of request, or as long as a rate where that is shorter
QUICK = ((1, True), (2, True), (2, False))  # workers, inserts

Tell = Callable[[str, int], None]  # what is being done, and how many events of it are done


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to run. ``runs`` are those of the part throughput: how many workers, and whether they insert."""

    parts: Sequence[str]
    events: int
    shape: str
    seed: int
    partitions: int
    runs: Sequence[tuple[int, bool]]
    rates: Sequence[int]
    rate_seconds: int
    clients: int  # of the stream, while latencies are measured
    crowds: Sequence[int]  # of clients, of the fan-out


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """What was published beforehand, and what must come of it."""

    events: int
    accepted: int
    rejected: int
    publisher: str
    seconds: float


@dataclasses.dataclass(slots=True)
class Report:
    """Everything that was measured. A part that was wrong has a sentence in ``wrong`` and no figures."""

    plan: Plan
    machine: dict[str, object]
    published: Published | None = None
    throughput: list[Run] = dataclasses.field(default_factory=list)
    rivals: list[Race] = dataclasses.field(default_factory=list)
    floors: list[Floor] = dataclasses.field(default_factory=list)
    restart: Restarts | None = None
    latency: Latencies | None = None
    feed: FeedLoad | None = None

    @property
    def wrong(self) -> list[str]:
        """Name everything that was not right, of whatever part."""
        return list(self._wrong())

    def _wrong(self) -> Iterator[str]:
        for run in self.throughput:
            yield from (f"throughput, {run.workers} workers: {fault}" for fault in run.wrong)
        for race in self.rivals:
            yield from (f"{race.name}: {fault}" for fault in race.wrong)
        for name, part in (("restart", self.restart), ("latency", self.latency), ("feed", self.feed)):
            yield from (f"{name}: {fault}" for fault in (() if part is None else part.wrong))

    @property
    def failed(self) -> bool:
        """Whether GRIS was wrong; a rival that is wrong loses its speed only."""
        parts = [*self.throughput, self.restart, self.latency, self.feed]
        return any(part is not None and part.wrong for part in parts)


def run(folder: Path, plan: Plan, tell: Tell) -> Report:
    """Run in ``folder``, which is filled. Raises Retry or Fatal when something does not start or does not move."""
    report = Report(plan, machine())
    if PUBLISHED & set(plan.parts):
        with running(folder / "published", plan.partitions) as bench:
            _published(bench, plan, report, tell)
    if not PUBLISHED.issuperset(plan.parts):
        with running(folder / "live") as bench, bench.afresh() as fresh:
            _live(fresh, plan, report, tell)
    return report


def _published(bench: Bench, plan: Plan, report: Report, tell: Tell) -> None:
    workload = Workload(plan.events, shape=plan.shape, seed=plan.seed)
    began = time.monotonic()
    publisher = publish(workload, bench.settings.kafka, lambda done: tell("publishing", done))
    accepted = sum(workload.expected.accepted)
    seconds = round(time.monotonic() - began, 2)
    report.published = Published(plan.events, accepted, plan.events - accepted, publisher, seconds)

    def measure_floors(fresh: Bench) -> None:
        if "floors" in plan.parts and not report.floors:
            tell("floors", 0)
            report.floors = floors(workload, fresh)

    if "throughput" in plan.parts:
        for workers, inserts in plan.runs:
            then = measure_floors if inserts else None
            report.throughput.append(throughput(bench, workload, workers, tell, inserts=inserts, then=then))
    if "rivals" in plan.parts:
        report.rivals = rivals(bench, workload, tell)
    if "restart" in plan.parts:
        report.restart = restarts(bench, workload, tell)
    if "floors" in plan.parts and not report.floors:
        report.floors = floors(workload, None)


def _live(bench: Bench, plan: Plan, report: Report, tell: Tell) -> None:
    """Measure at the head of the log: one worker, one feed."""
    bench.start_workers(1)
    bench.workers[0].wait_ready()
    feed = Feed(bench.settings)
    try:
        rates = plan.rates if "latency" in plan.parts else ()  # the feed needs figures, if only those of the warm-up
        found = latency(bench, feed, rates, plan.rate_seconds, plan.clients, plan.seed, tell)
        if "latency" in plan.parts or found.wrong:
            report.latency = found
        if "feed" in plan.parts:
            report.feed = feed_load(bench, feed, plan.crowds, min(plan.rate_seconds, REQUEST_SECONDS), tell)
    finally:
        feed.service.stop()
