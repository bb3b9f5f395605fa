"""What is broken: a broker, an engine and workers of its own, with a misbehaving proxy before each of the first two."""

import contextlib
import dataclasses
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from deploy import topics
from deploy.benchmark.catalogue import write_catalogue
from deploy.faults.proxy import Proxy
from deploy.local.ask import ask
from deploy.local.kafka import BRIEF, Broker
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Service, poll
from deploy.local.stack import fetch
from schemas.catalogue import Catalogue, load
from schemas.errors import Retry
from schemas.topics import specs
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.migrate import migrate

HEAP = "384m"
READY_SECONDS = 90
ASK_SECONDS = 2.0
STOP_SECONDS = 30
STOPS_WITHIN = 10.0  # what a worker may take to stop in order
WORKER = (sys.executable, "-P", "-m", "deploy.cli", "worker")
SMALL: Mapping[str, str] = {
    "GRIS_SESSION_SECONDS": "6",  # the least that a broker allows by default
    "GRIS_BLOCK_EVENTS": "2000",
    "GRIS_FLUSH_ROWS": "5000",
    "GRIS_CUBE_BYTES": str(4 << 20),  # so that buckets leave memory and are read back while things break
}
"""Workers hurry a little more than usual, so that faults meet many blocks, flushes and read-backs."""


@dataclasses.dataclass(eq=False, slots=True)
class Worker:
    """One worker, running or between two runs."""

    name: str
    service: Service
    port: int

    def ask(self, path: str) -> tuple[int, str] | None:
        """Answer status and text of what it says under ``path``; None when it does not answer."""
        return ask(self.port, path, ASK_SECONDS)

    def ready(self) -> bool:
        """Tell whether it says that its partitions are open and nothing is in its way."""
        answer = self.ask("/readyz")
        return answer is not None and answer[0] == HTTPStatus.OK

    def metric(self, name: str, within: float = 0.0) -> list[float]:
        """Read every sample of a metric; none when it does not answer, and did not when asked again ``within`` s."""
        answer = poll(lambda: self.ask("/metrics"), within)
        families = text_string_to_metric_families(answer[1] + "\n" if answer else "")
        return [sample.value for family in families for sample in family.samples if sample.name == name]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        send(self.service, number)


