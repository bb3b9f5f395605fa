"""Open assigned partitions where the ledger says, once it is sure that they are the logs that the ledger speaks of."""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence

import structlog
from faust.types import TP

from schemas.errors import Fatal
from schemas.topics import agency_of
from sinks.clickhouse import ledger, queries
from sinks.clickhouse.client import Client
from sinks.clickhouse.ledger import Position
from streams.aggregate import Aggregator
from streams.blocks import Consumer
from streams.broker import Identity
from streams.health import Health
from streams.metrics import Metrics
from streams.threads import Threads

log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Start:
    """Where a partition starts and which buckets ClickHouse holds of it."""

    position: Position
    days: Sequence[int]


class Opener:
    """Opens what is assigned, in the background: an absent database delays it and nothing else."""

    def __init__(
        self,
        topics: Mapping[str, Identity],
        rules: str,
        client: Client,
        aggregator: Aggregator,
        threads: Threads,
        health: Health,
        metrics: Metrics,
    ) -> None:
        self._topics = topics
        self._rules = rules
        self._client = client
        self._aggregator = aggregator
        self._threads = threads
        self._health = health
        self._metrics = metrics
        self._task: asyncio.Task[None] | None = None

    def assigned(self, consumer: Consumer, tps: frozenset[TP]) -> None:
        """Open partitions anew: everything known of a former assignment is forgotten."""
        self.revoked()
        self._metrics.rebalances.inc()
        self._task = asyncio.ensure_future(self._open(consumer, sorted(tps)))

    def revoked(self) -> None:
        """Close everything: another worker may read on from the ledger at once."""
        self._health.opened = False
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._aggregator.close()

    async def _open(self, consumer: Consumer, tps: Sequence[TP]) -> None:
        try:
            starts = await self._health.persist("reading the ledger", lambda: self._threads.database(self._starts, tps))
            if tps:
                begins, ends = await consumer.ends(tps)
                for tp in tps:
                    _in_log(starts[tp].position, begins[tp], ends[tp])
                openings = await consumer.open({tp: starts[tp].position.next_offset for tp in tps})
                for tp in tps:
                    agency = agency_of(tp.topic) or ""
                    self._aggregator.open(tp, openings[tp], agency, starts[tp].position, starts[tp].days)
            self._health.opened = True
            log.info("partitions_opened", partitions=len(tps))
        except Fatal as fatal:
            await consumer.hooks.fatal(fatal)

    def _starts(self, tps: Sequence[TP]) -> dict[TP, Start]:
        written = ledger.read(self._client, sorted({tp.topic for tp in tps})) if tps else {}
        starts = {}
        for tp in tps:
            identity = self._topics[tp.topic]
            position = written.get((tp.topic, tp.partition))
            if position is None:
                position = Position(
                    tp.topic, tp.partition, 0, 0, 0, 0, self._rules, identity.topic_id, identity.partitions
                )
            _same_topic(position, identity)
            days = queries.stored_days(self._client, tp.topic, tp.partition, position.next_offset)
            starts[tp] = Start(dataclasses.replace(position, rules=self._rules), days)
        return starts


def _same_topic(position: Position, identity: Identity) -> None:
    if position.topic_id != identity.topic_id:
        raise Fatal(
            f"Topic {position.topic} is not the one that the ledger speaks of: it was deleted and made again, so its"
            " offsets mean other records now. Restore the topic, or rebuild into fresh tables."
        )
    if position.partitions != identity.partitions:
        raise Fatal(
            f"Topic {position.topic} has {identity.partitions} partitions, the ledger knows {position.partitions}: its"
            " keys lie elsewhere now. Rebuild into fresh tables; partitions of a topic in use are never added."
        )


def _in_log(position: Position, begin: int, end: int) -> None:
    place = f"partition {position.partition} of {position.topic}"
    if position.next_offset > end:
        raise Fatal(
            f"The log of {place} ends before the ledger's next offset: it was truncated, or lost records with its"
            " machine. Nothing is reset by itself: restore the topic, or rebuild into fresh tables."
        )
    if position.next_offset < begin:
        raise Fatal(
            f"The log of {place} begins after the ledger's next offset: records expired or were deleted unread."
            " Event topics are kept for ever (retention.ms=-1, retention.bytes=-1): restore them, or rebuild."
        )
