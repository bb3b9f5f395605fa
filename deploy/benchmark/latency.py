"""How long from an event's publishing until it is stored and until it is on the stream, at steady rates.

Stored: the ledger's next offset has passed the event, as a client of ClickHouse sees it that looks every 50 ms. On the
stream: a client of the feed has read a line of the event's indicator and day with a version past its offset. Every
event counts, not a sample; both are upper bounds by the pause between two looks.
"""

import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from deploy.benchmark.catalogue import code_of
from deploy.benchmark.probe import Told, told, usage
from deploy.benchmark.stack import Bench, Feed, Worker
from deploy.benchmark.steady import Job, halves
from deploy.benchmark.verdict import differences
from deploy.benchmark.workload import TOPICS, Workload
from deploy.local.process import Service, poll
from schemas.errors import Fatal

WARM_UP = (5_000, 10)  # events a second, seconds at most: a broker has to have compiled its code
LOOK_EVERY = 0.05  # seconds; every 20 ms took a tenth of a core from what is measured
AHEAD = 3.0  # seconds a publisher gets to start
A_PUBLISHER = 12_000  # events a second that one is asked for at most
STANDSTILL = 60.0
HEARD_WITHIN = 20.0  # of a single event, on the slowest machine
STORED = "SELECT toString(topic), sum(next_offset) FROM ledger FINAL GROUP BY topic"
LAST = "SELECT toString(indicator), toString(bucket), max(version) FROM day_totals GROUP BY indicator, bucket"
PERCENTS = (50, 90, 99)
FLUSHING = ("totals", "report", "observations", "rejected", "day_totals", "announce")

Tell = Callable[[str, int], None]
Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds."""

    p50: float
    p90: float
    p99: float
    max: float

    @classmethod
    def of(cls, seconds: Floats) -> "Percentiles":
        """Take them of all."""
        found = [*np.percentile(seconds, PERCENTS), seconds.max()]
        return cls(*(round(float(one) * 1000, 1) for one in found))


@dataclasses.dataclass(frozen=True, slots=True)
class Latency:
    """At ``rate`` events a second for ``seconds``, while ``clients`` hear the stream.

    ``reached`` is the rate that the publishers kept; where it is below the one asked for, they were the limit. ``cpu``:
    shares of one core by process; what is left of the cores was somebody else's. ``flush_ms``: how long a flush took,
    and of it each of its stages, on average.
    """

    rate: int
    reached: float
    seconds: float
    events: int
    clients: int
    stored: Percentiles
    on_stream: Percentiles
    cpu: dict[str, float]
    flush_ms: dict[str, float]
    publishers: int


@dataclasses.dataclass(frozen=True, slots=True)
class Latencies:
    """The rates one after the other; none when the totals were wrong in the end."""

    rates: tuple[Latency, ...]
    wrong: tuple[str, ...]


def latency(
    bench: Bench, feed: Feed, rates: Sequence[int], seconds: int, clients: int, seed: int, tell: Tell
) -> Latencies:
    """Publish at each rate in turn. The worker runs, at the head of an empty log; the feed too."""
    phases = [WARM_UP[0] * min(WARM_UP[1], seconds), *(rate * seconds for rate in rates)]
    workload = Workload(sum(phases), seed=seed)
    listeners = Listeners(bench, feed, clients)
    found: list[_Phase] = []
    try:
        listeners.wait_ready()
        for upto, rate in enumerate((WARM_UP[0], *rates), 1):
            tell(f"{rate:,}/s", 0)
            workload.draw(phases[upto - 1])
            found.append(_phase(bench, feed, workload, phases[:upto], rate, tell))
        listeners.wait_heard(
            {(indicator, bucket): int(version) for indicator, bucket, version in bench.client.query(LAST)}
        )
    finally:
        heard = listeners.stop()
    tell("checking", 0)
    wrong = tuple(differences(bench, workload.expected))
    seen = _by_line(heard["heard"])
    return Latencies(() if wrong else tuple(one.latency(seen, clients) for one in found[1:]), wrong)


class Listeners:
    """A process with clients of the feed's stream."""

    def __init__(self, bench: Bench, feed: Feed, clients: int, *, every: bool = False) -> None:
        self.clients = clients
        self._answers = bench.settings.data / f"listeners-{clients}-{time.monotonic_ns()}"
        self._service = Service("listeners", bench.settings.data)
        self._service.log_file.unlink(missing_ok=True)
        arguments = [str(feed.port), str(clients), "1" if every else "0", str(self._answers)]
        self._service.start([sys.executable, "-P", "-m", "deploy.benchmark.listeners", *arguments])

    def wait_ready(self) -> None:
        """Return once every client has its headers."""
        self._service.wait_ready(lambda: "ready" in self._service.log_file.read_text(errors="replace"), STANDSTILL)

    def wait_heard(self, last: Mapping[tuple[str, str], int]) -> None:
        """Return once the first client has heard of each line, by indicator and bucket, this version or a later one."""

        def heard() -> bool:
            newest: dict[tuple[str, str], int] = {}
            for _, _, indicator, bucket, version in self._so_far()["heard"]:
                newest[indicator, bucket] = max(version, newest.get((indicator, bucket), 0))
            return all(newest.get(line, 0) >= version for line, version in last.items())

        if not poll(heard, STANDSTILL):
            raise Fatal(f"The last lines do not reach the clients; their log ends with:\n{self._service.log_tail()}")

    def wait_everybody(self, since: float) -> None:
        """Return once every client has been told an id after this time, or when they have had time enough for it."""
        everybody = set(range(self.clients))
        poll(lambda: {client for at, client, _ in self._so_far()["ids"] if at >= since} == everybody, HEARD_WITHIN, 0.5)

    def _so_far(self) -> dict[str, list[Any]]:
        self._answers.unlink(missing_ok=True)
        pid = self._service.pid()
        if pid is None:
            raise Fatal(f"The clients of the stream ended; their log ends with:\n{self._service.log_tail()}")
        os.kill(pid, signal.SIGUSR1)
        if not poll(self._answers.exists, STANDSTILL):
            raise Fatal(f"The clients of the stream do not answer; their log ends with:\n{self._service.log_tail()}")
        heard: dict[str, list[Any]] = json.loads(self._answers.read_text())
        return heard

    def stop(self) -> dict[str, list[list[object]]]:
        """End it and answer what it heard."""
        self._service.stop()
        if not self._answers.exists():
            raise Fatal(f"The clients of the stream did not hold; their log ends with:\n{self._service.log_tail()}")
        heard: dict[str, list[list[object]]] = json.loads(self._answers.read_text())
        return heard


