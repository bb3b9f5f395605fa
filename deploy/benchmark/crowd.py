"""A load on the feed, from a process of its own: GETs over kept connections, and many clients of the stream.

For the bench, two things:

    found = gets("http://127.0.0.1:8080", "/v1/daily/2026-11-23", headers={"Accept-Encoding": "gzip"}, pid=feed_pid)
    found.per_second, found.per_core_second, found.statuses   # a Gets; for 304s give If-None-Match in the headers

    with listening("http://127.0.0.1:8080", clients=1000, pid=feed_pid) as listeners:  # once all have an answer's head
        ...                         # let something happen: events into Kafka, as many as one likes
        heard = listeners.wait(events=1, within=10)  # or listeners.heard(): what has come so far, any number of times
    heard.spread_ms, heard.behind_ms     # a Heard: the last client behind the first; arrival behind the broker's time

Both block and start a child process of this interpreter, which is gone when they return; the caller's ``__main__``
must be importable. What the clients cost, the feed does not get on the same machine: its CPU (given its ``pid``, where
there is a /proc) says how many answers a core gives, whoever shares it. Raises Fatal when the feed does not answer.
"""

import asyncio
import contextlib
import dataclasses
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any

import uvloop

from deploy.benchmark.feed_clients import ANSWER_SECONDS, Ears, ask
from deploy.benchmark.probe import usage
from schemas.errors import Fatal

LOOK_EVERY = 0.05
PATIENCE_SECONDS = 2 * ANSWER_SECONDS
MS = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Gets:
    """What came of asking for one thing over and over, each connection as soon as it had the answer.

    ``size``: bytes of an answer's body as sent. ``cpu_us``: CPU of the feed an answer, all its threads; None without a
    pid.
    """

    path: str
    headers: dict[str, str]
    connections: int
    answers: int
    seconds: float
    statuses: dict[int, int]
    size: int
    p50_ms: float
    p99_ms: float
    cpu_us: float | None

    @property
    def per_second(self) -> float:
        """Answers a second on this machine, shared with the load and whatever else runs."""
        return self.answers / self.seconds

    @property
    def per_core_second(self) -> float | None:
        """Answers a second that one core gives when the feed has it alone."""
        return 1e6 / self.cpu_us if self.cpu_us else None


@dataclasses.dataclass(frozen=True, slots=True)
class Heard:
    """What clients of the stream were told.

    ``connect_seconds``: until all had the head of the answer. ``left``: connections that ended. ``events``: distinct
    ids; ``fewest``: of these, what the listening client has that has fewest; ``repeated``: ids that came to a client
    again or out of order. ``spread_ms``: by id, from its first arrival anywhere to its last. ``behind_ms``: by id,
    from ``updated_at`` (the broker's time of the newest record in the line) to its arrival at one client. Both in the
    order of arrival. ``cpu_seconds``: of the feed, since before the clients connected; None without a pid.
    """

    clients: int
    connect_seconds: float
    left: int
    events: int
    fewest: int
    repeated: int
    resets: int
    bytes: int
    spread_ms: tuple[float, ...]
    behind_ms: tuple[float, ...]
    cpu_seconds: float | None


def gets(
    url: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    seconds: float = 3.0,
    connections: int = 16,
    pid: int | None = None,
) -> Gets:
    """Ask for ``path`` for so long over so many connections, after a first answer that does not count."""
    with _child(_get, url, path, dict(headers or {}), seconds, connections, pid) as pipe:
        found: Gets = _received(pipe, seconds + PATIENCE_SECONDS)
    return found


@contextlib.contextmanager
def listening(
    url: str,
    *,
    clients: int = 1000,
    after: int | None = None,
    headers: Mapping[str, str] | None = None,
    listening: int | None = None,
    silent: int = 0,
    pid: int | None = None,
) -> Iterator["Listeners"]:
    """Connect so many clients to the stream at once, each resuming ``after`` an id (None: from now on).

    ``listening`` of them (None: all) look for ids in what they get; the others only take it, which costs less. With
    ``{"Accept-Encoding": "deflate"}`` they take a tenth to a fifth of the bytes.
    ``silent`` more accept nothing once they have asked. The limit of open files is raised as far as the system lets.
    """
    asked = dict(headers or {}) if after is None else {"Last-Event-ID": str(after), **(headers or {})}
    before = _cpu(pid)
    with _child(_listen, url, asked, clients, clients if listening is None else listening, silent) as pipe:
        _received(pipe, PATIENCE_SECONDS)
        yield Listeners(pipe, clients, pid, before)


