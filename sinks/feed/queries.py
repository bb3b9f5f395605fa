"""What the feed asks ClickHouse: SQL and the shape of its answers.

Every function blocks; Retry and Fatal come from the client. Dates and instants go in as parameters, figures come out as
ticks: a driver's Decimal or float never holds one.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from schemas.catalogue import Catalogue
from sinks.clickhouse.client import Client
from sinks.feed.book import Bucket
from sinks.feed.line import Line, date_of, day_of, from_rows

BUCKETS = "SELECT indicator, groupUniqArray(bucket) FROM day_totals GROUP BY indicator"

LINES = """
SELECT toInt32(bucket), indicator, breakdown, version, toUnixTimestamp64Milli(updated_at), status, flags, area,
       toInt64(toDecimal128(value, 4) * 10000), toInt64(toDecimal128(min, 4) * 10000),
       toInt64(toDecimal128(max, 4) * 10000), areas_reported, areas_expected, cells
FROM day_totals FINAL
WHERE bucket IN {days:Array(Date)} AND indicator IN {indicators:Array(String)}
ORDER BY bucket, indicator, breakdown, area
"""

NEWEST_AS_OF = """
SELECT indicator, max(bucket) FROM observations
WHERE bucket <= {day:Date} AND indicator IN {indicators:Array(String)}
    AND received_at <= fromUnixTimestamp64Milli({as_of:Int64})
GROUP BY indicator
"""

STAMPS_AS_OF = """
SELECT toInt32(bucket), indicator, breakdown, max(offset) + 1, max(toUnixTimestamp64Milli(received_at))
FROM observations
WHERE bucket IN {days:Array(Date)} AND indicator IN {indicators:Array(String)}
    AND received_at <= fromUnixTimestamp64Milli({as_of:Int64})
GROUP BY bucket, indicator, breakdown
"""

STATEMENT = """
agency, indicator, area, breakdown, time_period, toString(bucket),
toInt64(toDecimal128(value, 4) * 10000), toInt64(toDecimal128(base, 4) * 10000), status, revision, note, submission,
toUnixTimestamp64Milli(observed_at), toUnixTimestamp64Milli(received_at), topic, partition, offset, version, replay_of
"""

SUBMISSION_ACCEPTED = """
SELECT uniqExact(topic, partition, offset) FROM observations
WHERE agency = {agency:String} AND submission = {submission:String}
"""

SUBMISSION_REJECTED = """
SELECT topic, partition, offset, reason, field, detail, indicator, toUnixTimestamp64Milli(received_at),
       (topic, concat(toString(partition), ':', toString(offset))) IN (
           SELECT topic, replay_of FROM observations WHERE agency = {agency:String} AND replay_of != ''
       )
