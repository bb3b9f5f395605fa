"""The verdicts on the same events in two databases: how many there are, and where they are not the same."""

import dataclasses
from collections import Counter
from typing import Any

from sinks.clickhouse import literals
from sinks.clickhouse.client import Client
from sinks.clickhouse.recompute import SETTINGS

OFFSETS_AT_ONCE = 100_000  # offsets of one checksum
SUMS_AT_ONCE = 20  # checksums that differ and are looked into together
EXAMPLE_CHARACTERS = 200

# Everything of a row but the hash of the rules that judged it: of equal content, that may differ.
VERDICTS = """
SELECT
    topic, partition, offset, toString(agency) AS agency, toString(indicator) AS indicator,
    'accepted' AS verdict, '' AS detail, {side} AS side,
    cityHash64(
        agency, indicator, area, breakdown, time_period, bucket, ifNull(toString(value), ''),
        ifNull(toString(base), ''), status, revision, isNull(note), ifNull(note, ''), submission, observed_at,
        received_at, version, replay_of
    ) AS hash
FROM {database}.observations FINAL
UNION ALL
SELECT
    topic, partition, offset, toString(agency), indicator, toString(reason), concat(field, ': ', detail), {side},
    cityHash64(reason, field, detail, raw, ifNull(schema_id, -1), agency, indicator, submission, received_at)
FROM {database}.rejected FINAL
"""
SUMS = """
SELECT topic, partition, intDiv(offset, {step}) AS part, countIf(side = 0) AS rows
FROM ({present} UNION ALL {rebuilt}) AS said
INNER JOIN {below} AS b USING (topic, partition)
WHERE offset < b.below
GROUP BY topic, partition, part
"""
DIFFERENT_SUMS = "HAVING sumIf(hash, side = 0) != sumIf(hash, side = 1) OR rows != countIf(side = 1)"
DETAILS = """
SELECT agency, was, now, count() AS events, argMin(example, (topic, partition, offset))
FROM
(
    SELECT
        topic, partition, offset, any(agency) AS agency,
        anyIf(verdict, side = 0) AS was, anyIf(verdict, side = 1) AS now,
        format('{{}}/{{}}:{{}} {{}} {{}}', topic, toString(partition), toString(offset), any(indicator), max(detail))
            AS example
    FROM ({present} UNION ALL {rebuilt}) AS said
    INNER JOIN {below} AS b USING (topic, partition)
    WHERE offset < b.below AND (topic, partition, intDiv(offset, {step})) IN {parts}
    GROUP BY topic, partition, offset
    HAVING was != now OR anyIf(hash, side = 0) != anyIf(hash, side = 1)
)
GROUP BY agency, was, now
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """Events of an agency judged so in the present tables and so in the rebuilt ones.

    ``was`` and ``now`` are "accepted", a reason, or empty for no row at all; equal when what was stored differs.
    """

    agency: str
    was: str
    now: str
    events: int
    example: str


def count(client: Client, present: str, rebuilt: str, below: str) -> Counter[tuple[str, int]]:
    """Count the events of the present database by topic and partition.

    ``present`` and ``rebuilt`` are databases, quoted; ``below`` is a table of topic, partition and the offset up to
    which they are looked at. Raises Retry or Fatal.
    """
    events: Counter[tuple[str, int]] = Counter()
    for topic, partition, _, rows in _ask(client, SUMS, present, rebuilt, below):
        events[topic, partition] += rows
    return events


def compare(client: Client, present: str, rebuilt: str, below: str) -> tuple[Verdict, ...]:
    """Sum up where the two judged or stored differently: first by checksums, then event by event.

    Most events first. Raises Retry or Fatal.
    """
    parts = [row[:3] for row in _ask(client, SUMS + DIFFERENT_SUMS, present, rebuilt, below)]
    found: dict[tuple[str, str, str], Verdict] = {}
    for at in range(0, len(parts), SUMS_AT_ONCE):
        chosen = ", ".join(f"({literals.text(t)}, {p}, {n})" for t, p, n in parts[at : at + SUMS_AT_ONCE])
        for agency, was, now, events, example in _ask(client, DETAILS, present, rebuilt, below, f"({chosen})"):
            one = found.get((agency, was, now), Verdict(agency, was, now, 0, example[:EXAMPLE_CHARACTERS]))
            found[agency, was, now] = dataclasses.replace(one, events=one.events + events)
    return tuple(sorted(found.values(), key=lambda one: (-one.events, one.agency, one.was, one.now)))


def _ask(client: Client, sql: str, present: str, rebuilt: str, below: str, parts: str = "") -> list[tuple[Any, ...]]:
    sides = {
        "present": VERDICTS.format(database=present, side=0),
        "rebuilt": VERDICTS.format(database=rebuilt, side=1),
    }
    return client.query(sql.format(**sides, below=below, step=OFFSETS_AT_ONCE, parts=parts), settings=SETTINGS)
