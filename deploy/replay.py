"""Publish refused records again: the same bytes, under the right key, and wait for the worker's verdict.

A replay that is accepted closes its reject. One that is refused again is a reject of its own; the old one stays open.
"""

import contextlib
import dataclasses
import datetime as dt
import itertools
import operator
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar, cast

from deploy.replay_verdicts import Kind, Verdicts
from deploy.unread import unread, wanted
from producers.publisher import Message, Publisher, listening
from producers.settings import PublisherSettings
from schemas.catalogue import Catalogue
from schemas.errors import Fatal, GrisError, Retry
from schemas.registry import source
from schemas.topics import REPLAY_OF
from sinks.clickhouse import ledger, rejects
from sinks.clickhouse.client import Client
from sinks.clickhouse.rejects import Place, Reject, Selection, State

PAGE_BYTES = 64 << 20  # of values held at once; one record may have 16 MiB
PAGE_RECORDS = 5_000
POLL_SECONDS = 0.1

Tell = Callable[[str, int, int], None]
"""Hears what is being done, how far, and of how much."""
Due = tuple[Place, bytes | None]
"""A reject to be published, and the key: None where no indicator can be read."""
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What to replay and how.

    ``limit`` bounds what may match at all; ``everything`` publishes also what would be refused or is superseded;
    ``catch_up`` waits first until the worker has read what the topics hold; ``wait`` bounds each wait, in seconds.
    """

    selection: Selection
    limit: int
    dry_run: bool = False
    everything: bool = False
    catch_up: bool = True
    wait: float = 60.0


@dataclasses.dataclass(slots=True)
class Outcome:
    """What became of one open reject.

    ``verdict`` is what the rules say now, with ``reason``, ``field`` and ``detail`` where it is not accepted.
    ``result`` is the worker's verdict on the replay: accepted, refused (then the three are the worker's), waiting when
    it is not known yet, unconfirmed when the broker did not take it for sure; empty when it was not published.
    ``replay`` is where the replay lies. ``error`` says why one is not confirmed, or why nobody tells what became of it.
    """

    place: Place
    was: str
    verdict: Kind
    reason: str
    field: str
    detail: str
    result: str = ""
    replay: Place | None = None
    error: GrisError | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What became of a request; ``closed`` counts the matching rejects that were closed already."""

    rules: str
    dry_run: bool
    closed: int
    outcomes: tuple[Outcome, ...]

    def judged(self, kind: Kind) -> int:
        """Count the rejects with this verdict of the rules."""
        return sum(one.verdict is kind for one in self.outcomes)

    def became(self, result: str) -> int:
        """Count the replays with this result."""
        return sum(one.result == result for one in self.outcomes)

    @property
    def published(self) -> int:
        """How many were published, as far as is known."""
        return sum(one.result in {"accepted", "refused", "waiting"} for one in self.outcomes)


