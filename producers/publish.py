"""Publishing files: read all, judge all, then send the good rows and wait for each.

Every file is read and judged to its end before anything is sent: a file that breaks off half-way publishes nothing.
"""

import contextlib
import dataclasses
import datetime as dt
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

from producers.cells import Defaults
from producers.files import Row, UnreadableFile, rows
from producers.judge import Judge, RowRefusal
from producers.publisher import Failure, Message, Publisher, listening
from producers.settings import PublisherSettings
from producers.spool import Spool
from schemas.catalogue import Catalogue
from schemas.errors import Fatal, Retry
from schemas.topics import event_topic

BLOCK = 5_000  # rows judged at a time
BLOCK_CHARACTERS = 8_000_000  # and no more text than this, or one row
MOST_REFUSED = 100_000  # rows of a file; one that is wrong throughout is not the file that was meant
PROBE = 2.0  # seconds that a dry run gives the broker to tell the number of partitions

Tell = Callable[[str, int, int | None], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What to publish and how; ``deadline``: seconds that the broker may confirm nothing."""

    files: tuple[Path, ...]
    agency: str
    submission: str
    dry_run: bool = False
    unchecked: bool = False
    deadline: float = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A row that the broker did not confirm, and why."""

    row: int
    detail: str
    retry: bool


@dataclasses.dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file: rows read, rows the rules accept, rows the broker confirmed, and the others by row."""

    file: str
    rows: int
    accepted: int
    published: int
    refused: tuple[RowRefusal, ...]
    unconfirmed: tuple[Unconfirmed, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What became of a request."""

    agency: str
    submission: str
    dry_run: bool
    files: tuple[FileReport, ...]

    @property
    def refused(self) -> int:
        """How many rows are not acceptable."""
        return sum(len(file.refused) for file in self.files)

    @property
    def unconfirmed(self) -> int:
        """How many rows were due to be published and are not confirmed."""
        return sum(len(file.unconfirmed) for file in self.files)


@dataclasses.dataclass(slots=True)
class _Reading:
    file: str
    due: Spool
    rows: int = 0
    accepted: int = 0
    refused: list[RowRefusal] = dataclasses.field(default_factory=list)


def new_submission(agency: str, now: dt.datetime) -> str:
    """Make up a reference for a report that has none: agency, time, and four characters against collisions."""
    return f"{agency}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def publish_files(request: Request, catalogue: Catalogue, settings: PublisherSettings, tell: Tell) -> Report:
    """Judge and publish; ``tell`` hears (what is being done, how far, of how much or None).

    Raises UnreadableFile (nothing was sent), Fatal for an agency or topic that is unknown, and Retry when the broker
    cannot be reached (nothing was sent). Deadlines that pass later are in the report.
    """
    known = catalogue.agency(request.agency)
    if known is None:
        codes = ", ".join(agency.code for agency in catalogue.agencies)
        raise Fatal(f"Agency {request.agency!r} is not in the catalogue; known are {codes}.")
    topic = event_topic(request.agency)
    with contextlib.ExitStack() as held:
        if request.dry_run:
            readings = _judged(request, catalogue, _partitions_or_one(topic, settings), tell, held)
            return _report(request, readings, {})
        publisher = held.enter_context(Publisher(settings, deadline=request.deadline))
        readings = _judged(request, catalogue, publisher.partitions(topic), tell, held)
        total = sum(len(reading.due) for reading in readings)
        receipt = publisher.publish(
            _messages(topic, readings, settings.schema_id), lambda done: tell("publishing", done, total)
        )
        return _report(request, readings, {_place(failure): failure for failure in receipt.failures})


def _judged(
    request: Request, catalogue: Catalogue, partitions: int, tell: Tell, held: contextlib.ExitStack
) -> list[_Reading]:
    now = time.time_ns() // 1_000_000
    judge = Judge(catalogue, request.agency, partitions, now, Defaults(request.submission, now))
    readings = []
    for path in request.files:
        reading = _Reading(str(path), held.enter_context(Spool()))
        for block in _blocks(rows(path)):
            verdict = judge.judge(block)
            reading.rows += len(block)
            reading.refused += verdict.refused
            reading.accepted += sum(encoded.accepted for encoded in verdict.encoded)
            for one in verdict.encoded:
                if one.accepted or request.unchecked:
                    reading.due.append(one)
            if len(reading.refused) > MOST_REFUSED:
                first = reading.refused[0]
                raise UnreadableFile(
                    f"{path.name}: more than {MOST_REFUSED} rows are refused, the first is row {first.row}"
                    f" ({first.column}: {first.detail}) Nothing was sent: is it the right file, agency and catalogue?"
                )
            tell(f"reading {path.name}", reading.rows, None)
        readings.append(reading)
    return readings


def _blocks(source: Iterator[Row]) -> Iterator[list[Row]]:
    block: list[Row] = []
    room = BLOCK_CHARACTERS
    for row in source:
        block.append(row)
        room -= sum(len(cell) for cell in row.cells.values() if isinstance(cell, str))
        if len(block) == BLOCK or room <= 0:
            yield block
            block, room = [], BLOCK_CHARACTERS
    if block:
        yield block


def _messages(topic: str, readings: Sequence[_Reading], schema_id: int) -> Iterator[Message]:
    frame = b"\0" + schema_id.to_bytes(4, "big")
    for at, reading in enumerate(readings):
        for one in reading.due:
            yield Message(topic, one.key, frame + one.value[5:], (at, one.row))


def _partitions_or_one(topic: str, settings: PublisherSettings) -> int:
    if not listening(settings.kafka):
        return 1  # a dry run needs no broker; our own placement is right for any number of partitions
    try:
        with Publisher(settings, deadline=PROBE) as publisher:
            return publisher.partitions(topic)
    except (Retry, Fatal):
        return 1


def _report(request: Request, readings: Sequence[_Reading], failures: dict[tuple[int, int], Failure]) -> Report:
    files = []
    for at, reading in enumerate(readings):
        missed = [(row, failure) for (of, row), failure in failures.items() if of == at]
        unconfirmed = tuple(
            Unconfirmed(row, str(failure.error), isinstance(failure.error, Retry)) for row, failure in missed
        )
        published = 0 if request.dry_run else len(reading.due) - len(unconfirmed)
        files.append(
            FileReport(reading.file, reading.rows, reading.accepted, published, tuple(reading.refused), unconfirmed)
        )
    return Report(request.agency, request.submission, request.dry_run, tuple(files))


def _place(failure: Failure) -> tuple[int, int]:
    return cast("tuple[int, int]", failure.row)  # as given to Message
