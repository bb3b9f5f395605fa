"""Rejected records as a work queue: which there are, which are closed, and their bytes.

A reject is closed when an observation of its topic has its ``<partition>:<offset>`` as ``replay_of``: some replay of it
was accepted. A replay that is refused again is a reject of its own, and leaves the old one open.
"""

import base64
import dataclasses
import datetime as dt
import enum
import re
from collections.abc import Iterable, Sequence
from typing import Self

from sinks.clickhouse.client import Client
from sinks.clickhouse.literals import table

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MILLISECOND = dt.timedelta(milliseconds=1)
PLACE = re.compile(r"([^:]+):(\d{1,9}):(\d{1,18})", re.ASCII)
SETTINGS = {"max_query_size": 64 << 20}  # lists of places and cells are literals

SELECTED = """
SELECT
    r.topic AS topic, r.partition AS partition, r.offset AS offset,
    toUnixTimestamp64Milli(r.received_at) AS received_ms, rules,
    if(c.replay_of = '', '', concat(c.topic, ':', toString(c.by.1), ':', toString(c.by.2))) AS closed_by,
    reason, field, detail, schema_id, agency, indicator, submission
FROM
(
    SELECT
        topic, partition, offset, reason, field, detail, schema_id, agency, indicator, submission, received_at, rules
    FROM rejected FINAL
    WHERE {where}
) AS r
LEFT JOIN
(
    SELECT topic, replay_of, argMin(tuple(partition, offset), received_at) AS by
    FROM observations
    WHERE replay_of != ''
    GROUP BY topic, replay_of
) AS c
ON r.topic = c.topic AND concat(toString(r.partition), ':', toString(r.offset)) = c.replay_of
WHERE {state}
"""
LISTED = "{selected} ORDER BY received_ms {order}, topic {order}, partition {order}, offset {order} LIMIT {limit}"
COUNTED = """
SELECT min(received_ms), max(received_ms), reason, agency, countIf(closed_by = ''), countIf(closed_by != '')
FROM ({selected})
GROUP BY reason, agency
ORDER BY count() DESC, reason, agency
"""
PLACED = "(topic, partition, offset) IN (SELECT topic, partition, offset FROM {places})"
PLACE_COLUMNS = "topic String, partition UInt32, offset UInt64"
SIZES = "SELECT topic, partition, offset, length(raw) FROM rejected FINAL WHERE {placed}"
RAW = "SELECT topic, partition, offset, reason, base64Encode(raw) FROM rejected FINAL WHERE {placed}"
REFUSED = "SELECT topic, partition, offset, reason, field, detail FROM rejected FINAL WHERE {placed}"
STATEMENTS = """
SELECT
    l.indicator, l.area, l.breakdown, l.time_period,
    l.latest.1 AS revision,
    if(o.place = '', tuple(l.latest.4, l.latest.5), tuple(o.partition, o.offset)) AS said_at,
    if(o.place = '', l.latest.2, o.received_ms) AS said_ms
FROM
(
    SELECT indicator, area, breakdown, time_period,
        argMax(
            tuple(revision, toUnixTimestamp64Milli(received_at), topic, partition, offset, replay_of), version
        ) AS latest
    FROM observations
    WHERE (indicator, area, breakdown, time_period)
        IN (SELECT indicator, area, breakdown, time_period FROM {cells})
    GROUP BY indicator, area, breakdown, time_period
) AS l
LEFT JOIN
(
    SELECT
        toString(topic) AS topic, concat(toString(partition), ':', toString(offset)) AS place, partition, offset,
        any(toUnixTimestamp64Milli(received_at)) AS received_ms
    FROM rejected
    GROUP BY topic, place, partition, offset
) AS o
ON l.latest.3 = o.topic AND l.latest.6 = o.place
"""
CELL_COLUMNS = "indicator String, area String, breakdown String, time_period String"

Cell = tuple[str, str, str, str]
"""Indicator, area, breakdown, time_period."""


class State(enum.StrEnum):
    """Which rejects are meant."""

    OPEN = "open"
    CLOSED = "closed"
    ALL = "all"


STATES = {State.OPEN: "closed_by = ''", State.CLOSED: "closed_by != ''", State.ALL: "1"}


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a record lies; as text ``TOPIC:PARTITION:OFFSET``."""

    topic: str
    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form; ValueError says what is wrong with it."""
        found = PLACE.fullmatch(text)
        if found is None:
            raise ValueError(f"'{text[:80]}' is not TOPIC:PARTITION:OFFSET, as in gris.events.g01:0:17")
        return cls(found[1], int(found[2]), int(found[3]))

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """Which rejects: every condition that is given must hold; of several values of one, any.

    ``since`` (inclusive) and ``until`` (exclusive) are aware, and compared with the broker's timestamp of the record.
    """

    agencies: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    indicators: tuple[str, ...] = ()
    submissions: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    state: State = State.OPEN