class Listeners:
    """Clients of the stream that are connected, in the child process."""

    def __init__(self, pipe: Connection, clients: int, pid: int | None, cpu_before: float | None) -> None:
        self._pipe = pipe
        self._clients = clients
        self._pid = pid
        self._before = cpu_before

    def heard(self) -> Heard:
        """Tell what has come so far."""
        self._pipe.send("tell")
        told: dict[str, Any] = _received(self._pipe, PATIENCE_SECONDS)
        after = _cpu(self._pid)
        used = None if after is None or self._before is None else after - self._before
        return Heard(clients=self._clients, cpu_seconds=used, **told)

    def wait(self, events: int, within: float) -> Heard:
        """Return once every listening client that is still there has so many events; Fatal when it takes too long."""
        deadline = time.monotonic() + within
        while (found := self.heard()).fewest < events:
            if time.monotonic() > deadline:
                raise Fatal(f"After {within:g} s a client of the stream has {found.fewest} of {events} events.")
            time.sleep(LOOK_EVERY)
        return found


def _get(
    pipe: Connection, url: str, path: str, headers: dict[str, str], seconds: float, connections: int, pid: int | None
) -> None:
    uvloop.run(ask(url, path, headers, 0, 1))
    before = _cpu(pid)
    answers = uvloop.run(ask(url, path, headers, seconds, connections))
    after = _cpu(pid)
    times = sorted(answers.times)
    pipe.send(
        Gets(
            path=path,
            headers=headers,
            connections=connections,
            answers=len(times),
            seconds=answers.seconds,
            statuses=dict(answers.statuses),
            size=answers.size,
            p50_ms=times[len(times) // 2] * MS,
            p99_ms=times[len(times) * 99 // 100] * MS,
            cpu_us=None if before is None or after is None else (after - before) / len(times) * 1e6,
        )
    )


def _listen(pipe: Connection, url: str, headers: dict[str, str], clients: int, listens: int, silent: int) -> None:
    async def listen() -> None:
        ears = Ears(url, headers)
        await ears.connect(clients, listens, silent)
        pipe.send("connected")
        while await asyncio.to_thread(pipe.recv) != "end":
            pipe.send(
                {
                    "connect_seconds": ears.connect_seconds,
                    "left": ears.left,
                    "events": len(ears.first),
                    "fewest": ears.fewest,
                    "repeated": ears.repeated,
                    "resets": ears.resets,
                    "bytes": ears.bytes,
                    "spread_ms": tuple((ears.last[offset] - first) * MS for offset, first in ears.first.items()),
                    "behind_ms": tuple(late * MS for late in ears.behind.values()),
                }
            )

    uvloop.run(listen())


@contextlib.contextmanager
def _child(work: Callable[..., None], *arguments: Any) -> Iterator[Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, work, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        with contextlib.suppress(OSError):  # it has ended by itself
            ours.send("end")
        process.join(PATIENCE_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
        ours.close()


def _work(pipe: Connection, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    try:
        work(pipe, *arguments)
    except (OSError, TimeoutError, Fatal) as error:
        pipe.send(Fatal(str(error) or f"The feed did not answer within {ANSWER_SECONDS:g} s."))


def _received(pipe: Connection, within: float) -> Any:
    try:
        said = pipe.recv() if pipe.poll(within) else Fatal(f"The load said nothing for {within:g} s.")
    except EOFError:
        said = Fatal("The process of the load died; what it wrote to stderr says why.")
    if isinstance(said, Fatal):
        raise said
    return said


def _cpu(pid: int | None) -> float | None:
    found = None if pid is None else usage(pid)
    return None if found is None else found.cpu_seconds
