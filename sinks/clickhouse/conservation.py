"""Conservation: every offset below the ledger's next is accepted, rejected or skipped, exactly once."""

import dataclasses

from sinks.clickhouse import literals
from sinks.clickhouse.client import Client

# {ledger} is what was read before: whatever lies below it is stored by now, even while a worker writes.
# Bitmaps count distinct offsets exactly, in bits. FINAL leaves one row per key: a second one of an offset is impure.
STORED = """
SELECT
    topic,
    partition,
    groupBitmapIf(offset, refused = 0 AND offset < next_offset) AS accepted,
    groupBitmapIf(offset, refused = 1 AND offset < next_offset) AS rejected,
    bitmapAndCardinality(
        groupBitmapStateIf(offset, refused = 0 AND offset < next_offset),
        groupBitmapStateIf(offset, refused = 1 AND offset < next_offset)
    ) AS both,
    countIf(refused = 0 AND offset < next_offset) - accepted AS doubled,
    countIf(refused = 0 AND version != bitShiftLeft(toUInt64(revision), 40) + offset + 1) AS misnumbered,
    countIf(offset >= next_offset) AS ahead
FROM
(
    SELECT topic, partition, offset, 0 AS refused, version, revision FROM observations FINAL
    UNION ALL
    SELECT topic, partition, offset, 1, 0, 0 FROM rejected FINAL
) AS stored
LEFT JOIN {ledger} AS l USING (topic, partition)
GROUP BY topic, partition
"""
LEDGER = "SELECT topic, partition, next_offset, accepted, rejected, skipped FROM ledger FINAL"


@dataclasses.dataclass(frozen=True, slots=True)
class Partition:
    """What the ledger says of a partition, and what is stored of the offsets below its next one.

    ``both`` offsets are accepted and rejected at once, ``doubled`` rows state an offset a second time under another
    key, ``misnumbered`` observations bear a version that is not (revision << 40) + offset + 1. ``ahead`` rows lie at or
    after the next offset: the tail that a crash leaves and a restart repeats, no fault.
    """

    topic: str
    partition: int
    next_offset: int
    accepted: int
    rejected: int
    skipped: int
    stored_accepted: int
    stored_rejected: int
    both: int
    doubled: int
    misnumbered: int
    ahead: int

    @property
    def difference(self) -> int:
        """How many offsets are unaccounted for or counted twice; 0 when all is well. The metric of the same name."""
        return (
            abs(self.next_offset - self.accepted - self.rejected - self.skipped)
            + abs(self.accepted - self.stored_accepted)
            + abs(self.rejected - self.stored_rejected)
            + self.both
            + self.doubled
        )

    @property
    def faults(self) -> tuple[str, ...]:
        """Say what is wrong, a sentence each."""
        counted = self.accepted + self.rejected + self.skipped
        said = (
            (self.next_offset != counted, f"the ledger stands at {self.next_offset}, but counts {counted} offsets"),
            (
                self.accepted != self.stored_accepted,
                f"{self.accepted} offsets were accepted, {self.stored_accepted} are in observations",
            ),
            (
                self.rejected != self.stored_rejected,
                f"{self.rejected} offsets were rejected, {self.stored_rejected} are in rejected",
            ),
            (self.both > 0, f"{self.both} offsets are both accepted and rejected"),
            (self.doubled > 0, f"{self.doubled} observations state an offset a second time under another key"),
            (self.misnumbered > 0, f"{self.misnumbered} observations bear a version that is not their own"),
        )
        return tuple(sentence for wrong, sentence in said if wrong)


def conservation(client: Client) -> tuple[Partition, ...]:
    """Count every partition that has a row anywhere, in the order of topic and number. Raises Retry or Fatal."""
    ledger = {(row[0], row[1]): row[2:] for row in client.query(LEDGER)}
    stands = [{"topic": topic, "partition": at, "next_offset": row[0]} for (topic, at), row in ledger.items()]
    known = literals.table("topic String, partition UInt32, next_offset UInt64", stands)
    stored = {(row[0], row[1]): row[2:] for row in client.query(STORED.format(ledger=known))}
    nothing = (0,) * 6
    return tuple(
        Partition(*place, *ledger.get(place, nothing[:4]), *stored.get(place, nothing))
        for place in sorted(stored.keys() | ledger.keys())
    )