class Rig:
    """Broker, engine, their proxies and up to three workers. ``violations`` collects what went wrong on the way."""

    def __init__(
        self,
        folder: Path,
        command: Sequence[str] = WORKER,
        clock: Path | None = None,
        settings: Mapping[str, str] = SMALL,
        stops_within: float = STOPS_WITHIN,
    ) -> None:
        self.folder = folder
        ports = [free_port() for _ in range(5)]
        self.kafka = Proxy(ports[0], ports[1])
        self.clickhouse = Proxy(ports[2], ports[3])
        behind = (ports[1], ports[0])
        self.broker = Broker(folder / "kafka", ports[4], heap=HEAP, folder=folder, behind=behind, jvm=BRIEF)
        self.engine = Service("clickhouse", folder)
        self.url = f"http://{LOOPBACK}:{ports[3]}/gris"
        self.catalogue_folder = write_catalogue(folder / "catalogue")
        self.catalogue: Catalogue = load(self.catalogue_folder)
        self.workers: list[Worker] = []
        self.violations: list[str] = []
        self.rebalances = 0
        self.slowest_stop = 0.0
        self.most_resident = 0
        self._command = command
        self._clock = clock
        self._settings = settings
        self._stops_within = stops_within
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """A client of the database, past the proxy."""
        if self._client is None:
            self._client = connect(self.url)
        return self._client

    @property
    def direct(self) -> dict[str, str]:
        """The environment of a process that is not to suffer: past the proxies."""
        return {
            "GRIS_KAFKA": self.broker.bootstrap,
            "GRIS_CLICKHOUSE": self.url,
            "GRIS_CATALOGUE": str(self.catalogue_folder),
            "GRIS_REGISTRY": "",
        }

    def start_engine(self) -> None:
        """Start the database and return when it answers."""
        port = self.clickhouse.target
        path = self.folder / "clickhouse"
        self.engine.start(
            [sys.executable, "-P", "-m", "deploy.local.clickhouse", "--path", str(path), "--port", str(port)]
        )
        self.engine.wait_ready(lambda: fetch(f"http://{LOOPBACK}:{port}/ping") is not None, READY_SECONDS)

    def prepare(self) -> None:
        """Make topics and tables."""
        migrate(self.client)
        topics.ensure(self.broker.bootstrap, specs(self.catalogue))

    def add_worker(self) -> Worker:
        """Start one more worker."""
        taken = {worker.name for worker in self.workers}
        name = next(name for at in range(1, 10) if (name := f"worker-{at}") not in taken)
        worker = Worker(name, Service(name, self.folder), free_port())
        self.workers.append(worker)
        self.start(worker)
        return worker

    def start(self, worker: Worker) -> None:
        """Start a worker's process; it takes the dead one's place in the group."""
        environment = {
            **self._settings,
            **self.direct,
            "GRIS_KAFKA": f"{LOOPBACK}:{self.kafka.port}",
            "GRIS_CLICKHOUSE": f"http://{LOOPBACK}:{self.clickhouse.port}/gris",
            "GRIS_WORKER_ID": worker.name,
            "GRIS_METRICS_PORT": str(worker.port),
        }
        if self._clock is not None:
            environment |= {
                "LD_PRELOAD": str(self._clock),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock_file),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # a clock that is set does not move the monotonic one
                "DONT_FAKE_MONOTONIC": "1",
            }
        worker.service.start(self._command, environment=environment)

    @property
    def clock_file(self) -> Path:
        """Where libfaketime reads how far the clock of the workers is off."""
        return self.folder / "clock"

    def set_clock(self, seconds: int) -> None:
        """Set the clock of the workers to so many seconds after the right time."""
        staged = self.clock_file.with_suffix(".new")
        staged.write_text(f"{seconds:+}\n")
        staged.replace(self.clock_file)

    def kill(self, worker: Worker) -> None:
        """End a worker as a crash would."""
        self.note(worker)
        worker.service.kill()

    def stop(self, worker: Worker) -> None:
        """End a worker in order, by force when it does not end; note when that is not as it must be."""
        self.note(worker)
        began = time.monotonic()
        worker.service.stop(STOP_SECONDS)
        took = time.monotonic() - began
        self.slowest_stop = max(self.slowest_stop, took)
        code = worker.service.exit_code()
        if code not in (0, -signal.SIGTERM):  # one that is still starting has no handler for it yet
            self.violations.append(f"{worker.name} ended with {code} on SIGTERM:\n{worker.service.log_tail()}")
        elif took > self._stops_within:
            self.violations.append(f"{worker.name} took {took:.1f} s to stop, {self._stops_within:.0f} s are allowed")

    def note(self, worker: Worker) -> None:
        """Take down what a worker's own counts say, before they go with it."""
        self.rebalances += round(sum(worker.metric("gris_rebalances_total")))
        self.most_resident = max(self.most_resident, peak_memory(worker))

    def dead(self) -> list[str]:
        """Name the processes that ended though nobody ended them, with their last words."""
        services = [self.broker.service, self.engine, *(worker.service for worker in self.workers)]
        return [f"{one.name} died by itself:\n{one.log_tail()}" for one in services if one.pid() is None]

    def stored(self) -> dict[str, int] | None:
        """Read the ledger's next offset by topic; None while the database does not answer."""
        try:
            return dict(self.client.query("SELECT toString(topic), next_offset FROM ledger FINAL"))
        except Retry:
            return None

    def wait_ready(self) -> None:
        """Return when every worker has opened its partitions."""
        for worker in self.workers:
            worker.service.wait_ready(worker.ready, READY_SECONDS)

    def close(self) -> None:
        """End every worker, by force where it does not end in order, and the client."""
        for worker in self.workers:
            worker.signal(signal.SIGCONT)
            worker.service.stop(STOP_SECONDS)
        if self._client is not None:
            self._client.close()


@contextlib.contextmanager
def running(
    folder: Path,
    command: Sequence[str] = WORKER,
    clock: Path | None = None,
    settings: Mapping[str, str] = SMALL,
    stops_within: float = STOPS_WITHIN,
) -> Iterator[Rig]:
    """Run all but the workers in ``folder``, which must be empty; stop all of it at the end.

    ``command`` starts a worker, with ``settings``. ``clock`` is libfaketime, where clocks are to jump. A worker that
    takes longer than ``stops_within`` seconds to stop in order is a violation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rig = Rig(folder, command, clock, settings, stops_within)
    rig.set_clock(0)
    with contextlib.ExitStack() as ending:
        ending.enter_context(rig.kafka)
        ending.enter_context(rig.clickhouse)
        ending.callback(rig.broker.stop)
        ending.callback(rig.engine.stop)
        for service in (rig.broker.service, rig.engine):
            ending.callback(send, service, signal.SIGCONT)  # an interrupted run may have left it frozen
        ending.callback(rig.close)
        rig.broker.start()
        rig.start_engine()
        rig.prepare()
        yield rig


def send(service: Service, number: signal.Signals) -> None:
    """Send a signal to a process, if it runs."""
    pid = service.pid()
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself in this moment
            os.kill(pid, number)


def peak_memory(worker: Worker) -> int:
    """Read the most memory that was resident at once, in bytes; 0 when it does not run."""
    return _memory(worker, "VmHWM:")


def resident_memory(worker: Worker) -> int:
    """Read how much memory is resident now, in bytes; 0 when it does not run."""
    return _memory(worker, "VmRSS:")


def _memory(worker: Worker, field: str) -> int:
    pid = worker.service.pid()
    if pid is None:
        return 0
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) << 10
    return 0
