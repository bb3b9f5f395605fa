"""Day totals from the observations: what differs is found, told and, when asked to, written and announced."""

import dataclasses
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from schemas.catalogue import Catalogue
from schemas.errors import Fatal, Retry
from schemas.topics import event_topic
from sinks.clickhouse import ledger, tail
from sinks.clickhouse.check import Difference, differences
from sinks.clickhouse.client import Client
from sinks.clickhouse.conservation import conservation
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.tail import Key, LineKey
from sinks.clickhouse.writer import Writer
from streams.announce import Announcing, Fenced, Messages
from streams.flags import EPOCH
from streams.recount import Found, Recount, Row
from streams.report import Line, empty_line

SHOWN = 1_000  # differences kept; the rest is only counted
LINES_AT_ONCE = 2_000  # of one transaction: it must end before it times out
SETTLE_SECONDS = 10.0  # how long a running worker may take to write the totals of what it has inserted
REST_SECONDS = 2.5  # a ledger that has not moved for so long has no flush on its way
GONE_SECONDS = 1.0  # how long, beyond its session, the group may still name a worker that ended
LOOK_EVERY = 0.25

Progress = Callable[[int, int], None]
"""Hears days done and days to do."""
Workers = Callable[[], Sequence[str]]
"""Names the members of the workers' consumer group."""
Daily = Callable[[], Awaitable[Mapping[bytes, LineKey]]]
"""Names the lines of which gris.daily holds anything, by key."""


@dataclasses.dataclass(slots=True)
class Outcome:
    """What a rebuild of totals found and did: rows of day_totals, but for ``announced``, lines of gris.daily."""

    compared: int = 0
    differing: int = 0
    written: int = 0
    deleted: int = 0
    announced: int = 0
    seconds: float = 0.0
    differences: list[Difference] = dataclasses.field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Tell whether the totals are, by now, what the observations amount to."""
        return self.written + self.deleted == self.differing

    def note(self, key: Key, expected: Row | None, found: Row | None) -> None:
        """Count one row that differs."""
        self.differing += 1
        if len(self.differences) < SHOWN:
            bucket = EPOCH + dt.timedelta(days=key[0])
            self.differences += differences((str(bucket), *key[1:]), expected, found)


class TotalsRebuild:
    """One run over the partitions of the catalogue's agencies, each as the ledger has it."""

    def __init__(
        self,
        client: Client,
        catalogue: Catalogue,
        announcer: Announcing,
        workers: Workers,
        daily: Daily,
        *,
        session_seconds: float,
    ) -> None:
        """``session_seconds``: those of the workers."""
        self._client = client
        self._catalogue = catalogue
        self._announcer = announcer
        self._workers = workers
        self._daily = daily
        self._gone_seconds = session_seconds + GONE_SECONDS
        self._recounts = [Recount(client, catalogue, at) for at in _positions(client, catalogue)]
        self._since = {recount.position: time.monotonic() for recount in self._recounts}
        """When each position of the ledger was first seen."""
        self._resting: set[Position] = set()
        self._taken_over = False

    async def run(self, progress: Progress, *, write: bool, announce: bool) -> Outcome:
        """Compare; ``write`` replaces and announces what differs, ``announce`` every line, different or not.

        Messages go out before the rows that they speak of are written, and what nothing accounts for is deleted last: a
        run that dies is repeated as a whole. Raises Retry or Fatal; Fatal when it would write while a worker runs.
        """
        began = time.monotonic()
        outcome = Outcome()
        superfluous: list[tuple[int, Sequence[Key]]] = []
        days = [recount.days for recount in self._recounts]
        every, done = sum(map(len, days)), 0
        try:
            there = await self._announced() if announce else {}
            for recount, some in zip(self._recounts, days, strict=True):
                for few, first in recount.chunks(some, every=announce):
                    found = first if announce else self._settled(recount, few, first)
                    outcome.compared += found.compared
                    for key, (expected, stored) in sorted(found.wrong.items()):
                        outcome.note(key, expected, stored)
                    if announce or (write and found.wrong):
                        await self._mend(recount, found, outcome)
                        superfluous.append((recount.position.next_offset, found.superfluous))
                        for line in found.messages:
                            there.pop(line.key, None)
                    done += len(few)
                    progress(done, every)
                if announce:
                    await self._take_back(recount, there, outcome)
            await self._clear(superfluous, outcome, write=write or announce)
        finally:
            await self._announcer.close()
        outcome.seconds = round(time.monotonic() - began, 3)
        return outcome

    def _settled(self, recount: Recount, days: Sequence[int], found: Found) -> Found:
        """Look again at what differs while a worker writes: its totals come a moment after its observations."""
        if not found.wrong or self._taken_over or not self._may_write():
            return found
        deadline = time.monotonic() + SETTLE_SECONDS
        position = recount.position
        while found.wrong and position not in self._resting and time.monotonic() < deadline:
            now = self._moved(position)
            _, found = next(Recount(self._client, self._catalogue, now).chunks(days))
            if now == position:
                self._resting.add(position)
            position = now
        return found

    def _may_write(self) -> bool:
        """Tell whether a worker may write meanwhile. Who cannot ask Kafka looks again, and need not know."""
        try:
            return bool(self._workers())
        except Retry:
            return True

    def _moved(self, position: Position) -> Position:
        """Wait until the ledger has moved on, or rested for longer than any flush takes."""
        rested = self._since[position] + REST_SECONDS
        while True:
            now = ledger.read(self._client, [position.topic]).get((position.topic, position.partition), position)
            if now != position or time.monotonic() > rested:
                self._since.setdefault(now, time.monotonic())
                return now
            time.sleep(LOOK_EVERY)

    async def _take_over(self) -> None:
        """Make sure, once, that nobody else writes totals, and become the one who announces. Raises Retry or Fatal."""
        if not self._taken_over:
            _no_worker(self._workers, self._gone_seconds)
            _nothing_behind(self._client, self._recounts)
            await self._announcer.fence(recount.place for recount in self._recounts)
            self._taken_over = True

    async def _announced(self) -> dict[bytes, LineKey]:
        await self._take_over()
        return dict(await self._daily())

    async def _mend(self, recount: Recount, found: Found, outcome: Outcome) -> None:
        await self._take_over()
        await self._announce(recount, found.messages, outcome)
        Writer(self._client).day_totals(found.rows)
        outcome.written += found.rows.num_rows

    async def _announce(self, recount: Recount, lines: Sequence[Line], outcome: Outcome) -> None:
        for at in range(0, len(lines), LINES_AT_ONCE):
            try:
                await self._announcer.send({recount.place: Messages([], lines[at : at + LINES_AT_ONCE])})
            except Fenced as fenced:
                raise Fatal(f"{fenced} Stop the workers, then run this again.") from fenced
        outcome.announced += len(lines)

    async def _take_back(self, recount: Recount, there: dict[bytes, LineKey], outcome: Outcome) -> None:
        """Announce as empty the lines that gris.daily has and of which nothing is said any more."""
        codes = set(recount.codes)
        gone = sorted(
            (day, code, breakdown)
            for day, code, breakdown in there.values()
            if code in codes and breakdown in self._catalogue.by_code[code].breakdowns
        )
        lines = [empty_line(*line, recount.position.next_offset, recount.newest) for line in gone]
        await self._announce(recount, lines, outcome)

    async def _clear(self, superfluous: Sequence[tuple[int, Sequence[Key]]], outcome: Outcome, *, write: bool) -> None:
        """Delete what nothing accounts for: rows of known lines, and those of indicators that left the catalogue."""
        unknown = tail.unknown_totals(self._client, list(self._catalogue.by_code))
        outcome.compared += len(unknown)
        for key in unknown:
            outcome.note(key, None, ())
        for version, keys in superfluous:
            tail.delete_totals(self._client, keys, version)
            outcome.deleted += len(keys)
        if unknown and write:
            await self._take_over()
            tail.delete_unknown_totals(self._client, list(self._catalogue.by_code))
            outcome.deleted += len(unknown)


