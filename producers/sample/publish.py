"""Publishing the sample: onto paper and, row for row the same, to the broker."""

import dataclasses
import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from producers.publisher import Message, Publisher
from producers.sample.live import live
from producers.sample.mistakes import with_mistakes
from producers.sample.paper import Paper
from producers.sample.statement import Statement
from producers.sample.week import week
from producers.settings import PublisherSettings
from schemas.catalogue import load
from schemas.codec import encode_event
from schemas.errors import Fatal
from schemas.period import LOCAL
from schemas.settings import Settings
from schemas.topics import event_topic

SEED = 2020
DAYS = 7
LIVE_SPEED = 2.0  # events a second: some thousand figures of the running day, each told again every ten minutes

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """What was told: rows by agency, how many are mistakes made on purpose, and what the broker confirmed.

    ``unconfirmed`` names file and row ("g18.csv row 7: why"); it is empty when nothing was to be published.
    """

    folder: Path
    end: dt.date
    days: int
    events: int
    mistakes: int
    agencies: Mapping[str, int]
    confirmed: int
    unconfirmed: tuple[str, ...]
    seconds: float


def yesterday() -> dt.date:
    """Give the last whole local day."""
    return dt.datetime.now(LOCAL).date() - dt.timedelta(days=1)


def publish_week(
    settings: Settings,
    out: Path,
    progress: Progress | None = None,
    *,
    end: dt.date | None = None,
    days: int = DAYS,
    seed: int = SEED,
    speed: float | None = None,
    publish: bool = True,
) -> Summary:
    """Write the week up to ``end`` (yesterday) into the folder ``out`` and publish it.

    ``speed`` is in events a second, None for all at once; ``progress`` hears (rows settled, of how many). The same
    catalogue, end, days and seed give the same rows. Raises Fatal for a day that is not over, a folder that cannot be
    written or a topic that is missing; Retry when no broker answers. What it does not confirm is in the summary.
    """
    last = end or yesterday()
    if last > yesterday():
        raise Fatal(f"{last} is not over yet in Viet Nam: give --end {yesterday()} or earlier.")
    began = time.monotonic()
    catalogue = load(settings.catalogue)
    told = with_mistakes(catalogue, week(catalogue, last, days, seed), seed)
    with Paper(out) as paper:
        places = paper.write(told)
    confirmed, unconfirmed = 0, []
    if publish:
        with _publisher(settings) as publisher:
            for done, missed in _sent(publisher, told, places, _schema_id(settings), speed, progress):
                confirmed += done
                unconfirmed += missed
    return Summary(
        folder=out,
        end=last,
        days=days,
        events=len(told),
        mistakes=sum(statement.mistake is not None for statement in told),
        agencies={name.removesuffix(".csv"): row - 1 for name, row in sorted(paper.rows.items())},
        confirmed=confirmed,
        unconfirmed=tuple(unconfirmed),
        seconds=time.monotonic() - began,
    )


def publish_live(
    settings: Settings, out: Path, progress: Progress | None = None, *, seed: int = SEED, speed: float | None = None
) -> Iterator[Summary]:
    """Go on at present time, for ever: a summary after every second's worth of statements, appended to ``out``.

    Raises as ``publish_week``; what a broker does not confirm meanwhile is in the summaries.
    """
    catalogue = load(settings.catalogue)
    began = time.monotonic()
    events = confirmed = 0
    with Paper(out, append=True) as paper, _publisher(settings) as publisher:
        for batch in live(catalogue, seed, speed or LIVE_SPEED):
            places = paper.write(batch)
            paper.flush()
            missed: list[str] = []
            for done, lost in _sent(publisher, batch, places, _schema_id(settings), None, None):
                confirmed += done
                missed += lost
            events += len(batch)
            if progress is not None:
                progress(events, events)
            agencies = {name.removesuffix(".csv"): row - 1 for name, row in sorted(paper.rows.items())}
            today = dt.datetime.now(LOCAL).date()
            yield Summary(out, today, 1, events, 0, agencies, confirmed, tuple(missed), time.monotonic() - began)


def _sent(
    publisher: Publisher,
    told: Sequence[Statement],
    places: Sequence[tuple[str, int]],
    schema_id: int,
    speed: float | None,
    progress: Progress | None,
) -> Iterator[tuple[int, list[str]]]:
    """Send in order, at ``speed`` in portions of a second; give for each what was confirmed and what was not."""
    for agency in dict.fromkeys(statement.agency for statement in told):
        publisher.partitions(event_topic(agency))  # a missing topic is found before anything is sent
    portion = max(1, round(speed)) if speed else max(1, len(told))
    began = time.monotonic()
    for first in range(0, len(told), portion):
        if speed:
            time.sleep(max(0.0, began + first / speed - time.monotonic()))  # keeping pace, not waiting for anything
        messages = (
            Message(
                event_topic(statement.agency),
                statement.indicator.encode(),
                encode_event(statement.event(), schema_id),
                f"{place[0]} row {place[1]}",
            )
            for statement, place in zip(told[first : first + portion], places[first : first + portion], strict=True)
        )
        tell = None if progress is None else lambda done, first=first: progress(first + done, len(told))
        receipt = publisher.publish(messages, tell)
        yield receipt.confirmed, [str(failure) for failure in receipt.failures]


def _publisher(settings: Settings) -> Publisher:
    own = settings if isinstance(settings, PublisherSettings) else PublisherSettings(**settings.model_dump())
    return Publisher(own)


def _schema_id(settings: Settings) -> int:
    return settings.schema_id if isinstance(settings, PublisherSettings) else 1
