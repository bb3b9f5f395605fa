"""The ledger: where each partition stands. Reading starts here, never at Kafka's committed offset."""

import dataclasses
from collections.abc import Sequence

from sinks.clickhouse.client import Client

READ = """
SELECT topic, partition, next_offset, accepted, rejected, skipped, rules, topic_id, partitions
FROM ledger FINAL
WHERE topic IN {topics:Array(String)}
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Position:
    """One row: the next offset to read of a partition, and the counts of the whole prefix before it.

    ``next_offset == accepted + rejected + skipped`` always. ``rules`` are those under which the partition was opened
    last: they judged what may be stored behind the position, and whatever of the prefix came since. ``topic_id`` and
    ``partitions`` are the topic's identity, which never changes under a ledger.
    """

    topic: str
    partition: int
    next_offset: int
    accepted: int
    rejected: int
    skipped: int
    rules: str
    topic_id: str
    partitions: int


def read(client: Client, topics: Sequence[str]) -> dict[tuple[str, int], Position]:
    """Return the newest position of every partition of ``topics`` that has one. Raises Retry or Fatal."""
    rows = client.query(READ, {"topics": list(topics)})
    return {(row[0], row[1]): Position(*row) for row in rows}
