"""Read-back: what a worker needs to open a partition, and to rebuild a cube of a day that is not in memory."""

import datetime as dt
from collections.abc import Sequence

import pyarrow as pa

from sinks.clickhouse import literals
from sinks.clickhouse.client import Client
from sinks.clickhouse.recompute import SETTINGS

EPOCH = dt.date(1970, 1, 1)
CELLS = """
SELECT
    indicator,
    area,
    breakdown,
    time_period,
    toInt32(bucket) AS day,
    toInt64(CAST(ifNull(latest.1, 0), 'Decimal(38, 4)') * 10000) AS ticks,
    toInt64(CAST(ifNull(latest.2, 0), 'Decimal(38, 4)') * 10000) AS base,
    toUInt8(position('ABEFIMP', latest.3) - 1) AS status,
    version
FROM
(
    SELECT
        indicator, area, breakdown, time_period, bucket,
        max(observations.version) AS version,
        argMax((value, base, status), observations.version) AS latest
    FROM observations
    WHERE topic = {topic:String} AND partition = {partition:UInt32}
        AND bucket IN {days} AND offset < {below:UInt64}
        AND (empty({indicators:Array(String)}) OR indicator IN {indicators:Array(String)})
    GROUP BY indicator, area, breakdown, time_period, bucket
)
"""
STORED_DAYS = """
SELECT DISTINCT toInt32(bucket)
FROM observations
WHERE topic = {topic:String} AND partition = {partition:UInt32} AND offset < {below:UInt64}
"""
NEWEST = """
SELECT toUnixTimestamp64Milli(max(received_at))
FROM observations
WHERE topic = {topic:String} AND partition = {partition:UInt32} AND offset < {below:UInt64}
"""
TOTAL_DAYS = "SELECT DISTINCT toInt32(bucket) FROM day_totals WHERE indicator IN {indicators:Array(String)}"
TOTALS = """
SELECT
    bucket, indicator, area, breakdown,
    value, min, max, areas_reported, areas_expected, cells, status, flags
FROM day_totals FINAL
WHERE indicator IN {indicators:Array(String)} AND bucket IN {days}
"""
TEXT = pa.dictionary(pa.int32(), pa.string())
CELL_COLUMNS = pa.schema(
    [
        ("indicator", TEXT),
        ("area", TEXT),
        ("breakdown", TEXT),
        ("time_period", TEXT),
        ("day", pa.int32()),
        ("ticks", pa.int64()),
        ("base", pa.int64()),
        ("status", pa.uint8()),
        ("version", pa.uint64()),
    ]
)


def stored_days(client: Client, topic: str, partition: int, below_offset: int) -> list[int]:
    """Name the days (epoch days) of which statements of the partition are stored, in no order."""
    rows = client.query(STORED_DAYS, {"topic": topic, "partition": partition, "below": below_offset})
    return [row[0] for row in rows]


def cells(
    client: Client,
    topic: str,
    partition: int,
    days: Sequence[int],
    below_offset: int,
    *,
    indicators: Sequence[str] = (),
) -> pa.Table:
    """Return the newest statement before ``below_offset`` of every cell of ``days`` (epoch days) in the partition.

    ``indicators`` narrows it to some codes; none means all.

    Columns: indicator, area, breakdown, time_period dictionary<int32, string>; day int32; ticks int64 (0 for status M);
    base int64 ticks (0 for none); status uint8, an index in "ABEFIMP"; version uint64. No order. Raises Retry or Fatal.
    """
    given = {
        "topic": topic,
        "partition": partition,
        "below": below_offset,
        "indicators": list(indicators),
    }
    return client.arrow(of_days(CELLS, days), given, SETTINGS)


def newest(client: Client, topic: str, partition: int, below_offset: int) -> int:
    """Return the broker time (ms) of the partition's newest statement below an offset; 0 for none."""
    given = {"topic": topic, "partition": partition, "below": below_offset}
    return int(client.query(NEWEST, given)[0][0])


def total_days(client: Client, indicators: Sequence[str]) -> list[int]:
    """Name the days (epoch days) of which totals of ``indicators`` are stored, in no order. Raises Retry or Fatal."""
    return [row[0] for row in client.query(TOTAL_DAYS, {"indicators": list(indicators)})]


def totals(client: Client, indicators: Sequence[str], days: Sequence[int]) -> pa.Table:
    """Return the rows of day_totals of ``indicators`` on ``days`` (epoch days), without version and updated_at.

    In no order. Raises Retry or Fatal.
    """
    return client.arrow(of_days(TOTALS, days), {"indicators": list(indicators)}, SETTINGS)


def of_days(sql: str, days: Sequence[int]) -> str:
    """Write epoch days for ``{days}``, as a literal: decades are more than a server takes as a parameter."""
    dates = literals.array((EPOCH + dt.timedelta(days=int(day))).isoformat() for day in days)
    return sql.replace("{days}", f"CAST({dates}, 'Array(Date)')")
