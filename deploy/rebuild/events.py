"""Everything from the log once more, into fresh tables: by the worker's own code, in a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from urllib.parse import urlunsplit

from deploy.local.ask import ask
from deploy.local.ports import LOOPBACK, free_port
from deploy.unread import Ends, unread, wanted
from schemas.catalogue import Catalogue
from schemas.errors import Fatal
from schemas.rules import Rules
from schemas.topics import event_topic
from sinks.clickhouse import ledger
from sinks.clickhouse.client import DATABASE, Client, connect, parted
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.settings import DatabaseSettings

LOOK_EVERY = 0.25
STOP_SECONDS = 30.0
QUIET_SECONDS = 5.0  # without progress, then it is told what is in the way
LAST_WORDS = 15  # lines of the worker's log that are shown when it dies

Progress = Callable[[int, int], None]
"""Hears events done and events to do."""
Say = Callable[[str], None]
"""Hears why nothing gets done, when it does not."""


def rebuild(settings: DatabaseSettings, catalogue: Catalogue, database: str, progress: Progress, say: Say) -> None:
    """Judge the whole log, as long as it is now, by ``catalogue``, which is that of the settings, into ``database``.

    The database is made when it is not there; one that an earlier run under the same rules left unfinished is carried
    on. Nothing is published and no other database is touched. Raises Retry or Fatal.
    """
    url = beside(settings.clickhouse, database)
    rules = Rules(catalogue, resources.files("schemas").joinpath("ids.json").read_bytes()).digest
    client = connect(url)
    try:
        migrate(client, replicated=settings.clickhouse_cluster)
        names = [event_topic(agency.code) for agency in catalogue.agencies]
        if any(at.rules != rules for at in ledger.read(client, names).values()):
            raise Fatal(
                f"Database {database} holds a rebuild under other rules: name another one, or drop it first"
                f" (DROP DATABASE {database})."
            )
        _work_off(client, url, wanted(settings.kafka, client, names), progress, say)
    finally:
        client.close()


def beside(url: str, database: str) -> str:
    """Name another database on the same server. Raises Fatal when it is the one in use, or cannot be one's name."""
    parts = parted(url)
    if not DATABASE.fullmatch(database):
        raise Fatal(f"{database!r} is no name of a database: letters, digits and _, a letter or _ first (--into).")
    if parts.path.strip("/") == database:
        raise Fatal(f"{database} is the database in use (GRIS_CLICKHOUSE): a rebuild goes into another one.")
    return urlunsplit(parts._replace(path=f"/{database}"))


def _work_off(client: Client, url: str, ends: Ends, progress: Progress, say: Say) -> None:
    port = free_port()
    own = {
        "GRIS_CLICKHOUSE": url,
        "GRIS_GROUP": f"gris-rebuild-{client.database}",
        "GRIS_WORKER_ID": "rebuild",
        "GRIS_METRICS_HOST": LOOPBACK,
        "GRIS_METRICS_PORT": str(port),
        "GRIS_ANNOUNCE": "false",
        # What new rules would refuse is the question here, not a mishap.
        "GRIS_GUARD_RATIO": "0",
    }
    with _ending_in_order() as leaving, tempfile.TemporaryDirectory(prefix="gris-rebuild-") as folder:
        log = Path(folder) / "worker.log"
        with log.open("wb") as out:
            worker = subprocess.Popen(
                [sys.executable, "-m", "deploy.cli", "worker"],
                env=os.environ | own,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            leaving.allow()
            obstacles = _Obstacles(port, say)
            for done, every in _progress(client, worker, log, ends):
                progress(done, every)
                obstacles.tell(done)
        finally:
            worker.terminate()
            try:
                worker.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


class _Leaving:
    """Ends this process when it is told to, but not before it is allowed to."""

    def __init__(self) -> None:
        self._allowed = False
        self._told: int | None = None

    def __call__(self, number: int, _frame: object) -> None:
        """Hear a signal."""
        self._told = number
        if self._allowed:
            self.allow()

    def allow(self) -> None:
        """End now, if that was asked for, or whenever it will be."""
        self._allowed = True
        if self._told is not None:
            sys.exit(128 + self._told)


@contextlib.contextmanager
def _ending_in_order() -> Iterator[_Leaving]:
    """End on SIGTERM and SIGHUP as on an error, once it is allowed: a worker must not outlive this process.

    While it is being started there is nobody yet who would stop it.
    """
    leaving = _Leaving()
    before = {number: signal.signal(number, leaving) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield leaving
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress(client: Client, worker: subprocess.Popen[bytes], log: Path, ends: Ends) -> Iterator[tuple[int, int]]:
    """Give events done and to do, every now and then, until all are. Raises Fatal when the worker dies before."""
    every = sum(ends.values())
    while left := sum(unread(client, ends).values()):
        yield every - left, every
        if worker.poll() is not None:
            words = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_WORDS:])
            raise Fatal(f"The worker that rebuilds ended with exit code {worker.returncode}. Its last words:\n{words}")
        time.sleep(LOOK_EVERY)
    yield every, every


class _Obstacles:
    """Tells what is in the worker's way, each thing once, while nothing gets done."""

    def __init__(self, port: int, say: Say) -> None:
        self._port = port
        self._say = say
        self._done, self._since = -1, time.monotonic()
        self._told = ""

    def tell(self, done: int) -> None:
        """Look, when nothing was done for a while."""
        now = time.monotonic()
        if done != self._done:
            self._done, self._since = done, now
        elif now - self._since > QUIET_SECONDS:
            self._since = now
            sentence = self._asked()
            if sentence != self._told:
                self._say(f"Nothing gets done. {sentence}")
                self._told = sentence

    def _asked(self) -> str:
        answer = ask(self._port, "/readyz", QUIET_SECONDS)
        return f"The worker that rebuilds {'does not answer.' if answer is None else f'says: {answer[1]}'}"