def _positions(client: Client, catalogue: Catalogue) -> list[Position]:
    """Give the ledger's positions; a topic that it does not know is one of which nothing is accounted for."""
    topics = {event_topic(agency.code): agency.partitions for agency in catalogue.agencies}
    known = ledger.read(client, sorted(topics))
    unread = (
        Position(topic, at, 0, 0, 0, 0, "", "", partitions)
        for topic, partitions in topics.items()
        if not any(there == topic for there, _ in known)
        for at in range(partitions)
    )
    return [*known.values(), *unread]


def _no_worker(workers: Workers, seconds: float) -> None:
    """Raise Fatal while the group has members; one that ended is still named there until its session times out."""
    deadline = time.monotonic() + seconds
    while there := workers():
        if time.monotonic() > deadline:
            raise Fatal(
                f"Totals are to be written, but a worker runs ({', '.join(there)}). Stop every worker in order"
                " (SIGTERM), then run this again."
            )
        time.sleep(LOOK_EVERY)


def _nothing_behind(client: Client, recounts: Sequence[Recount]) -> None:
    """Raise Fatal when a flush was cut off: its repetition must not meet totals made in between."""
    places = {(at.topic, at.partition) for at in conservation(client) if at.ahead}
    places |= {(r.place.topic, r.place.partition) for r in recounts if _totals_behind(client, r)}
    for topic, partition in sorted(places):
        raise Fatal(
            f"Rows of partition {partition} of {topic} lie behind the ledger: a flush was cut off. Start a worker,"
            " which repeats it; stop it once it has caught up; then run this again."
        )


def _totals_behind(client: Client, recount: Recount) -> bool:
    return tail.highest_version(client, *recount.place, recount.codes) > recount.position.next_offset