@dataclasses.dataclass(frozen=True, slots=True)
class _Phase:
    rate: int
    events: dict[str, npt.NDArray[np.generic]]
    looks: list[tuple[float, dict[str, int]]]  # when, next offset by topic
    cpu: dict[str, float]
    flush_ms: dict[str, float]
    publishers: int

    def latency(self, seen: dict[tuple[str, int], tuple[Floats, npt.NDArray[np.int64]]], clients: int) -> Latency:
        sent = self.events["sent"].astype(np.float64)
        took = sent.max() - sent.min()
        return Latency(
            self.rate,
            round(len(sent) / took, 1),
            round(float(took), 2),
            len(sent),
            clients,
            Percentiles.of(self._stored() - sent),
            self._on_stream(seen),
            self.cpu | {"publishers": round(float(self.events["cpu"].sum() / took), 3)},
            self.flush_ms,
            self.publishers,
        )

    def _stored(self) -> Floats:
        times = np.array([at for at, _ in self.looks])
        offset, agency = self.events["offset"], self.events["agency"]
        stored = np.zeros(len(offset))
        for number, topic in enumerate(TOPICS):
            mine = agency == number
            ends = np.array([next_offset.get(topic, 0) for _, next_offset in self.looks])
            stored[mine] = times[np.searchsorted(ends, offset[mine], side="right")]
        return stored

    def _on_stream(self, seen: dict[tuple[str, int], tuple[Floats, npt.NDArray[np.int64]]]) -> Percentiles:
        events = {
            name: values[self.events["new"].astype(bool)] for name, values in self.events.items() if name != "cpu"
        }
        lines = events["agency"] * 10_000_000 + events["serial"] * 10_000 + events["day"]
        took = np.zeros(len(lines))
        for line in np.unique(lines).tolist():
            mine = lines == line
            agency, rest = divmod(line, 10_000_000)
            serial, day = divmod(rest, 10_000)
            times, versions = seen.get((code_of(agency, serial), day), (np.array([]), np.array([])))
            # Versions only grow, as the messages of a key do.
            first = np.searchsorted(versions, events["offset"][mine], side="right")
            if first.max() >= len(times):
                raise Fatal(f"The stream never told of {code_of(agency, serial)}, day {day}, to its last event.")
            took[mine] = times[first] - events["sent"][mine].astype(np.float64)
        return Percentiles.of(took)


