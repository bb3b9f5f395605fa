"""What must hold after a run, whatever broke: every violation in a sentence."""

import asyncio
import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar
from urllib.request import ProxyHandler, build_opener

from deploy import topics
from deploy.benchmark.expected import Expected
from deploy.benchmark.stack import Bench
from deploy.benchmark.verdict import differences
from deploy.benchmark.workload import TOPICS
from deploy.faults.rig import Rig, Worker, peak_memory, resident_memory
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Service, poll
from deploy.local.settings import LocalSettings
from deploy.local.stack import fetch
from sinks.feed.line import Line, from_message, from_rows, text_of
from sinks.feed.lines import LineReader, Record

T = TypeVar("T")

SHOWN = 5
READ_SECONDS = 0.5
READY_SECONDS = 60
STREAM_SECONDS = 60
MOST_RESIDENT = 600 << 20  # bytes a worker may have resident

Key = tuple[int, str, str]  # bucket (epoch day), indicator, breakdown

ROWS = """
SELECT toInt32(bucket), toString(indicator), toString(breakdown), version, toUnixTimestamp64Milli(updated_at),
    toString(status), flags, toString(area), toInt64(value * 10000), toInt64(min * 10000), toInt64(max * 10000),
    areas_reported, areas_expected, cells
FROM day_totals FINAL
ORDER BY bucket, indicator, breakdown, area
"""


def violations(rig: Rig, expected: Expected) -> Iterator[str]:
    """Name what does not hold of a rig whose workers have caught up; nothing when all does."""
    yield from _log(rig, expected)
    settings = LocalSettings(
        kafka=rig.broker.bootstrap, clickhouse=rig.url, catalogue=rig.catalogue_folder, data=rig.folder
    )
    yield from differences(Bench(settings, rig.catalogue, rig.client), expected)
    stored = _stored(rig)
    records = asyncio.run(_daily(rig.broker.bootstrap))
    yield from _last_records(records, stored)
    yield from _replay(rig, records, stored)
    yield from _workers(rig)


def _log(rig: Rig, expected: Expected) -> Iterator[str]:
    ends = topics.ends(rig.broker.bootstrap, TOPICS)
    for topic, records in zip(TOPICS, expected.records, strict=True):
        if ends[topic, 0] != records:
            yield f"the broker holds {ends[topic, 0]:,} records of {topic}, {records:,} were confirmed"


def _stored(rig: Rig) -> dict[Key, Line]:
    """Read day_totals as lines."""
    lines: dict[Key, list[tuple[object, ...]]] = {}
    for row in rig.client.query(ROWS):
        lines.setdefault(row[:3], []).append(row)
    return {key: from_rows(rows) for key, rows in lines.items()}


async def _daily(bootstrap: str) -> list[Record]:
    """Read gris.daily from its beginning to its end."""
    records: list[Record] = []
    async with LineReader.opened(bootstrap) as reader:
        bounds = await reader.bounds()
        reader.seek(bounds.start)
        while await reader.position() < bounds.end:
            records += await reader.read(READ_SECONDS)
    return records


def _last_records(records: Sequence[Record], stored: Mapping[Key, Line]) -> Iterator[str]:
    """Hold the last record of every key against the highest version of the key, and against day_totals."""
    last: dict[bytes, Line] = {}
    highest: dict[bytes, int] = {}
    for record in records:
        line = from_message(record.value)
        last[record.key] = line
        highest[record.key] = max(line.version, highest.get(record.key, 0))
    older = [key for key, line in last.items() if line.version < highest[key]]
    yield from _some(
        older,
        lambda key: (
            f"the last record of {key.decode()} in gris.daily has version {last[key].version}, there is {highest[key]}"
        ),
    )
    said = {(line.day, line.indicator, line.breakdown): _content(line) for line in last.values()}
    known = {key: _content(line) for key, line in stored.items()}
    wrong = sorted(key for key in said.keys() | known.keys() if said.get(key) != known.get(key))
    yield from _some(wrong, lambda key: f"the last record of {key} in gris.daily is not what day_totals holds")


