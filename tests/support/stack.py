"""The whole system for tests: broker, database engine, workers and feed as real processes, on free ports, by pid."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from deploy import topics as broker
from deploy.local.kafka import Broker
from deploy.local.ports import free_port
from schemas import topics
from schemas.catalogue import Catalogue, load
from schemas.errors import Retry
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import migrate
from streams.readable import readable_ends
from tests.support.clickhouse import LocalClickHouse
from tests.support.feed import served
from tests.support.kafka import running_kafka
from tests.support.wait import wait_for

START_SECONDS = 60.0
STOP_SECONDS = 30.0
CHECK_SECONDS = 300.0


class Process:
    """One `gris …` process: output in a file, stopped or killed by its own pid."""

    def __init__(self, log: Path, environment: Mapping[str, str], *arguments: str, folder: Path | None = None) -> None:
        self.log = log
        with log.open("ab") as out:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "deploy.cli", *arguments],
                env=os.environ | environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._child.pid

    def alive(self) -> bool:
        """Tell whether it still runs."""
        return self._child.poll() is None

    def kill(self) -> None:
        """End it as a crash would."""
        self._child.kill()
        self._child.wait(STOP_SECONDS)

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._child.send_signal(number)

    def ended(self, within: float) -> int:
        """Wait for its end and answer its exit code; kill it, and fail, when it takes over ``within`` seconds."""
        try:
            return self._child.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"a process did not end within {within:.0f} s: {self.tail()}") from None

    def heeds(self, number: signal.Signals) -> bool:
        """Tell whether the process handles this signal itself by now, or is gone."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        caught = next((line for line in status.splitlines() if line.startswith("SigCgt")), "SigCgt: 0")
        return not self.alive() or bool(int(caught.split()[1], 16) >> (number - 1) & 1)

    def pause(self) -> None:
        """Let it stand still (SIGSTOP), as a machine that stalls."""
        self._child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run on (SIGCONT)."""
        self._child.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """End it in order and answer its exit code; by force when it does not end in time."""
        if self.alive():
            self._child.send_signal(signal.SIGTERM)
        try:
            return self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"a process did not stop on SIGTERM within {STOP_SECONDS:.0f} s: {self.tail()}"
            ) from None

    def tail(self, lines: int = 20) -> str:
        """Answer the end of what it said."""
        return "\n".join(line[:400] for line in self.log.read_text(errors="replace").splitlines()[-lines:])


class Stack:
    """Broker and database that run already, and the workers and the feed one starts on them."""

    def __init__(
        self, folder: Path, kafka: Broker, engine: LocalClickHouse, catalogue: Path | None, database: str = "gris"
    ) -> None:
        self.folder = folder
        self.kafka = kafka
        self.engine = engine
        self.bootstrap = kafka.bootstrap
        self.database = database
        self.clickhouse = f"{engine.url}/{database}"
        self.catalogue: Catalogue = load(catalogue)
        self.environment = {"GRIS_KAFKA": self.bootstrap, "GRIS_CLICKHOUSE": self.clickhouse}
        if catalogue is not None:
            self.environment["GRIS_CATALOGUE"] = str(catalogue)
        self.metrics: dict[str, str] = {}
        self.feed_url = ""
        self.processes: list[Process] = []
        self._http = httpx.Client(timeout=30)

    def prepare(self) -> None:
        """Make the topics and the tables."""
        broker.ensure(self.bootstrap, topics.specs(self.catalogue))
        client = connect(self.clickhouse)
        migrate(client)
        client.close()

    def run(self, *arguments: str, within: float = CHECK_SECONDS, code: int = 0) -> str:
        """Run a `gris` command to its end; it must exit with ``code``. Answers what it printed."""
        ran = subprocess.run(
            [sys.executable, "-m", "deploy.cli", *arguments],
            env=os.environ | self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=within,
        )
        assert ran.returncode == code, (
            f"gris {' '.join(arguments)} exited {ran.returncode}:\n{ran.stdout}\n{ran.stderr}"
        )
        return ran.stdout

    def worker(
        self, name: str = "worker-1", settings: Mapping[str, str] | None = None, *, ready: bool = True
    ) -> Process:
        """Start a worker; a worker of the same name takes the dead one's place in the group."""
        port = free_port()
        own = {"GRIS_WORKER_ID": name, "GRIS_METRICS_PORT": str(port), **(settings or {})}
        process = self._start(name, own, "worker")
        self.metrics[name] = f"http://127.0.0.1:{port}"
        if ready:
            self.wait_ready(process, f"{self.metrics[name]}/readyz")
        return process

    def feed(self) -> Process:
        """Start the feed."""
        port = free_port()
        process = self._start("feed", {"GRIS_FEED_PORT": str(port)}, "feed")
        self.feed_url = f"http://127.0.0.1:{port}"
        self.wait_ready(process, f"{self.feed_url}/readyz")
        return process

    def wait_ready(self, process: Process, url: str) -> None:
        """Return when the process says it is ready; fail with its last words when it dies or takes too long."""

        def ready() -> bool:
            assert process.alive(), "it died while starting"
            with contextlib.suppress(httpx.TransportError):
                return self._http.get(url).status_code == httpx.codes.OK
            return False

        try:
            wait_for(ready, f"{url} to be ready", within=START_SECONDS)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{process.tail()}") from late

    def get(self, path: str) -> httpx.Response:
        """Ask the feed, again while it says "later"."""
        return served(lambda: self._http.get(f"{self.feed_url}{path}"))

    def metric(self, name: str, metric: str, **labels: str) -> float | None:
        """Ask a worker for one of its metrics, with all these labels; None when it has no such."""
        text = self._http.get(f"{self.metrics[name]}/metrics").text
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        for line in text.splitlines():
            if line.startswith(f"{metric}{{") and all(label in line for label in wanted):
                return float(line.rpartition(" ")[2])
        return None

    def query(self, sql: str) -> list[list[Any]]:
        """Ask ClickHouse over its plain HTTP interface: rows of JSON values, 64-bit integers as numbers."""
        rows: list[list[Any]] = json.loads(self.command(f"{sql} FORMAT JSONCompact"))["data"]
        return rows

    def command(self, sql: str) -> bytes:
        """Have ClickHouse run a statement; answers what it said."""
        answer = self._http.post(
            self.engine.url,
            params={"database": self.database, "output_format_json_quote_64bit_integers": "0"},
            content=sql.encode(),
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.content

    def ledger(self) -> dict[tuple[str, int], tuple[int, int, int, int]]:
        """Read next_offset, accepted, rejected, skipped by topic and partition."""
        rows = self.query("SELECT topic, partition, next_offset, accepted, rejected, skipped FROM ledger FINAL")
        return {(row[0], row[1]): (row[2], row[3], row[4], row[5]) for row in rows}

    def stored(self) -> int:
        """Count the records the ledger has passed."""
        return sum(row[0] for row in self.ledger().values())

    def ends(self) -> dict[tuple[str, int], int]:
        """Ask the broker where the event topics end."""
        return broker.ends(
            self.bootstrap, [spec.name for spec in topics.specs(self.catalogue) if "events" in spec.name]
        )

    def wait_caught_up(self, *, within: float = 120.0, alive: Sequence[Process] = ()) -> None:
        """Return when the ledger has reached all that can be read of the event topics now.

        ``alive`` must not die meanwhile.
        """
        found = wait_for(self._readable_ends, "the broker to answer", within=60)
        ends = {place: end for place, end in found.items() if end}

        def caught_up() -> bool:
            for process in alive:
                assert process.alive(), f"a worker died:\n{process.tail()}"
            ledger = self.ledger()
            return all(place in ledger and ledger[place][0] >= end for place, end in ends.items())

        try:
            wait_for(caught_up, f"the ledger to reach {ends}", within=within, every=0.1)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.ledger()}\n" + "\n".join(p.tail() for p in alive)) from late

    def stop(self) -> None:
        """End every process that was started and still runs."""
        self._http.close()
        for process in reversed(self.processes):
            if process.alive():
                process.resume()
                process.stop()

    def _readable_ends(self) -> dict[tuple[str, int], int] | None:
        with contextlib.suppress(Retry):
            ends, read = self.ends(), {place: row[0] for place, row in self.ledger().items()}
            behind = {place: read.get(place, 0) for place, end in ends.items() if end > read.get(place, 0)}
            if behind:
                # In a thread: in tests of the browser, this one has an event loop already.
                with ThreadPoolExecutor(1) as aside:
                    ends |= aside.submit(asyncio.run, readable_ends(self.bootstrap, behind)).result()
            return ends
        return None

    def _start(self, name: str, settings: Mapping[str, str], *arguments: str) -> Process:
        process = Process(self.folder / f"{name}.log", {**self.environment, **settings}, *arguments)
        self.processes.append(process)
        return process


@contextlib.contextmanager
def running_stack(folder: Path, catalogue: Path | None = None) -> Iterator[Stack]:
    """Run a broker and a database, migrated and with the topics of ``catalogue`` (None: the bundled one)."""
    engine = LocalClickHouse(folder / "clickhouse")
    with running_kafka(folder / "kafka") as kafka:
        stack = Stack(folder, kafka, engine, catalogue)
        try:
            engine.start()
            stack.prepare()
            yield stack
        except AssertionError as failed:
            for process in stack.processes:
                failed.add_note(f"{process.log.name} ended with:\n{process.tail()}")
            raise
        finally:
            stack.stop()
            if engine.process is not None and engine.process.poll() is None:
                engine.stop()
