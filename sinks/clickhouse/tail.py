"""What nothing accounts for: what a flush that was cut off left behind the ledger, and totals of what left."""

import dataclasses
import datetime as dt
from collections.abc import Sequence

from sinks.clickhouse import literals
from sinks.clickhouse.client import Client
from sinks.clickhouse.recompute import SETTINGS

EPOCH = dt.date(1970, 1, 1)
# Lists are literals: parameters of a command travel in the URL, which has its limits. SETTINGS let a statement be long.
# A deletion returns when the rows are gone from every query, here and on replicas.
AT_ONCE = {**SETTINGS, "mutations_sync": 2, "lightweight_deletes_sync": 2}
KEYS_AT_ONCE = 5_000  # a Replicated table keeps the statement in Keeper, which takes 1 MB

LineKey = tuple[int, str, str]
"""Bucket (epoch day), indicator, breakdown."""
Key = tuple[int, str, str, str]
"""Bucket (epoch day), indicator, breakdown, area: a row of day_totals."""

HIGHEST = """
SELECT greatest(
    (SELECT max(version) FROM day_totals WHERE indicator IN {indicators}),
    (SELECT max(version) FROM floors WHERE topic = {topic} AND partition = {partition})
)
"""
KEEP_HIGHEST = """
INSERT INTO floors SELECT {topic}, {partition}, max(version) FROM day_totals WHERE indicator IN {indicators}
"""
TOTALS = """
SELECT toInt32(bucket), indicator, breakdown, groupUniqArray(toString(area))
FROM day_totals
WHERE indicator IN {indicators} AND version > {next_offset}
GROUP BY bucket, indicator, breakdown
"""
# By place, from where on; of a place that is not named, nothing.
BEHIND = """
offset >= transform(
    concat(toString(topic), ':', toString(partition)),
    CAST({places}, 'Array(String)'), CAST({next_offsets}, 'Array(UInt64)'), 18446744073709551615
)
"""
OTHERS = """
SELECT DISTINCT concat(topic, ':', toString(partition)), toString(indicator) FROM observations WHERE {behind}
"""
OTHERWISE = "{behind} AND rules != {rules}"
ELSEWHERE = """
SELECT toString(indicator), topic, partition FROM observations
WHERE indicator IN {indicators} AND NOT (topic = {topic} AND partition = {partition})
LIMIT 1
"""
DELETE_GONE = "DELETE FROM day_totals WHERE indicator IN {indicators} AND version > {next_offset}"
DELETE_SUPERFLUOUS = """
DELETE FROM day_totals
WHERE version <= {version} AND tuple(toInt32(bucket), indicator, breakdown, area) IN {keys}
"""
UNKNOWN_TOTALS = """
SELECT toInt32(bucket), toString(indicator), toString(breakdown), toString(area) FROM day_totals FINAL
WHERE indicator NOT IN {indicators}
ORDER BY ALL
"""
DELETE_UNKNOWN = "DELETE FROM day_totals WHERE indicator NOT IN {indicators}"


def highest_version(client: Client, topic: str, partition: int, indicators: Sequence[str]) -> int:
    """Return the highest version at which a line of ``indicators``, those of the partition, may have been announced.

    It is that of a total, or of totals that were deleted since; 0 when there never were any. Raises Retry or Fatal.
    """
    sql = HIGHEST.format(topic=literals.text(topic), partition=partition, indicators=literals.texts(indicators))
    return int(client.query(sql, settings=SETTINGS)[0][0])


def totals_behind(client: Client, indicators: Sequence[str], next_offset: int) -> dict[LineKey, list[str]]:
    """Name the lines, and in each the areas, of which a flush beyond ``next_offset`` wrote totals.

    Raises Retry or Fatal.
    """
    sql = TOTALS.format(indicators=literals.texts(indicators), next_offset=next_offset)
    rows = client.query(sql, settings=SETTINGS)
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def elsewhere(client: Client, topic: str, partition: int, indicators: Sequence[str]) -> tuple[str, str, int] | None:
    """Find an indicator of which another topic or partition has statements: its code, that topic and partition.

    Raises Retry or Fatal.
    """
    sql = ELSEWHERE.format(topic=literals.text(topic), partition=partition, indicators=literals.texts(indicators))
    return next(((row[0], row[1], row[2]) for row in client.query(sql, settings=SETTINGS)), None)


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
    beyond = BEHIND.format(
        places=literals.array(at.place for at in behind), next_offsets=literals.array(at.next_offset for at in behind)
    )
    # Totals first: it is the observations that tell of them.
    stated: dict[str, list[str]] = {}
    for place, code in client.query(OTHERS.format(behind=beyond), settings=SETTINGS):
        stated.setdefault(place, []).append(code)
    for at in behind:
        if gone := sorted(set(stated.get(at.place, ())).difference(at.indicators)):
            _delete_gone(client, at, literals.texts(gone))
    otherwise = OTHERWISE.format(behind=beyond, rules=literals.text(rules))
    for table in ("observations", "rejected"):
        # A deletion rewrites parts, and takes half a second: not for nothing, and not for each partition.
        if client.query(f"SELECT 1 FROM {table} WHERE {otherwise} LIMIT 1", settings=SETTINGS):  # noqa: S608 - our own
            client.command(f"DELETE FROM {table} WHERE {otherwise}", settings=AT_ONCE)  # noqa: S608 - our own


def _delete_gone(client: Client, at: Behind, gone: str) -> None:
    # Lines of these versions may be out, and the indicators may come back.
    topic = literals.text(at.topic)
    client.command(KEEP_HIGHEST.format(topic=topic, partition=at.partition, indicators=gone), settings=SETTINGS)
    client.command(DELETE_GONE.format(indicators=gone, next_offset=at.next_offset), settings=AT_ONCE)


def delete_totals(client: Client, keys: Sequence[Key], version: int) -> None:
    """Delete rows of day_totals by key, all versions up to ``version``: a later flush may have a row there again.

    Raises Retry or Fatal.
    """
    for at in range(0, len(keys), KEYS_AT_ONCE):
        some = literals.array(keys[at : at + KEYS_AT_ONCE])
        client.command(DELETE_SUPERFLUOUS.format(version=version, keys=some), settings=AT_ONCE)


def unknown_totals(client: Client, known: Sequence[str]) -> list[Key]:
    """Name the rows of day_totals of indicators that are not among ``known``, in order. Raises Retry or Fatal."""
    rows = client.query(UNKNOWN_TOTALS.format(indicators=literals.texts(known)), settings=SETTINGS)
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def delete_unknown_totals(client: Client, known: Sequence[str]) -> None:
    """Delete the rows of day_totals of indicators that are not among ``known``. Raises Retry or Fatal."""
    client.command(DELETE_UNKNOWN.format(indicators=literals.texts(known)), settings=AT_ONCE)