def _replay(rig: Rig, records: Sequence[Record], stored: Mapping[Key, Line]) -> Iterator[str]:
    """Replay the stream of a feed from its beginning: it must end in the state of day_totals."""
    if not records:
        yield "gris.daily is empty"
        return
    state: dict[tuple[str, str, str], dict[str, object]] = {}
    before = -1
    for number, data in _stream(rig, records[-1].offset):
        if number <= before:
            yield f"the stream has the id {number} after {before}"
        before = number
        line = json.loads(data)
        key = line["bucket"], line["indicator"], line["breakdown"]
        if key not in state or line["version"] >= state[key]["version"]:
            state[key] = line
    known = [json.loads(text_of(line, rig.catalogue).whole) for line in stored.values()]
    wanted = {(line["bucket"], line["indicator"], line["breakdown"]): _undated(line) for line in known}
    found = {key: _undated(line) for key, line in state.items()}
    wrong = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
    yield from _some(wrong, lambda key: f"the stream's last word on {key} is not what day_totals holds")


def _stream(rig: Rig, last: int) -> Iterator[tuple[int, str]]:
    """Start a feed and read its stream from the beginning up to the event ``last``: ids and data."""
    port = free_port()
    feed = Service("feed", rig.folder)
    feed.start(
        [sys.executable, "-P", "-m", "deploy.cli", "feed"], environment={**rig.direct, "GRIS_FEED_PORT": str(port)}
    )
    with contextlib.ExitStack() as ending:
        ending.callback(feed.stop)
        feed.wait_ready(lambda: fetch(f"http://{LOOPBACK}:{port}/readyz") is not None, READY_SECONDS)
        url = f"http://{LOOPBACK}:{port}/v1/daily/stream?after=-1"
        answer = ending.enter_context(build_opener(ProxyHandler({})).open(url, timeout=STREAM_SECONDS))
        number = -1
        for line in map(bytes.decode, answer):
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "id":
                number = int(value)
            elif name == "data":
                yield number, value
                if number >= last:
                    return


def _workers(rig: Rig) -> Iterator[str]:
    """Look at every worker: alive, ready, nothing behind, nothing unaccounted for, memory within its bounds."""
    yield from rig.dead()
    running = [worker for worker in rig.workers if worker.service.pid() is not None]

    def told() -> int:
        return sum(len(worker.metric("gris_lag_events")) for worker in running)

    # Each is told of some seconds after it was opened.
    if not poll(lambda: told() == len(TOPICS), READY_SECONDS):
        yield f"the workers say of {told()} partitions whether they lag, there are {len(TOPICS)}"
    for worker in running:
        yield from _worker(worker)


def _worker(worker: Worker) -> Iterator[str]:
    if not poll(worker.ready, READY_SECONDS):
        yield f"{worker.name} is not ready, though nothing is in its way any more: it says {worker.ask('/readyz')}"
    for metric in ("gris_lag_events", "gris_lag_seconds", "gris_conservation_difference"):
        if any(said := worker.metric(metric, READY_SECONDS)):
            yield f"{worker.name} says {metric} {said}"
    for kind, used in (("has", resident_memory(worker)), ("had", peak_memory(worker))):
        if used > MOST_RESIDENT:
            yield f"{worker.name} {kind} {used >> 20} MiB resident, {MOST_RESIDENT >> 20} are allowed"


def _content(line: Line) -> Line:
    """Leave out what two flushes of the same state may say differently, and any order of areas."""
    return dataclasses.replace(
        line, version=0, updated_at=0, areas=tuple(sorted(line.areas, key=lambda area: area.area))
    )


def _undated(line: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in line.items() if name not in ("version", "updated_at")}


def _some(wrong: Sequence[T], sentence: Callable[[T], str]) -> Iterator[str]:
    yield from map(sentence, wrong[:SHOWN])
    if len(wrong) > SHOWN:
        yield f"and {len(wrong) - SHOWN:,} more like that"
