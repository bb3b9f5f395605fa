"""What a crash left behind the ledger: rows and totals of a flush that was begun and not finished."""

import datetime as dt
from collections.abc import Sequence

from sinks.clickhouse.client import Client

EPOCH = dt.date(1970, 1, 1)
# Waits until the rows are gone from every query, here and on replicas.
AT_ONCE = {"mutations_sync": 2, "lightweight_deletes_sync": 2}
KEYS_AT_ONCE = 5_000

Key = tuple[int, str, str, str]
"""Bucket (epoch day), indicator, breakdown, area: a row of day_totals."""

HIGHEST = "SELECT max(version) FROM day_totals WHERE indicator IN {indicators:Array(String)}"
TOTALS = """
SELECT DISTINCT toInt32(bucket), indicator, breakdown, area
FROM day_totals
WHERE indicator IN {indicators:Array(String)} AND version > {next_offset:UInt64}
"""
BEHIND = "topic = {topic:String} AND partition = {partition:UInt32} AND offset >= {next_offset:UInt64}"
SUPERFLUOUS = "tuple(toInt32(bucket), indicator, breakdown, area) IN {keys:Array(Tuple(Int32, String, String, String))}"


def highest_version(client: Client, indicators: Sequence[str]) -> int:
    """Return the highest version of any total of ``indicators``; 0 when there is none. Raises Retry or Fatal."""
    return int(client.query(HIGHEST, {"indicators": list(indicators)})[0][0])


def totals_behind(client: Client, indicators: Sequence[str], next_offset: int) -> list[Key]:
    """Name the rows of day_totals that a flush beyond ``next_offset`` wrote. Raises Retry or Fatal."""
    rows = client.query(TOTALS, {"indicators": list(indicators), "next_offset": next_offset})
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def delete_rows(client: Client, topic: str, partition: int, next_offset: int) -> None:
    """Delete observations and rejected of a partition from ``next_offset`` on. Raises Retry or Fatal."""
    given = {"topic": topic, "partition": partition, "next_offset": next_offset}
    for table in ("observations", "rejected"):
        # A deletion rewrites parts: not for nothing.
        if client.query(f"SELECT 1 FROM {table} WHERE {BEHIND} LIMIT 1", given):  # noqa: S608 - our own names
            client.command(f"DELETE FROM {table} WHERE {BEHIND}", given, AT_ONCE)  # noqa: S608 - our own names


def delete_totals(client: Client, keys: Sequence[Key]) -> None:
    """Delete rows of day_totals by key, all versions of them. Raises Retry or Fatal."""
    for at in range(0, len(keys), KEYS_AT_ONCE):
        given = {"keys": list(keys[at : at + KEYS_AT_ONCE])}
        client.command(f"DELETE FROM day_totals WHERE {SUPERFLUOUS}", given, AT_ONCE)  # noqa: S608 - our own names
