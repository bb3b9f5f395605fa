"""What nothing accounts for: what a flush that was cut off left behind the ledger, and totals of what left."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

from sinks.clickhouse.client import Client

EPOCH = dt.date(1970, 1, 1)
# Waits until the rows are gone from every query, here and on replicas.
AT_ONCE = {"mutations_sync": 2, "lightweight_deletes_sync": 2}
KEYS_AT_ONCE = 5_000

LineKey = tuple[int, str, str]
"""Bucket (epoch day), indicator, breakdown."""
Key = tuple[int, str, str, str]
"""Bucket (epoch day), indicator, breakdown, area: a row of day_totals."""

HIGHEST = """
SELECT greatest(
    (SELECT max(version) FROM day_totals WHERE indicator IN {indicators:Array(String)}),
    (SELECT max(version) FROM floors WHERE topic = {topic:String} AND partition = {partition:UInt32})
)
"""
KEEP_HIGHEST = """
INSERT INTO floors SELECT {topic:String}, {partition:UInt32}, max(version) FROM day_totals
WHERE indicator IN {indicators:Array(String)}
"""
TOTALS = """
SELECT toInt32(bucket), indicator, breakdown, groupUniqArray(toString(area))
FROM day_totals
WHERE indicator IN {indicators:Array(String)} AND version > {next_offset:UInt64}
GROUP BY bucket, indicator, breakdown
"""
# By place, from where on; of a place that is not named, nothing.
BEHIND = """
offset >= transform(
    concat(toString(topic), ':', toString(partition)),
    {places:Array(String)}, {next_offsets:Array(UInt64)}, 18446744073709551615
)
"""
OTHERS = f"""
SELECT DISTINCT concat(topic, ':', toString(partition)), toString(indicator) FROM observations WHERE {BEHIND}
"""  # noqa: S608 - our own names
ELSEWHERE = """
SELECT toString(indicator), topic, partition FROM observations
WHERE indicator IN {indicators:Array(String)} AND NOT (topic = {topic:String} AND partition = {partition:UInt32})
LIMIT 1
"""
UNKNOWN = "indicator IN {indicators:Array(String)} AND version > {next_offset:UInt64}"
SUPERFLUOUS = (
    "version <= {version:UInt64}"
    " AND tuple(toInt32(bucket), indicator, breakdown, area) IN {keys:Array(Tuple(Int32, String, String, String))}"
)

UNKNOWN_TOTALS = """
SELECT toInt32(bucket), toString(indicator), toString(breakdown), toString(area) FROM day_totals FINAL
WHERE indicator NOT IN {indicators:Array(String)}
ORDER BY ALL
"""
DELETE_UNKNOWN = "DELETE FROM day_totals WHERE indicator NOT IN {indicators:Array(String)}"


def highest_version(client: Client, topic: str, partition: int, indicators: Sequence[str]) -> int:
    """Return the highest version at which a line of ``indicators``, those of the partition, may have been announced.

    It is that of a total, or of totals that were deleted since; 0 when there never were any. Raises Retry or Fatal.
    """
    given = {"topic": topic, "partition": partition, "indicators": list(indicators)}
    return int(client.query(HIGHEST, given)[0][0])


def totals_behind(client: Client, indicators: Sequence[str], next_offset: int) -> dict[LineKey, list[str]]:
    """Name the lines, and in each the areas, of which a flush beyond ``next_offset`` wrote totals.

    Raises Retry or Fatal.
    """
    rows = client.query(TOTALS, {"indicators": list(indicators), "next_offset": next_offset})
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def elsewhere(client: Client, topic: str, partition: int, indicators: Sequence[str]) -> tuple[str, str, int] | None:
    """Find an indicator of which another topic or partition has statements: its code, that topic and partition.

    Raises Retry or Fatal.
    """
    given = {"topic": topic, "partition": partition, "indicators": list(indicators)}
    return next(((row[0], row[1], row[2]) for row in client.query(ELSEWHERE, given)), None)


@dataclasses.dataclass(frozen=True, slots=True)
class Behind:
    """What lies behind the ledger in a partition; ``indicators`` are those of the partition by now."""

    topic: str
    partition: int
    next_offset: int
    indicators: Sequence[str]

    @property
    def place(self) -> str:
        """``topic:partition``."""
        return f"{self.topic}:{self.partition}"


def delete_rows(client: Client, behind: Sequence[Behind], *, rules: str) -> None:
    """Delete what other rules than ``rules`` judged behind the ledger, of all partitions at once.

    That are observations and rejected, and the totals that a flush wrote there of indicators which are no longer those
    of their partition: nothing will ever account for them. Rows judged by ``rules`` themselves stay: they will be
    written again, equal; and a worker that comes late to this can take away nothing that its successor has stored. Any
    step may be repeated. Raises Retry or Fatal.
    """
    given: dict[str, Any] = {
        "places": [at.place for at in behind],
        "next_offsets": [at.next_offset for at in behind],
        "rules": rules,
    }
    # Totals first: it is the observations that tell of them.
    stated = client.query(OTHERS, given)
    for at in behind:
        gone = [code for place, code in stated if place == at.place and code not in at.indicators]
        if gone:
            # Lines of these versions may be out, and the indicators may come back.
            client.command(KEEP_HIGHEST, {"topic": at.topic, "partition": at.partition, "indicators": gone})
            of_gone = {"indicators": gone, "next_offset": at.next_offset}
            client.command(f"DELETE FROM day_totals WHERE {UNKNOWN}", of_gone, AT_ONCE)  # noqa: S608 - our own names
    judged_otherwise = f"{BEHIND} AND rules != {{rules:String}}"
    for table in ("observations", "rejected"):
        # A deletion rewrites parts, and takes half a second: not for nothing, and not for each partition.
        if client.query(f"SELECT 1 FROM {table} WHERE {judged_otherwise} LIMIT 1", given):  # noqa: S608 - our own names
            client.command(f"DELETE FROM {table} WHERE {judged_otherwise}", given, AT_ONCE)  # noqa: S608 - our own names


def delete_totals(client: Client, keys: Sequence[Key], version: int) -> None:
    """Delete rows of day_totals by key, all versions up to ``version``: a later flush may have a row there again.

    Raises Retry or Fatal.
    """
    for at in range(0, len(keys), KEYS_AT_ONCE):
        given = {"keys": list(keys[at : at + KEYS_AT_ONCE]), "version": version}
        client.command(f"DELETE FROM day_totals WHERE {SUPERFLUOUS}", given, AT_ONCE)  # noqa: S608 - our own names


def unknown_totals(client: Client, known: Sequence[str]) -> list[Key]:
    """Name the rows of day_totals of indicators that are not among ``known``, in order. Raises Retry or Fatal."""
    rows = client.query(UNKNOWN_TOTALS, {"indicators": list(known)})
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def delete_unknown_totals(client: Client, known: Sequence[str]) -> None:
    """Delete the rows of day_totals of indicators that are not among ``known``. Raises Retry or Fatal."""
    client.command(DELETE_UNKNOWN, {"indicators": list(known)}, AT_ONCE)
