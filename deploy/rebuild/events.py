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

from deploy.local.ports import LOOPBACK, free_port
from deploy.unread import Ends, unread, wanted
from schemas.catalogue import Catalogue, load
from schemas.errors import Fatal
from schemas.rules import Rules
from schemas.topics import event_topic
from sinks.clickhouse import ledger
from sinks.clickhouse.client import DATABASE, Client, connect, parted
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.settings import DatabaseSettings

LOOK_EVERY = 0.25
STOP_SECONDS = 30.0
LAST_WORDS = 15  # lines of the worker's log that are shown when it dies

Progress = Callable[[int, int], None]
"""Hears events done and events to do."""


def rebuild(settings: DatabaseSettings, database: str, progress: Progress) -> Catalogue:
    """Judge the whole log, as long as it is now, by the present catalogue into ``database``; returns the catalogue.

    The database is made when it is not there; one that an earlier run under the same rules left unfinished is carried
    on. Nothing is published and no other database is touched. Raises Retry or Fatal.
    """
    url = beside(settings.clickhouse, database)
    catalogue = load(settings.catalogue)
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
        _work_off(client, url, wanted(settings.kafka, client, names), progress)
    finally:
        client.close()
    return catalogue


def beside(url: str, database: str) -> str:
    """Name another database on the same server. Raises Fatal when it is the one in use, or cannot be one's name."""
    parts = parted(url)
    if not DATABASE.fullmatch(database):
        raise Fatal(f"{database!r} is no name of a database: letters, digits and _, a letter or _ first (--into).")
    if parts.path.strip("/") == database:
        raise Fatal(f"{database} is the database in use (GRIS_CLICKHOUSE): a rebuild goes into another one.")
    return urlunsplit(parts._replace(path=f"/{database}"))


def _work_off(client: Client, url: str, ends: Ends, progress: Progress) -> None:
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
    with _ending_in_order(), tempfile.TemporaryDirectory(prefix="gris-rebuild-") as folder:
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
            _wait(client, worker, log, ends, progress)
        finally:
            worker.terminate()
            try:
                worker.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """End on SIGTERM and SIGHUP as on an error: the worker that was started must not outlive this process."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(client: Client, worker: subprocess.Popen[bytes], log: Path, ends: Ends, progress: Progress) -> None:
    """Return when the ledger has reached the ends. Raises Fatal when the worker dies before."""
    every = sum(ends.values())
    while True:
        left = sum(unread(client, ends).values())
        progress(every - left, every)
        if not left:
            return
        if worker.poll() is not None:
            words = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_WORDS:])
            raise Fatal(f"The worker that rebuilds ended with exit code {worker.returncode}. Its last words:\n{words}")
        time.sleep(LOOK_EVERY)
