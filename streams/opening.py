"""Open assigned partitions where the ledger says, once it is sure that they are the logs that the ledger speaks of."""

import asyncio
import dataclasses
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import structlog
from faust.types import TP

from schemas.catalogue import Catalogue
from schemas.errors import Fatal
from schemas.topics import agency_of
from sinks.clickhouse import ledger, queries, tail
from sinks.clickhouse.client import Client
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.writer import Writer
from streams.aggregate import Aggregator
from streams.announce import Announcing
from streams.blocks import Consumer
from streams.broker import Identity
from streams.health import Health
from streams.metrics import Metrics
from streams.partition import held_by
from streams.settings import WorkerSettings
from streams.threads import Threads
from streams.waiting import Start

ASKING_ENDS = "asking Kafka for the ends of the logs"
WATCH_SECONDS = 5.0
SHARING = "sharing the partitions"
RESTLESS, RESTLESS_SECONDS = 8, 30.0
"""So many assignments in so short a time: not workers that come and go, but two that take one place from each other.

Each learns by a heartbeat that its place is taken, so a long session is given more time: up to two heartbeats each.
"""
RESTLESS_SESSIONS, RESTED_SESSIONS = 3, 0.5

log = structlog.get_logger(__name__)


class Opener:
    """Opens what is assigned, in the background: an absent database delays it and nothing else."""

    def __init__(
        self,
        settings: WorkerSettings,
        catalogue: Catalogue,
        topics: Mapping[str, Identity],
        identify: Callable[[], Mapping[str, Identity]],
        rules: str,
        client: Client,
        aggregator: Aggregator,
        announcer: Announcing,
        storing: asyncio.Lock,
        threads: Threads,
        health: Health,
        metrics: Metrics,
    ) -> None:
        self._catalogue = catalogue
        self._topics = topics
        self._identify = identify
        self._rules = rules
        self._client = client
        self._aggregator = aggregator
        self._announcer = announcer
        self._storing = storing
        self._threads = threads
        self._health = health
        self._metrics = metrics
        self._task: asyncio.Task[None] | None = None
        self._known = False
        self._assigned: deque[float] = deque(maxlen=RESTLESS)
        """When partitions were assigned (monotonic seconds)."""
        self._restless_seconds = max(RESTLESS_SECONDS, RESTLESS_SESSIONS * settings.session_seconds)
        self._rested_seconds = RESTED_SESSIONS * settings.session_seconds

    def assigned(self, consumer: Consumer, tps: frozenset[TP]) -> None:
        """Open partitions anew: everything known of a former assignment is forgotten."""
        self.revoked()
        self._metrics.rebalances.inc()
        self._note_assignment()
        self._task = asyncio.ensure_future(self._hold(consumer, sorted(tps)))

    def _note_assignment(self) -> None:
        self._assigned.append(time.monotonic())
        if len(self._assigned) == RESTLESS and self._assigned[-1] - self._assigned[0] < self._restless_seconds:
            self._health.tell(
                SHARING,
                f"they were assigned {RESTLESS} times within {self._restless_seconds:.0f} s: another worker may run"
                " under the same name",
                "give each worker a GRIS_WORKER_ID of its own",
            )

    def _note_rest(self) -> None:
        """Tell that nobody takes the place any more, once it was kept for longer than it would be left."""
        if time.monotonic() - self._assigned[-1] > self._rested_seconds:
            self._health.over(SHARING)

    def stop(self) -> None:
        """Open nothing more."""
        self._health.opened = False
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def revoked(self) -> None:
        """Close everything: another worker may read on from the ledger at once."""
        self.stop()
        self._announcer.release()
        self._aggregator.close()

    async def _hold(self, consumer: Consumer, tps: Sequence[TP]) -> None:
        """Open partitions, and look after them until they are revoked."""
        try:
            await self._open(consumer, tps)
            await self._watch(consumer, tps)
        except Fatal as fatal:
            await consumer.hooks.fatal(fatal)
        except Exception as error:
            # Nobody awaits this task: what it cannot do must stop the process, not leave it idle.
            log.exception("unexpected")
            reason = f"Partitions could not be opened, or looked after ({type(error).__name__}); see the log."
            await consumer.hooks.fatal(Fatal(reason))

    async def _open(self, consumer: Consumer, tps: Sequence[TP]) -> None:
        """Fence, read, check, open: nothing that another worker still does can come after the fence and count."""
        if self._known:  # else the process has only just asked
            await self._check_topics()
        self._known = True
        # A flush of a former assignment ends first, or its lines could come behind newer ones.
        async with self._storing:
            await self._health.persist("fencing partitions", lambda: self._announcer.fence(tps))
            starts = await self._health.persist("reading the ledger", lambda: self._threads.database(self._starts, tps))
        if tps:
            begins, ends = await self._health.persist(ASKING_ENDS, lambda: consumer.ends(tps))
            openings = consumer.reserve(tps)
            for tp in tps:
                _in_log(starts[tp], begins[tp], ends[tp])
                await self._aggregator.open(tp, openings[tp], starts[tp])
            offsets = {tp: starts[tp].position.next_offset for tp in tps}
            await self._health.persist("seeking in the logs", lambda: consumer.open(offsets, openings))
        self._health.opened = True
        log.info("partitions_opened", partitions=len(tps))

    async def _watch(self, consumer: Consumer, tps: Sequence[TP]) -> None:
        """Ask Kafka for ever what fetches do not tell: whether it is there at all, and still has the same topics."""
        while tps:
            await self._check_topics()
            await asyncio.sleep(WATCH_SECONDS)
            self._note_rest()
            # First of him who tries until he is answered: the other opens a connection each time it is asked.
            _, ends = await self._health.persist(ASKING_ENDS, lambda: consumer.ends(tps))
            self._aggregator.note_ends(ends)

    async def _check_topics(self) -> None:
        """Ask whether the topics are still those that they were when the process started. Raises Fatal."""
        found = await self._health.persist(
            "asking Kafka for the topics", lambda: self._threads.database(self._identify)
        )
        for topic, identity in found.items():
            _same_topic(topic, self._topics[topic], identity)

    def _starts(self, tps: Sequence[TP]) -> dict[TP, Start]:
        written = ledger.read(self._client, sorted({tp.topic for tp in tps})) if tps else {}
        positions = {tp: self._position(tp, written.get((tp.topic, tp.partition))) for tp in tps}
        claims = [at for at in positions.values() if at != written.get((at.topic, at.partition))]
        if claims:
            self._repair(claims)
            # A row of the ledger names the rules that may have judged what lies behind it: written before they judge.
            Writer(self._client).ledger(claims)
        return {tp: self._start(tp, position) for tp, position in positions.items()}

    def _position(self, tp: TP, written: Position | None) -> Position:
        """Give a partition's position, under the rules in force. Raises Fatal where the log is another one."""
        identity = self._topics[tp.topic]
        if written is None:
            return Position(tp.topic, tp.partition, 0, 0, 0, 0, self._rules, identity.topic_id, identity.partitions)
        _same_topic(tp.topic, Identity(written.topic_id, written.partitions), identity)
        return dataclasses.replace(written, rules=self._rules)

    def _repair(self, claims: Sequence[Position]) -> None:
        """Let nothing be behind these positions that other rules judged. Raises Retry or Fatal."""
        behind = []
        for at in claims:
            tp = TP(at.topic, at.partition)
            behind.append(tail.Behind(*tp, at.next_offset, self._codes(tp)))
            _same_owner(tp, tail.elsewhere(self._client, *tp, behind[-1].indicators))
        tail.delete_rows(self._client, behind, rules=self._rules)

    def _start(self, tp: TP, position: Position) -> Start:
        codes = self._codes(tp)
        days = queries.stored_days(self._client, tp.topic, tp.partition, position.next_offset)
        floor = tail.highest_version(self._client, *tp, codes)
        restoring = tail.totals_behind(self._client, codes, position.next_offset)
        return Start(agency_of(tp.topic) or "", position, days, floor, restoring)

    def _codes(self, tp: TP) -> list[str]:
        partitions = self._topics[tp.topic].partitions
        return [i.code for i in held_by(self._catalogue, agency_of(tp.topic) or "", tp.partition, partitions)]