@dataclasses.dataclass(frozen=True, slots=True)
class Reject:
    """One refused record without its bytes; ``closed_by`` is the place of the replay that was accepted, or empty."""

    place: Place
    received_at: dt.datetime
    rules: str
    closed_by: str
    reason: str
    field: str
    detail: str
    schema_id: int | None
    agency: str
    indicator: str
    submission: str


@dataclasses.dataclass(frozen=True, slots=True)
class Count:
    """How many records of an agency were refused for a reason, from the oldest to the newest of them."""

    oldest: dt.datetime
    newest: dt.datetime
    reason: str
    agency: str
    open: int
    closed: int


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """The verdict on a record."""

    reason: str
    field: str
    detail: str


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """The statement that counts for a cell, and where and when it was said first: a replay says again what was said."""

    revision: int
    partition: int
    offset: int
    received_at: dt.datetime

    def is_later_than(self, reject: Reject) -> bool:
        """Tell which came later; in another partition only the broker's clock can tell, and a tie counts as later."""
        if self.partition == reject.place.partition:
            return self.offset > reject.place.offset
        return self.received_at >= reject.received_at


def find(client: Client, selection: Selection, limit: int, *, newest_first: bool = False) -> list[Reject]:
    """List rejects by the broker's timestamp, at most ``limit``. Raises Retry or Fatal, as all below."""
    selected, given = _selected(selection)
    sql = LISTED.format(selected=selected, order="DESC" if newest_first else "ASC", limit=int(limit))
    rows = client.query(sql, given, settings=SETTINGS)
    return [Reject(Place(*row[:3]), _instant(row[3]), *row[4:]) for row in rows]


def count(client: Client, selection: Selection) -> list[Count]:
    """Count rejects by reason and agency, the most frequent first."""
    selected, given = _selected(selection)
    rows = client.query(COUNTED.format(selected=selected), given, settings=SETTINGS)
    return [Count(_instant(row[0]), _instant(row[1]), *row[2:]) for row in rows]


def sizes(client: Client, places: Iterable[Place]) -> dict[Place, int]:
    """Tell how many bytes the values of rejects have."""
    rows = client.query(SIZES.format(placed=_placed(places)), settings=SETTINGS)
    return {Place(*row[:3]): row[3] for row in rows}


def values(client: Client, places: Iterable[Place]) -> dict[Place, bytes | None]:
    """Read the values of rejects as they lay in the log; None for a tombstone."""
    rows = client.query(RAW.format(placed=_placed(places)), settings=SETTINGS)
    return {Place(*row[:3]): None if row[3] == "TOMBSTONE" else base64.b64decode(row[4]) for row in rows}


def refused(client: Client, places: Iterable[Place]) -> dict[Place, Refused]:
    """Tell of which of the places the record was refused, and why."""
    rows = client.query(REFUSED.format(placed=_placed(places)), settings=SETTINGS)
    return {Place(*row[:3]): Refused(*row[3:]) for row in rows}


def statements(client: Client, cells: Iterable[Cell]) -> dict[Cell, Statement]:
    """Give the statement that counts of each cell that was ever stated."""
    rows = [dict(zip(("indicator", "area", "breakdown", "time_period"), cell, strict=True)) for cell in set(cells)]
    if not rows:
        return {}
    found = client.query(STATEMENTS.format(cells=table(CELL_COLUMNS, rows)), settings=SETTINGS)
    return {
        (indicator, area, breakdown, time_period): Statement(revision, said_at[0], said_at[1], _instant(said_ms))
        for indicator, area, breakdown, time_period, revision, said_at, said_ms in found
    }


def _selected(selection: Selection) -> tuple[str, dict[str, object]]:
    where, given = ["1"], dict[str, object]()
    listed: dict[str, Sequence[str]] = {
        "agency": selection.agencies,
        "reason": selection.reasons,
        "indicator": selection.indicators,
        "submission": selection.submissions,
    }
    for column, allowed in listed.items():
        if allowed:
            where.append(f"{column} IN {{{column}:Array(String)}}")
            given[column] = list(allowed)
    for name, bound, compare in (("since", selection.since, ">="), ("until", selection.until, "<")):
        if bound is not None:
            where.append(f"received_at {compare} fromUnixTimestamp64Milli({{{name}:Int64}}, 'UTC')")
            given[name] = (bound - EPOCH) // MILLISECOND
    if selection.places:
        where.append(_placed(selection.places))
    return SELECTED.format(where=" AND ".join(where), state=STATES[selection.state]), given


def _placed(places: Iterable[Place]) -> str:
    return PLACED.format(places=table(PLACE_COLUMNS, map(dataclasses.asdict, places)))


def _instant(milliseconds: int) -> dt.datetime:
    return EPOCH + milliseconds * MILLISECOND
