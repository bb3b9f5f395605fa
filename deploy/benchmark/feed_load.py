"""What the feed can bear: requests a second from its cache, and how soon all clients of the stream have an event.

The feed is one process and one thread: what it does a second, it does on one core. Where there are two cores or more,
it gets one to itself and the load another, so that neither is measured with the other's work.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from deploy.benchmark.catalogue import PROVINCES, code_of
from deploy.benchmark.latency import Listeners
from deploy.benchmark.probe import usage
from deploy.benchmark.requests import Job
from deploy.benchmark.stack import Bench, Feed
from deploy.benchmark.workload import TOPICS
from producers.publisher import Message, Publisher
from producers.settings import PublisherSettings
from schemas.codec import encode_event
from schemas.errors import Fatal

DAY = "2025-01-06"
WHOLE, NATIONAL = f"/v1/daily/{DAY}", f"/v1/daily/{DAY}?area=VN"
CONNECTIONS = 32
TURNS = 5  # events of which the fan-out is measured
PAUSE = 1.0  # seconds between two of them
MANY = 2  # cores

Tell = Callable[[str, int], None]
_direct = build_opener(ProxyHandler({}))


@dataclasses.dataclass(frozen=True, slots=True)
class Requests:
    """One kind of request; ``feed_cpu_us`` is what each costs the feed."""

    what: str
    connections: int
    per_second: int
    answer_bytes: int
    p50_ms: float
    p99_ms: float
    feed_cpu_us: float


@dataclasses.dataclass(frozen=True, slots=True)
class FanOut:
    """Milliseconds, the worst of ``events`` events: until the first and the last client has it, since publishing."""

    clients: int
    events: int
    first_ms: float
    last_ms: float
    spread_ms: float  # between the two, of one event
    reached: int  # clients times events that heard of it: all, or the run is wrong


@dataclasses.dataclass(frozen=True, slots=True)
class FeedLoad:
    """Requests and fan-outs; ``wrong`` when a client did not hear an event."""

    requests: tuple[Requests, ...]
    fan_outs: tuple[FanOut, ...]
    peak_rss_bytes: int | None
    wrong: tuple[str, ...]


def feed_load(bench: Bench, feed: Feed, clients: Sequence[int], seconds: float, tell: Tell) -> FeedLoad:
    """Ask, then stream. The feed has a day's report, and a worker runs at the head of the log."""
    found = []
    with _apart(feed.pid):
        with _direct.open(f"{feed.url}{WHOLE}") as answer:
            tag = answer.headers["ETag"]
        for what, path, headers, status in (
            ("report of a day, VN only", NATIONAL, {}, 200),
            ("report of a day, all areas", WHOLE, {}, 200),
            ("the same, as gzip", WHOLE, {"Accept-Encoding": "gzip"}, 200),
            ("the same, unchanged since (304)", WHOLE, {"If-None-Match": tag}, 304),
        ):
            tell(what, 0)
            found.append(_requests(feed, what, Job(feed.port, path, headers, CONNECTIONS, seconds, status)))
    fans = []
    for count in clients:
        tell(f"{count:,} clients", 0)
        fans.append(_fan_out(bench, feed, count))
    wrong = tuple(
        f"{fan.reached:,} of {fan.clients * fan.events:,} events reached a client of {fan.clients:,}"
        for fan in fans
        if fan.reached != fan.clients * fan.events
    )
    used = usage(feed.pid)
    return FeedLoad(tuple(found), tuple(fans), None if used is None else used.peak_bytes, wrong)


def _requests(feed: Feed, what: str, job: Job) -> Requests:
    with contextlib.suppress(HTTPError):  # 304; the first of its kind is composed, not cached
        _direct.open(Request(f"{feed.url}{job.path}", headers=job.headers)).close()  # noqa: S310 - ours
    before = usage(feed.pid)
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "deploy.benchmark.requests", json.dumps(dataclasses.asdict(job))],
        check=False,
        capture_output=True,
        text=True,
        timeout=job.seconds + 60,
        preexec_fn=_last_core if _cores() else None,
    )
    after = usage(feed.pid)
    if ran.returncode != 0:
        raise Fatal(f"The feed did not answer as it should: {ran.stderr.strip()[-500:]}")
    said: dict[str, Any] = json.loads(ran.stdout)
    cpu = 0.0 if before is None or after is None else after.cpu_seconds - before.cpu_seconds
    return Requests(
        what,
        job.connections,
        round(said["answers"] / said["seconds"]),
        said["bytes"] // max(said["answers"], 1),
        said["p50_ms"],
        said["p99_ms"],
        round(cpu / max(said["answers"], 1) * 1e6, 1),
    )


def _fan_out(bench: Bench, feed: Feed, clients: int) -> FanOut:
    listeners = Listeners(bench, feed, clients, every=True)
    sent = []
    try:
        listeners.wait_ready()
        settings = PublisherSettings(kafka=bench.settings.kafka, schema_id=1)
        with Publisher(settings) as publisher:
            for turn in range(TURNS):
                code = code_of(0, 0)
                event = {
                    "submission": f"FAN-{clients}-{turn}",
                    "indicator": code,
                    "area": PROVINCES[turn],
                    "time_period": f"{DAY}T00:00:00/PT1H",
                    "value": float(turn + clients % 97 + 1),
                    "revision": 1000 + turn,
                    "observed_at": 1_736_100_000_000,
                }
                sent.append(time.time())
                receipt = publisher.publish([Message(TOPICS[0], code.encode(), encode_event(event), turn)])
                if receipt.failures:
                    raise receipt.failures[0].error
                time.sleep(PAUSE)  # not asked meanwhile: the answer would cost them time
                listeners.wait_everybody(sent[-1])
    finally:
        heard = listeners.stop()
    # By turn: when each client heard the first line after it; a line may be said again.
    turns: list[dict[object, float]] = [{} for _ in sent]
    for at, client, _ in heard["ids"]:
        turn = sum(began <= float(at) for began in sent) - 1  # type: ignore[arg-type]
        if turn >= 0:
            turns[turn].setdefault(client, float(at) - sent[turn])  # type: ignore[arg-type]
    whole = [times.values() for times in turns if times]
    if not whole:
        raise Fatal("No client of the stream heard of any event.")
    return FanOut(
        clients,
        len(sent),
        round(max(min(times) for times in whole) * 1000, 1),
        round(max(max(times) for times in whole) * 1000, 1),
        round(max(max(times) - min(times) for times in whole) * 1000, 1),
        sum(map(len, turns)),
    )


def _cores() -> bool:
    return hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) >= MANY


@contextlib.contextmanager
def _apart(pid: int) -> Iterator[None]:
    """Keep a process, all its threads, on one core."""
    if not _cores():
        yield
        return
    threads = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    before = os.sched_getaffinity(pid)
    for thread in threads:
        os.sched_setaffinity(thread, {min(before)})
    try:
        yield
    finally:
        for thread in threads:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(thread, before)


def _last_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