def _same_owner(tp: TP, elsewhere: tuple[str, str, int] | None) -> None:
    if elsewhere is not None:
        code, topic, partition = elsewhere
        raise Fatal(
            f"By this catalogue the events of {code} lie in partition {tp.partition} of {tp.topic}, but statements of"
            f" partition {partition} of {topic} are stored: versions of two logs cannot be compared. Put its agency"
            " back in indicators.csv, or rebuild into fresh tables (gris rebuild events)."
        )


def _same_topic(topic: str, known: Identity, found: Identity) -> None:
    if found.topic_id != known.topic_id:
        raise Fatal(
            f"Topic {topic} is not the one that the ledger speaks of: it was deleted and made again, so its offsets"
            " mean other records now. Restore the topic, or rebuild into fresh tables."
        )
    if found.partitions != known.partitions:
        raise Fatal(
            f"Topic {topic} has {found.partitions} partitions, the ledger knows {known.partitions}: its keys lie"
            " elsewhere now. Rebuild into fresh tables; partitions of a topic in use are never added."
        )


def _in_log(start: Start, begin: int, end: int) -> None:
    position = start.position
    place = f"partition {position.partition} of {position.topic}"
    if max(position.next_offset, start.floor) > end:
        raise Fatal(
            f"The log of {place} ends before what is stored of it: it was truncated, or lost records with its"
            " machine. Nothing is reset by itself: restore the topic, or rebuild into fresh tables."
        )
    if position.next_offset < begin:
        raise Fatal(
            f"The log of {place} begins after the ledger's next offset: records expired or were deleted unread."
            " Event topics are kept for ever (retention.ms=-1, retention.bytes=-1): restore them, or rebuild."
        )
