"""What of the logs of events is not stored yet: the one answer for all who wait for the worker, or tell how far it is.

A log may end in offsets that no reader is ever given: an agency's transaction leaves a marker there, and an aborted one
its records. The ledger stays before them, so it is not held against the raw end.
"""

import asyncio
from collections.abc import Mapping, Sequence

from deploy import topics
from sinks.clickhouse import ledger
from sinks.clickhouse.client import Client

Ends = Mapping[tuple[str, int], int]
"""By topic and partition, the offset that the ledger must reach."""


def wanted(bootstrap: str, client: Client, names: Sequence[str]) -> Ends:
    """Tell where the ledger is once all is stored that can be read of the topics ``names`` now. Raises Retry, Fatal."""
    there = ledger.read(client, names)
    found = topics.ends(bootstrap, names)
    read = {at: there[at].next_offset if at in there else 0 for at in found}
    behind = {at: read[at] for at, end in found.items() if read[at] < end}
    if behind:
        from streams.readable import readable_ends  # noqa: PLC0415 - not for nothing: it brings aiokafka along

        found |= asyncio.run(readable_ends(bootstrap, behind))
    return found


def unread(client: Client, ends: Ends) -> dict[tuple[str, int], int]:
    """Count by topic and partition, where there are any, the offsets below ``ends`` that are not stored yet."""
    there = ledger.read(client, sorted({topic for topic, _ in ends}))
    left = {at: end - (there[at].next_offset if at in there else 0) for at, end in ends.items()}
    return {at: count for at, count in left.items() if count > 0}