def _phase(bench: Bench, feed: Feed, workload: Workload, phases: Sequence[int], rate: int, tell: Tell) -> _Phase:
    publishers = -(-rate // A_PUBLISHER)
    start = time.time() + AHEAD
    services, answers = [], []
    for number, agencies in enumerate(halves(publishers)):
        name = f"steady-{len(phases)}-{number}"
        job_file, answer = bench.settings.data / f"{name}.job", bench.settings.data / f"{name}.answer"
        share = rate / publishers
        job = Job(bench.settings.kafka, workload.events, workload.seed, tuple(phases), agencies, share, start)
        job_file.write_text(json.dumps(dataclasses.asdict(job)))
        service = Service(name, bench.settings.data)
        service.start([sys.executable, "-P", "-m", "deploy.benchmark.steady", str(job_file), str(answer)])
        services.append(service)
        answers.append(answer)
    poll(lambda: time.time() >= start, AHEAD + 1, 0.01)
    pids = {"worker": bench.workers[0].pid, "feed": feed.pid}
    for name in ("clickhouse", "kafka"):
        pids[name] = Service(name, bench.settings.data).pid() or 0
    before, flushed = _spent(pids), told([bench.workers[0].metrics()])
    began = time.monotonic()
    looks = _watch(bench, workload, services, tell)
    took = time.monotonic() - began
    after = _spent(pids)
    cpu = {name: round((after[name] - before[name]) / took, 3) for name in pids}
    flush_ms = _flush_ms(flushed, _flushed_since(flushed, bench.workers[0]))
    for service, answer in zip(services, answers, strict=True):
        poll(lambda service=service: service.pid() is None, STANDSTILL)  # type: ignore[misc]
        if not answer.exists():
            raise Fatal(f"A publisher failed; its log ends with:\n{service.log_tail()}")
    parts = [np.load(answer) for answer in answers]
    events = {name: np.concatenate([part[name] for part in parts]) for name in parts[0].files}
    return _Phase(rate, events, looks, cpu, flush_ms, publishers)


def _spent(pids: dict[str, int]) -> dict[str, float]:
    used = {name: usage(pid) for name, pid in pids.items()}
    return {name: 0.0 if one is None else one.cpu_seconds for name, one in used.items()}


def _flushed_since(before: Told, worker: Worker) -> Told:
    """Give what a worker tells of itself once it tells of a flush more: that is after its last row can be seen."""
    after = poll(lambda: now if (now := told([worker.metrics()])).flushes > before.flushes else None, STANDSTILL)
    if after is None:
        raise worker.failure("stored events and tells of no flush")
    return after


def _flush_ms(before: Told, after: Told) -> dict[str, float]:
    """Give what a flush took between two looks, and each of its stages."""
    flushes = after.flushes - before.flushes
    taken = {stage: after.stages[stage][0] - before.stages.get(stage, (0.0, 0))[0] for stage in after.stages}
    stages = {stage: taken[stage] for stage in FLUSHING if stage in taken}
    whole = {"flush": after.flush_seconds - before.flush_seconds}
    return {stage: round(seconds / flushes * 1000, 1) for stage, seconds in (whole | stages).items()}


def _watch(
    bench: Bench, workload: Workload, services: Sequence[Service], tell: Tell
) -> list[tuple[float, dict[str, int]]]:
    """Look at the ledger until it has passed everything."""
    wanted = dict(zip(TOPICS, workload.expected.records, strict=True))
    looks: list[tuple[float, dict[str, int]]] = []
    moved = time.monotonic()
    while not looks or any(looks[-1][1].get(topic, 0) < end for topic, end in wanted.items()):
        found = {topic: int(end) for topic, end in bench.client.query(STORED)}
        if not looks or found != looks[-1][1]:
            looks.append((time.time(), found))
            moved = time.monotonic()
            tell("stored", sum(found.values()))
        dead = [service for service in services if service.exit_code()]
        if dead or time.monotonic() - moved > STANDSTILL:
            raise Fatal(f"The events do not arrive.\n{(dead or services)[0].log_tail()}")
        time.sleep(LOOK_EVERY)
    return looks


def _by_line(heard: list[list[object]]) -> dict[tuple[str, int], tuple[Floats, npt.NDArray[np.int64]]]:
    """Give when which version of a line was heard, by indicator and day of the stream."""
    first = np.datetime64("2025-01-06")
    found: dict[tuple[str, int], tuple[list[float], list[int]]] = {}
    for at, _, indicator, bucket, version in heard:
        day = int((np.datetime64(str(bucket)) - first).astype(int))
        times, versions = found.setdefault((str(indicator), day), ([], []))
        times.append(float(at))  # type: ignore[arg-type]
        versions.append(int(version))  # type: ignore[call-overload]
    return {line: (np.array(times), np.array(versions)) for line, (times, versions) in found.items()}