class Replay:
    """One replay against one database and broker."""

    def __init__(self, settings: PublisherSettings, catalogue: Catalogue, client: Client, tell: Tell) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._client = client
        self._tell = tell
        self._verdicts = Verdicts(catalogue, source(settings.registry), client)

    def run(self, request: Request) -> Report:
        """Choose, judge, publish what is due, and wait for the verdicts.

        Raises Fatal when the choice cannot be used, Retry when nothing was published because the broker, the database
        or the worker cannot be reached in time. What fails later is in the report.
        """
        chosen, closed = self._choose(request)
        topics = sorted({one.place.topic for one in chosen})
        if chosen and not request.dry_run:
            if request.catch_up:
                self._catch_up(topics, request.wait)
            self._agree_with_worker(topics)
        outcomes, due = self._judge(chosen, self._partitions(topics), everything=request.everything)
        if due and not request.dry_run:
            self._publish(due, outcomes)
            self._await([one for one in outcomes.values() if one.result == "waiting"], request.wait)
        return Report(self._verdicts.digest, request.dry_run, closed, tuple(outcomes.values()))

    def _choose(self, request: Request) -> tuple[list[Reject], int]:
        """List the open rejects that are meant, the oldest first, and count the closed ones."""
        everything = dataclasses.replace(request.selection, state=State.ALL)
        counts = rejects.count(self._client, everything)
        matching = sum(one.open for one in counts)
        if matching > request.limit:
            raise Fatal(
                f"{matching} open rejects fit, more than --limit {request.limit}: narrow the choice or raise the limit."
            )
        if request.selection.places:
            known = {one.place for one in rejects.find(self._client, everything, len(request.selection.places))}
            strange = [str(place) for place in request.selection.places if place not in known]
            if strange:
                raise Fatal(f"No record that fits was refused at {', '.join(strange)}; see `gris rejects list --all`.")
        chosen = dataclasses.replace(request.selection, state=State.OPEN)
        return rejects.find(self._client, chosen, request.limit), sum(one.closed for one in counts)

    def _catch_up(self, topics: Sequence[str], wait: float) -> None:
        """Wait until the worker has read what the topics hold: an earlier replay may be among it, or a correction."""
        if not listening(self._settings.kafka):
            raise Retry(f"Nothing listens at {self._settings.kafka}: is the broker up, and is GRIS_KAFKA right?")
        ends = {place: end for place, end in wanted(self._settings.kafka, self._client, topics).items() if end}
        deadline = time.monotonic() + wait
        while True:
            behind = unread(self._client, ends)
            self._tell("waiting for the worker to catch up", len(ends) - len(behind), len(ends))
            if not behind:
                return
            if time.monotonic() > deadline:
                left = ", ".join(sorted({topic for topic, _ in behind}))
                raise Retry(
                    f"Nothing was published: the worker has not read {left} to the end within {wait:g} s, and what it"
                    " has not read may hold an earlier replay or a correction. Start it or wait longer (--wait);"
                    " --no-catch-up goes on all the same."
                )
            time.sleep(POLL_SECONDS)

    def _agree_with_worker(self, topics: Sequence[str]) -> None:
        """Have nothing judged here by other rules than the worker's, which its ledger names from its start on."""
        positions = ledger.read(self._client, topics).values()
        others = sorted({position.topic for position in positions if position.rules != self._verdicts.digest})
        if others:
            raise Fatal(
                f"Nothing was published: the worker judges {', '.join(others)} by other rules than this command would"
                f" ({self._verdicts.digest}). Start it with the same release and GRIS_CATALOGUE first; --dry-run tells"
                " what this command's would accept."
            )

    def _partitions(self, topics: Sequence[str]) -> dict[str, int]:
        """Count the partitions of the topics: the ledger knows, and the catalogue before there is one."""
        found = {event.topic: event.partitions for event in ledger.read(self._client, topics).values()}
        for topic in topics:
            agency = self._catalogue.agency(topic.rpartition(".")[2])
            found.setdefault(topic, agency.partitions if agency else 1)
        return found

    def _judge(
        self, chosen: Sequence[Reject], partitions: Mapping[str, int], *, everything: bool
    ) -> tuple[dict[Place, Outcome], list[Due]]:
        """Judge all, and say which are due to be published, under which key."""
        outcomes: dict[Place, Outcome] = {}
        due: list[Due] = []
        for page in self._pages(chosen, lambda reject: reject.place):
            verdicts = self._verdicts.judge(page, partitions, dt.datetime.now(dt.UTC))
            for (reject, value), one in zip(page, verdicts, strict=True):
                outcomes[reject.place] = Outcome(
                    reject.place, reject.reason, one.kind, one.reason, one.field, one.detail
                )
                if value is not None and (one.kind is Kind.ACCEPTED or everything):
                    due.append((reject.place, one.key))
            self._tell("judging", len(outcomes), len(chosen))
        return outcomes, due

    def _publish(self, due: Sequence[Due], outcomes: Mapping[Place, Outcome]) -> None:
        """Publish in the order of the choice, and note where each lies, or that the broker did not confirm it."""

        def placed(place: object, partition: int, offset: int) -> None:
            one = outcomes[cast("Place", place)]
            one.result = "waiting"
            # Where the broker had it twice it tells no offset; the next replay finds the reject closed, or open.
            one.replay = Place(one.place.topic, partition, offset) if offset >= 0 else None

        sent = 0
        with Publisher(self._settings) as publisher:
            try:
                for page in self._pages(due, operator.itemgetter(0)):
                    # What a start under other rules has deleted since it was judged is read again as a record anyway.
                    there = ((one, value) for one, value in page if value is not None)
                    receipt = publisher.publish(itertools.starmap(_message, there), placed=placed)
                    for failure in receipt.failures:
                        one = outcomes[cast("Place", failure.row)]
                        one.result, one.error = "unconfirmed", failure.error
                    sent += len(page)
                    self._tell("publishing", sent, len(due))
            except GrisError as error:  # what is published already must be told of
                for place, _ in due[sent:]:
                    outcomes[place].result, outcomes[place].error = "unconfirmed", error

    def _pages(self, asked: Sequence[T], place_of: Callable[[T], Place]) -> Iterator[list[tuple[T, bytes | None]]]:
        """Read the values of rejects, so many at a time that they fit into memory."""
        for run in (asked[at : at + PAGE_RECORDS] for at in range(0, len(asked), PAGE_RECORDS)):
            sizes = rejects.sizes(self._client, map(place_of, run))
            page: list[T] = []
            held = 0
            for one in run:
                size = sizes.get(place_of(one), 0)
                if page and held + size > PAGE_BYTES:
                    yield self._with_values(page, place_of)
                    page, held = [], 0
                page.append(one)
                held += size
            yield self._with_values(page, place_of)

    def _with_values(self, page: Sequence[T], place_of: Callable[[T], Place]) -> list[tuple[T, bytes | None]]:
        values = rejects.values(self._client, map(place_of, page))
        # One that a start under other rules has deleted meanwhile is none, like a tombstone: it is not published.
        return [(one, values.get(place_of(one))) for one in page]

    def _await(self, waiting: Sequence[Outcome], wait: float) -> None:
        """Wait until the ledger has passed the replays, and note what became of each.

        What fails here is waited for. Where waiting cannot help, the error is noted beside what is not known: what is
        published already must be told of.
        """
        deadline = time.monotonic() + wait
        done = 0
        while waiting:
            try:
                with contextlib.suppress(Retry):
                    self._note(waiting)
            except Fatal as error:
                for one in waiting:
                    one.error = error
                return
            done += sum(one.result != "waiting" for one in waiting)
            waiting = [one for one in waiting if one.result == "waiting"]
            self._tell("waiting for the worker's verdicts", done, done + len(waiting))
            if time.monotonic() > deadline:
                return
            if waiting:
                time.sleep(POLL_SECONDS)

    def _note(self, waiting: Sequence[Outcome]) -> None:
        topics = sorted({one.place.topic for one in waiting})
        read = ledger.read(self._client, topics)
        settled = [one for one in waiting if one.replay is not None and _passed(one.replay, read)]
        if not settled:
            return
        refused = rejects.refused(self._client, [one.replay for one in settled if one.replay is not None])
        for one in settled:
            again = refused.get(one.replay) if one.replay is not None else None
            one.result = "refused" if again else "accepted"
            if again is not None:
                one.reason, one.field, one.detail = again.reason, again.field, again.detail


def _passed(place: Place, read: Mapping[tuple[str, int], ledger.Position]) -> bool:
    position = read.get((place.topic, place.partition))
    return position is not None and position.next_offset > place.offset


def _message(due: Due, value: bytes) -> Message:
    place, key = due
    return Message(
        place.topic,
        key,
        value,
        place,
        headers=((REPLAY_OF, f"{place.partition}:{place.offset}".encode()),),
        partition=place.partition if key is None else None,
    )