FROM rejected FINAL
WHERE agency = {agency:String} AND submission = {submission:String}
ORDER BY topic, partition, offset
"""

RECEIVED = "SELECT indicator, toUnixTimestamp64Milli(max(received_at)) FROM observations GROUP BY indicator"

REPORTED = """
SELECT DISTINCT indicator, time_period FROM latest_observations
WHERE indicator IN {indicators:Array(String)} AND bucket IN {days:Array(Date)} AND status != 'M'
"""


class Statement(NamedTuple):
    """One row of observations: an accepted statement. ``value`` and ``base`` are ticks, instants ms since the epoch."""

    agency: str
    indicator: str
    area: str
    breakdown: str
    time_period: str
    bucket: str
    value: int | None
    base: int | None
    status: str
    revision: int
    note: str | None
    submission: str
    observed_at: int
    received_at: int
    topic: str
    partition: int
    offset: int
    version: int
    replay_of: str


class Place(NamedTuple):
    """A place in the order of observations: the key of the table, which is unique per statement."""

    indicator: str
    bucket: str
    area: str
    breakdown: str
    time_period: str
    version: int


class StatementFilter(NamedTuple):
    """Which statements are asked for; None means any. Dates are buckets, both included."""

    indicator: str | None = None
    area: str | None = None
    first: dt.date | None = None
    last: dt.date | None = None
    as_of: dt.datetime | None = None


class Refused(NamedTuple):
    """One rejected record of a submission; ``closed`` when a replay of it was accepted."""

    topic: str
    partition: int
    offset: int
    reason: str
    field: str
    detail: str
    indicator: str | None
    received_at: int
    closed: bool


def buckets(client: Client) -> list[Bucket]:
    """Read which buckets have day totals."""
    return [Bucket(indicator, day_of(bucket)) for indicator, dates in client.query(BUCKETS) for bucket in dates]


def lines(client: Client, wanted: Sequence[Bucket]) -> dict[Bucket, list[Line]]:
    """Read the lines of these buckets; one without rows has none."""
    found: dict[Bucket, list[Line]] = {bucket: [] for bucket in wanted}
    rows = client.query(LINES, _pairs(wanted))
    for (day, indicator, _), group in groupby(rows, key=lambda row: row[:3]):
        if (bucket := Bucket(indicator, day)) in found:
            found[bucket].append(from_rows(list(group)))
    return found


def lines_as_of(
    client: Client, catalogue: Catalogue, day: dt.date, as_of: dt.datetime, indicators: Sequence[str]
) -> dict[Bucket, list[Line]]:
    """Compute the newest lines on or before ``day`` from the statements received by ``as_of``.

    A line's version is one more than the highest offset of its statements, its ``updated_at`` their newest timestamp.
    """
    from sinks.clickhouse.recompute import recompute  # noqa: PLC0415 - only this rare question needs it

    moment = int(as_of.timestamp() * 1000)
    asked = {"day": day, "as_of": moment, "indicators": list(indicators)}
    found = {Bucket(code, day_of(bucket)): list[Line]() for code, bucket in client.query(NEWEST_AS_OF, asked)}
    if not found:
        return {}
    pairs = _pairs(list(found))
    stamps = {tuple(row[:3]): row[3:] for row in client.query(STAMPS_AS_OF, {**pairs, "as_of": moment})}
    totals = recompute(
        client,
        catalogue,
        as_of=as_of,
        days=[day_of(date) for date in pairs["days"]],
        indicators=pairs["indicators"],
    ).to_pylist()
    key = _line_key
    for (bucket_day, code, breakdown), rows in groupby(sorted(totals, key=key), key=key):
        bucket = Bucket(code, bucket_day)
        stamp = stamps.get((bucket_day, code, breakdown))
        if bucket in found and stamp is not None:
            found[bucket].append(from_rows([_total_row(row, *stamp) for row in rows]))
    return found


def statements(client: Client, wanted: StatementFilter, after: Place | None, limit: int) -> list[Statement]:
    """Read accepted statements in the order of Place, at most ``limit``."""
    conditions = {
        "indicator = {indicator:String}": ("indicator", wanted.indicator),
        "area = {area:String}": ("area", wanted.area),
        "bucket >= {first:Date}": ("first", wanted.first),
        "bucket <= {last:Date}": ("last", wanted.last),
        "received_at <= fromUnixTimestamp64Milli({as_of:Int64})": (
            "as_of",
            None if wanted.as_of is None else int(wanted.as_of.timestamp() * 1000),
        ),
    }
    given = {condition: pair for condition, pair in conditions.items() if pair[1] is not None}
    params: dict[str, Any] = dict(given.values())
    where = list(given)
    if after is not None:
        where.append(
            "(indicator, bucket, area, breakdown, time_period, version) > "
            "({at_indicator:String}, {at_bucket:Date}, {at_area:String}, {at_breakdown:String}, {at_period:String}, "
            "{at_version:UInt64})"
        )
        params |= {
            "at_indicator": after.indicator,
            "at_bucket": dt.date.fromisoformat(after.bucket),
            "at_area": after.area,
            "at_breakdown": after.breakdown,
            "at_period": after.time_period,
            "at_version": after.version,
        }
    sql = (
        f"SELECT {STATEMENT} FROM observations FINAL WHERE {' AND '.join(where) or '1'} "  # noqa: S608 - texts of ours
        f"ORDER BY indicator, bucket, area, breakdown, time_period, version LIMIT {int(limit)}"
    )
    return [Statement(*row) for row in client.query(sql, params)]


def submission(client: Client, agency: str, reference: str) -> tuple[int, list[Refused]]:
    """Count the accepted records of a submission and read its rejected ones."""
    params = {"agency": agency, "submission": reference}
    accepted = client.query(SUBMISSION_ACCEPTED, params)[0][0]
    refused = [Refused._make((*row[:8], bool(row[8]))) for row in client.query(SUBMISSION_REJECTED, params)]
    return accepted, refused


def received(client: Client) -> dict[str, int]:
    """Read per indicator when its newest accepted statement was received, ms since the epoch."""
    return dict(client.query(RECEIVED))


def reported(client: Client, indicators: Sequence[str], days: Iterable[int]) -> set[tuple[str, str]]:
    """Read which (indicator, time_period) of these buckets have a figure that was not withdrawn."""
    params = {"indicators": list(indicators), "days": [date_of(day) for day in sorted(set(days))]}
    return {(indicator, period) for indicator, period in client.query(REPORTED, params)}


def _pairs(wanted: Sequence[Bucket]) -> dict[str, Any]:
    return {
        "days": [date_of(day) for day in sorted({bucket.day for bucket in wanted})],
        "indicators": sorted({bucket.indicator for bucket in wanted}),
    }


def _line_key(row: dict[str, Any]) -> tuple[int, str, str]:
    bucket = row["bucket"]
    return (day_of(bucket) if isinstance(bucket, dt.date) else bucket, row["indicator"], row["breakdown"])


def _total_row(row: dict[str, Any], version: int, updated_at: int) -> tuple[Any, ...]:
    ticks = (None if row[name] is None else int(row[name].scaleb(4)) for name in ("value", "min", "max"))
    counts = (row["areas_reported"], row["areas_expected"], row["cells"])
    return (*_line_key(row), version, updated_at, row["status"], row["flags"], row["area"], *ticks, *counts)
