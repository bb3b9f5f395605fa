"""`gris up` and `gris down`: the order in which the parts start and stop, and what must be true before and after."""

import contextlib
import errno
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path

from deploy import topics
from deploy.local.process import poll
from deploy.local.settings import LocalSettings
from deploy.local.stack import STARTED, Stack
from deploy.unread import unread, wanted
from schemas.catalogue import load
from schemas.errors import Fatal
from schemas.period import LOCAL
from schemas.topics import DAILY, event_topic, specs
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import migrate

GIB = 1 << 30
FREE_BYTES = GIB
REPORT_SECONDS = 180
STOP_ORDER = ("feed", "worker", "clickhouse", "kafka")

Say = Callable[[str], None]


def up(settings: LocalSettings, *, bare: bool, sample: bool, say: Say) -> None:
    """Start what is missing and return when all is ready; with ``bare`` only broker, database, tables and topics.

    Harmless to repeat: what runs is left alone, what an earlier call did not reach is completed, the sample week is
    published once. Raises Fatal with the remedy.
    """
    stack = Stack(settings)
    with only_one(stack.data):
        check_space(stack.data)
        _together(say, ("Kafka", stack.start_kafka), ("ClickHouse", stack.start_clickhouse))
        _prepare(settings, say)
        if not bare:
            _together(say, ("Worker", stack.start_worker), ("Feed", stack.start_feed))
            if sample:
                _publish_sample(stack, say)
    say(closing_words(settings, bare=bare))


def down(settings: LocalSettings, say: Say) -> None:
    """Stop what `up` started from this checkout, last started first; the data stay."""
    stack = Stack(settings)
    with only_one(stack.data):
        for name in STOP_ORDER:
            began = time.monotonic()
            if stack.stop(name):
                say(f"{name} stopped ({time.monotonic() - began:.1f} s).")
            else:
                say(f"{name} was not running.")


@contextlib.contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Hold the lock of ``data``; Fatal when another `up` or `down` has it. A dead holder's lock is free by itself."""
    with disk_errors(data):
        (data / "run").mkdir(parents=True, exist_ok=True)
        lock = (data / "run" / "lock").open("a+")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Fatal(
                f"Another `gris up` or `gris down` (pid {lock.read().strip()}) is at work: wait for it."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        with disk_errors(data):
            yield


@contextlib.contextmanager
def disk_errors(data: Path) -> Iterator[None]:
    """Say what a full or unwritable disk means and what to do about it."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Fatal(
                f"The disk of {data} is full: free some space, or set GRIS_DATA to a folder elsewhere."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Fatal(f"{error.filename or data} cannot be written: correct its owner, or set GRIS_DATA.") from error
        raise


def check_space(data: Path, free: int | None = None) -> None:
    """Fatal when the disk of ``data`` has less room than Kafka and ClickHouse need to begin with."""
    free = shutil.disk_usage(data).free if free is None else free
    if free < FREE_BYTES:
        raise Fatal(
            f"Only {free / GIB:.1f} GiB are free on the disk of {data}, {FREE_BYTES / GIB:.0f} GiB are needed: "
            "free some space, or set GRIS_DATA to a folder elsewhere."
        )


def closing_words(settings: LocalSettings, *, bare: bool) -> str:
    """Say where everything is and what to try."""
    clickhouse = settings.engine_url
    places = [f"  Kafka       {settings.broker}", f"  ClickHouse  {clickhouse}, database gris"]
    query = f"curl '{clickhouse}/?database=gris' -d 'SHOW TABLES'"
    if bare:
        return "\n".join(["", "Broker and database are ready.", "", *places, "", "Try:", f"  {query}"])
    report = f"http://{settings.feed}"
    return "\n".join(
        [
            "",
            "GRIS is ready.",
            "",
            f"  Report      {report}/",
            *places,
            f"  Metrics     http://{settings.worker_metrics}/metrics, {report}/metrics",
            "",
            "Try:",
            f"  curl {report}/v1/daily/{sample_day()}",
            f"  curl -N {report}/v1/daily/stream     (lines as they change)",
            "  .venv/bin/gris check     (nothing lost, doubled or added up wrongly)",
            "",
            "Stop it with ./deploy/down; the data stay.",
        ]
    )


def sample_day() -> date:
    """Answer the last day of the sample week: yesterday in Viet Nam."""
    return datetime.now(LOCAL).date() - timedelta(days=1)


def _together(say: Say, *parts: tuple[str, Callable[[], str]]) -> None:
    """Start several parts at the same time; the first error wins once all have ended."""

    def timed(part: tuple[str, Callable[[], str]]) -> None:
        title, start = part
        began = time.monotonic()
        how = start()
        say(f"{title} {how} ({time.monotonic() - began:.1f} s)." if how == STARTED else f"{title} {how}.")

    with ThreadPoolExecutor(len(parts)) as threads:
        for done in [threads.submit(timed, part) for part in parts]:
            done.result()


def _prepare(settings: LocalSettings, say: Say) -> None:
    with contextlib.closing(connect(settings.clickhouse)) as client:
        applied = migrate(client, replicated=settings.clickhouse_cluster)
    created = topics.ensure(settings.kafka, specs(load(settings.catalogue)), settings.replication)
    say(f"Tables: {f'{len(applied)} migrations applied' if applied else 'up to date'}.")
    say(f"Topics: {f'{len(created)} made' if created else 'all there'}.")


def _publish_sample(stack: Stack, say: Say) -> None:
    settings = stack.settings
    names = event_topics(settings)
    mark = stack.data / "run" / "sample-is-in"
    # The mark alone would lie when the broker's data were deleted, the log alone when publishing was cut short.
    if mark.exists() and mark.read_text() == settings.kafka and any(topics.ends(settings.kafka, names).values()):
        say("The sample week is published already.")
    else:
        say("Publishing the sample week …")
        command = [sys.executable, "-P", "-m", "deploy.cli", "sample", "--out", str(stack.data / "sample")]
        if subprocess.run(command, check=False).returncode != 0:
            raise Fatal("The sample week could not be published (see above); `gris up --no-sample` goes without it.")
        mark.write_text(settings.kafka)
    _await_report(stack, names, say)


def _await_report(stack: Stack, names: Sequence[str], say: Say) -> None:
    """Return when every event that is in the log now is stored, and the feed has read every line that came of them."""
    settings = stack.settings
    worker, feed = stack.services["worker"], stack.services["feed"]
    began = time.monotonic()
    with contextlib.closing(connect(settings.clickhouse)) as client:
        ends = wanted(settings.kafka, client, names)
        poll(lambda: worker.pid() is None or not unread(client, ends), REPORT_SECONDS, every=0.25)
        left = sum(unread(client, ends).values())
    if left:
        raise Fatal(f"The worker has not stored {left:,} events yet; {worker.log_file} ends with:\n{worker.log_tail()}")
    last = max(topics.ends(settings.kafka, [DAILY]).values()) - 1

    def shown() -> bool:
        report = stack.report(f"/v1/daily/{sample_day()}?area=VN")
        return report is not None and report["cursor"] >= last

    if not poll(shown, REPORT_SECONDS, every=0.25):
        raise Fatal(f"The feed does not show what is stored; {feed.log_file} ends with:\n{feed.log_tail()}")
    say(f"{sum(ends.values()):,} events are stored and in the report ({time.monotonic() - began:.1f} s).")


def event_topics(settings: LocalSettings) -> list[str]:
    """Name the topics of events of every agency of the catalogue."""
    return [event_topic(agency.code) for agency in load(settings.catalogue).agencies]
