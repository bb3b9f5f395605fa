"""A real ClickHouse engine for tests: the local stack's server as a process, on a free port, its data in a folder."""

import contextlib
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from deploy.local.ports import free_port
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import migrate
from tests.support.wait import wait_for

STARTED_WITHIN = 60.0
STOPPED_WITHIN = 30.0
CHECKOUT = Path(__file__).parents[2]


class LocalClickHouse:
    """One server process that can be killed and started again on the same folder and port."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    @property
    def url(self) -> str:
        """Its address, without a database."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the process and wait until it answers."""
        command = [sys.executable, "-m", "deploy.local.clickhouse", "--path", str(self.path), "--port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=CHECKOUT, text=True, stdout=subprocess.DEVNULL)
        try:
            wait_for(self._answers_or_ended, "ClickHouse to answer", within=STARTED_WITHIN)
        except AssertionError:
            self.kill()
            raise

    def _answers_or_ended(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"ClickHouse ended with {self.process.returncode} before it answered"
        return answers(self.url)

    def stop(self) -> int:
        """End it by SIGTERM; returns its exit code."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End it by SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


def answers(url: str) -> bool:
    """Tell whether a server says Ok to /ping."""
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=2) as response:  # noqa: S310 - our own http address
            return bool(response.read() == b"Ok.\n")
    except (urllib.error.URLError, OSError):
        return False


@contextlib.contextmanager
def running_clickhouse(path: Path) -> Iterator[str]:
    """Run a server with its data in ``path``; gives its URL without a database."""
    with LocalClickHouse(path) as server:
        yield server.url
        server.stop()


@contextlib.contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """Make a migrated database of its own on ``server``; gives its URL, and drops it at the end."""
    url = f"{server}/t{uuid.uuid4().hex[:12]}"
    client = connect(url)
    try:
        migrate(client)
        yield url
    finally:
        client.command(f"DROP DATABASE IF EXISTS {client.database} SYNC", in_database=False)
        client.close()
