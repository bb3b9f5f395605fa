"""The bench's own broker, engine and workers: on free ports, with all data in one folder, stopped by pid."""

import contextlib
import itertools
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy import topics
from deploy.benchmark.catalogue import write_catalogue
from deploy.benchmark.probe import Usage, usage
from deploy.local.kafka import BRIEF
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Service, poll
from deploy.local.settings import LocalSettings
from deploy.local.stack import Stack, fetch
from schemas.catalogue import Catalogue, load
from schemas.errors import Fatal
from schemas.topics import specs
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.migrate import migrate

READY_SECONDS = 90
READY_EVERY = 0.02
STOP_SECONDS = 30
DATABASE = "gris_bench"
GROUP_WAITS = {"group.initial.rebalance.delay.ms": "3000"}
"""Workers that are started together get their partitions together: none begins alone and then begins anew."""


class Worker:
    """One `gris worker` process, started by ``start`` at ``started`` (seconds since 1970)."""

    def __init__(self, name: str, settings: LocalSettings, environment: Mapping[str, str]) -> None:
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        self.service = Service(name, settings.data)
        self.started, self.pid = 0.0, 0
        self._environment = {
            "GRIS_KAFKA": settings.kafka,
            "GRIS_CLICKHOUSE": settings.clickhouse,
            "GRIS_CATALOGUE": str(settings.catalogue),
            "GRIS_REGISTRY": "",
            "GRIS_WORKER_ID": name,
            "GRIS_METRICS_PORT": str(port),
            **environment,
        }

    def start(self) -> None:
        """Start the process."""
        self.started = time.time()
        command = [sys.executable, "-P", "-m", "deploy.cli", "worker"]
        self.pid = self.service.start(command, environment=self._environment)

    def wait_ready(self) -> Usage | None:
        """Return when it has opened its partitions, with what it had used up by then."""
        before = usage(self.pid)

        def ready() -> str | None:
            nonlocal before
            now = usage(self.pid)  # asked first: once it has answered it may be working already
            if fetch(f"{self.url}/readyz") is not None:
                before = now
                return "ready"
            return "dead" if self.service.pid() is None else None

        if poll(ready, READY_SECONDS, READY_EVERY) != "ready":
            raise self.failure("did not become ready")
        return before

    def metrics(self) -> str:
        """Answer what /metrics says; a worker that has much to do may take a while."""

        def asked() -> bytes | None:
            if (body := fetch(f"{self.url}/metrics")) is None and self.service.pid() is None:
                raise self.failure("died")
            return body

        if (body := poll(asked, READY_SECONDS)) is None:
            raise self.failure("does not answer")
        return body.decode()

    def failure(self, what: str) -> Fatal:
        """Say what is wrong with it, and its last words."""
        return Fatal(f"The worker {self.service.name} {what}; its log ends with:\n{self.service.log_tail()}")


class Feed:
    """One `gris feed` process at ``url``."""

    def __init__(self, settings: LocalSettings) -> None:
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.service = Service("feed", settings.data)
        self.pid = self.service.start(
            [sys.executable, "-P", "-m", "deploy.cli", "feed"],
            environment={
                "GRIS_KAFKA": settings.kafka,
                "GRIS_CLICKHOUSE": settings.clickhouse,
                "GRIS_CATALOGUE": str(settings.catalogue),
                "GRIS_FEED_PORT": str(self.port),
            },
        )
        self.service.wait_ready(lambda: fetch(f"{self.url}/readyz") is not None, READY_SECONDS)


class Bench:
    """Broker and engine that run, with topics and tables for the bench's catalogue, and the workers started on them."""

    def __init__(self, settings: LocalSettings, catalogue: Catalogue, client: Client) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.client = client
        self.workers: list[Worker] = []
        self._databases = itertools.count(1)

    def start_workers(self, count: int, environment: Mapping[str, str] | None = None) -> None:
        """Start ``count`` workers at once, with further settings from ``environment``."""
        for number in range(1, count + 1):
            # Known before it runs: whoever ends this with Ctrl-C has it stopped too.
            self.workers.append(Worker(f"worker-{number}", self.settings, environment or {}))
            self.workers[-1].start()

    def stop_workers(self) -> None:
        """Stop every worker, in order."""
        for worker in self.workers:
            worker.service.stop(STOP_SECONDS)
        self.workers.clear()

    @contextlib.contextmanager
    def afresh(self) -> Iterator["Bench"]:
        """Give an empty database on the same engine, for one run over the same topics; it is dropped at the end."""
        name = f"{DATABASE}_{next(self._databases)}"
        base = self.settings.clickhouse.rpartition("/")[0]
        settings = self.settings.model_copy(update={"clickhouse": f"{base}/{name}"})
        client = connect(settings.clickhouse)
        try:
            migrate(client)
            bench = Bench(settings, self.catalogue, client)
            try:
                yield bench
            finally:
                bench.stop_workers()
                client.command(f"DROP DATABASE {name} SYNC", in_database=False)
        finally:
            client.close()


@contextlib.contextmanager
def running(folder: Path, partitions: int = 1) -> Iterator[Bench]:
    """Run everything but the workers in ``folder``, which must be empty; stop all of it at the end, workers first."""
    settings = LocalSettings(
        kafka=f"{LOOPBACK}:{free_port()}",
        clickhouse=f"http://{LOOPBACK}:{free_port()}/{DATABASE}",
        catalogue=write_catalogue(folder / "catalogue", partitions),
        data=folder,
    )
    stack = Stack(settings)
    # Java's optimising compiler would take a third of a core for as long as the bench lasts.
    stack.broker.properties, stack.broker.jvm = GROUP_WAITS, BRIEF
    with contextlib.ExitStack() as ending:
        for name in ("kafka", "clickhouse"):
            ending.callback(stack.stop, name)
        stack.start_kafka()
        stack.start_clickhouse()
        client = connect(settings.clickhouse)
        ending.callback(client.close)
        migrate(client)
        catalogue = load(settings.catalogue)
        topics.ensure(settings.kafka, specs(catalogue))
        bench = Bench(settings, catalogue, client)
        ending.callback(bench.stop_workers)
        yield bench
