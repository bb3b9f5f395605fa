"""A worker on a real database without broker and Faust: its parts, fed from lists and heard by a list."""

import asyncio
import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from schemas.catalogue import load
from schemas.codec import EventCodec
from schemas.errors import Fatal
from schemas.partition import partition_for
from schemas.registry import BundledSchemas
from schemas.rules import Rules
from schemas.topics import event_topic
from sinks.clickhouse.client import connect
from streams.aggregate import Aggregator
from streams.announce import Messages
from streams.blocks import Fetched
from streams.broker import Identity
from streams.flush import Flusher
from streams.health import Health
from streams.metrics import Metrics
from streams.opening import Opener
from streams.settings import Step, WorkerSettings
from streams.threads import Threads
from streams.validate import Validator
from tests.support.batches import Said, batch, fetched
from tests.support.judging import NOW, SCHEMA_IDS
from tests.support.wire import Event, frame


class Died(Exception):
    """The worker died where it was told to."""


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A record as the broker would hand it out."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = NOW
    headers: Sequence[tuple[str, bytes]] = ()


class Logs:
    """The event topics of one cluster."""

    def __init__(self) -> None:
        self.records: dict[TP, list[Record]] = {}

    def say(self, events: Iterable[Event], *, partitions: Mapping[str, int] | None = None) -> None:
        """Append events to the topics of the agencies that their codes name."""
        for event in events:
            code = str(event["indicator"])
            agency = code[:3].lower()
            place = TP(event_topic(agency), partition_for(code.encode(), (partitions or {}).get(agency, 1)))
            log = self.records.setdefault(place, [])
            log.append(Record(len(log), code.encode(), frame(event)))

    def ends(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Answer where each log ends."""
        return {tp: len(self.records.get(tp, ())) for tp in tps}


class Announced:
    """Hears what is announced, and keeps of each line the last message."""

    def __init__(self) -> None:
        self.lines: dict[bytes, bytes] = {}
        self.rejects: list[bytes] = []

    async def fence(self, tps: Iterable[TP]) -> None:
        """Nobody else is there."""

    def release(self) -> None:
        """Nobody else is there."""

    async def send(self, messages: Mapping[TP, Messages]) -> None:
        """Keep what is said."""
        for said in messages.values():
            self.rejects += [line.key for line in said.rejects]
            self.lines |= {line.key: line.value for line in said.lines}

    async def close(self) -> None:
        """Nothing is open."""


class _Consumer:
    """What an opening asks of the consumer, answered from the lists."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self.opened: Mapping[TP, int] = {}
        self.openings: Mapping[TP, int] = {}
        self.hooks = SimpleNamespace(fatal=self._fatal)

    async def ends(self, tps: Sequence[TP]) -> tuple[Mapping[TP, int], Mapping[TP, int]]:
        return dict.fromkeys(tps, 0), self._logs.ends(tps)

    def reserve(self, tps: Iterable[TP]) -> dict[TP, int]:
        return dict(zip(tps, itertools.count(1)))

    async def open(self, start: Mapping[TP, int], openings: Mapping[TP, int]) -> None:
        self.opened, self.openings = start, openings

    async def _fatal(self, fatal: Fatal) -> None:
        raise fatal


class _Flusher(Flusher):
    """A flusher that raises where the real one kills its process."""

    def _passed(self, step: Step) -> None:
        if self._settings.fault_stop_after == step:
            raise Died


def work(
    url: str,
    folder: Path,
    logs: Logs,
    announced: Announced,
    *,
    die_after: Step | None = None,
    block: int = 7,
    partitions: Mapping[str, int] | None = None,
) -> None:
    """Work the logs off from the ledger of the database at ``url`` under the catalogue in ``folder``.

    Blocks of ``block`` records; a flush at the end. Raises Fatal, and Died after the step at which it is to die.
    """
    asyncio.run(_work(url, folder, logs, announced, die_after, block, partitions or {}))


async def _work(
    url: str,
    folder: Path,
    logs: Logs,
    announced: Announced,
    die_after: Step | None,
    block: int,
    partitions: Mapping[str, int],
) -> None:
    settings = WorkerSettings.model_validate(
        {"clickhouse": url, "catalogue": folder, "fault_stop_after": die_after, "guard_agencies": 0}
    )
    catalogue = load(folder)
    rules = Rules(catalogue, SCHEMA_IDS)
    health, metrics, threads = Health(), Metrics(), Threads()
    counts = {event_topic(agency.code): partitions.get(agency.code, 1) for agency in catalogue.agencies}
    tps = [TP(topic, at) for topic, count in counts.items() for at in range(count)]
    topics = {topic: Identity(f"id of {topic}", count) for topic, count in counts.items()}
    client = connect(url)
    aggregator = Aggregator(settings, catalogue, client, threads, health, metrics)
    storing = asyncio.Lock()
    validator = Validator(rules, EventCodec(BundledSchemas()), counts, block, threads, health, metrics)
    flusher = _Flusher(settings, aggregator, client, announced, storing, threads, health, metrics)
    opener = Opener(
        settings,
        catalogue,
        topics,
        lambda: topics,
        rules.digest,
        client,
        aggregator,
        announced,
        storing,
        threads,
        health,
        metrics,
    )
    consumer: Any = _Consumer(logs)
    try:
        await opener._open(consumer, tps)
        for tp in tps:
            answer = _fetched(tp, consumer.openings[tp], consumer.opened[tp], logs)
            async for judged in validator.judge(answer):
                await aggregator.fold(judged)
        await flusher.flush()
    finally:
        threads.close()
        client.close()


def _fetched(tp: TP, opening: int, start: int, logs: Logs) -> Fetched:
    records = logs.records.get(tp, [])
    said = [Said(one.offset, one.key, one.value, one.timestamp, one.headers) for one in records]
    batches, end = fetched(batch(0, said), start) if said else ([], start)
    return Fetched(tp, opening, batches, start, end, end)
