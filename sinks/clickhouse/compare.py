"""Two databases of the same log set against each other: verdicts, statements, totals, ledgers."""

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from schemas.catalogue import Catalogue, Kind
from sinks.clickhouse import literals, verdicts
from sinks.clickhouse.check import CHUNK_ROWS, COLUMNS, Difference, Progress, chunks, differences
from sinks.clickhouse.client import Client
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.recompute import SETTINGS
from sinks.clickhouse.verdicts import Verdict

EXAMPLES = 1_000  # differing totals kept; the rest is only counted
SETTLE_SECONDS = 10.0  # how long a running worker may take to write the totals of what it has inserted
LOOK_EVERY = 0.25

SIZES = """
SELECT indicator, sum(rows) FROM
(
    SELECT toString(indicator) AS indicator, count() AS rows FROM {present}.day_totals GROUP BY indicator
    UNION ALL
    SELECT toString(indicator), count() FROM {rebuilt}.day_totals GROUP BY indicator
)
GROUP BY indicator ORDER BY indicator
"""
# Lines of which only one of the two has seen a statement are left out, with all of a year that a fall may reach.
BEYOND = """
SELECT DISTINCT toString(indicator), {bucket} FROM {database}.observations AS o
INNER JOIN {below} AS b USING (topic, partition)
WHERE o.offset >= b.below AND indicator IN {codes}
"""
TOTALS = """
SELECT bucket, indicator, breakdown, area, {columns}, sum(side) AS sides,
    uniqExact(bucket, indicator, breakdown, area) OVER () AS differing
FROM
(
    SELECT bucket, toString(indicator) AS indicator, toString(breakdown) AS breakdown, toString(area) AS area,
        {columns}, toInt8(1) AS side
    FROM {rebuilt}.day_totals FINAL WHERE {kept}
    UNION ALL
    SELECT bucket, toString(indicator), toString(breakdown), toString(area), {columns}, toInt8(-1)
    FROM {present}.day_totals FINAL WHERE {kept}
)
GROUP BY bucket, indicator, breakdown, area, {columns}
HAVING sides != 0
ORDER BY bucket, indicator, breakdown, area, sides DESC
LIMIT {limit}
"""
LEDGER = """
SELECT topic, partition, next_offset, accepted, rejected, skipped, rules, topic_id, partitions
FROM {database}.ledger FINAL
"""
OTHER_RULES = """
SELECT sum(rows) FROM
(
    SELECT count() AS rows FROM {present}.observations WHERE rules NOT IN (SELECT rules FROM {rebuilt}.ledger)
    UNION ALL
    SELECT count() FROM {present}.rejected WHERE rules NOT IN (SELECT rules FROM {rebuilt}.ledger)
)
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Ledgers:
    """A partition in both ledgers; offsets ``below`` are in both and are compared: ``events`` of the present tables.

    ``due``: where the present ledger was before the log was judged again, which the rebuilt one must have reached.
    """

    topic: str
    partition: int
    present: Position
    rebuilt: Position
    due: int = 0
    events: int = 0

    @property
    def below(self) -> int:
        """Where the shorter of the two ends."""
        return min(self.present.next_offset, self.rebuilt.next_offset)

    @property
    def fault(self) -> str:
        """Say what is wrong, or nothing."""
        if (self.present.topic_id, self.present.partitions) != (self.rebuilt.topic_id, self.rebuilt.partitions):
            return "the topic was made again, or its partitions were changed: offsets mean other records"
        if self.rebuilt.next_offset < self.due:
            return (
                f"only {self.rebuilt.next_offset} of the {self.due} records that were stored could be judged again: the"
                " log was cut, GRIS_KAFKA is another broker, or no agency of the catalogue has this partition"
            )
        if self.present.next_offset == self.rebuilt.next_offset and _counts(self.present) != _counts(self.rebuilt):
            return f"accepted, rejected, skipped: {_counts(self.present)}, rebuilt {_counts(self.rebuilt)}"
        counted = self.present.accepted + self.present.rejected
        if self.below == self.present.next_offset and self.events != counted:
            return f"{counted} events are in the present ledger, {self.events} in its tables"
        return ""


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """What was found: ``compared`` events and ``totals``; ``differing`` counts the totals that are not equal."""

    partitions: tuple[Ledgers, ...]
    compared: int
    verdicts: tuple[Verdict, ...]
    totals: int
    differing: int
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    seconds: float

    @property
    def equal(self) -> bool:
        """Tell whether everything that could be compared is the same."""
        return not self.verdicts and not self.differing and not any(at.fault for at in self.partitions)

    def as_json(self) -> dict[str, object]:
        """Give it as JSON types."""
        partitions = [dataclasses.asdict(at) | {"below": at.below, "fault": at.fault} for at in self.partitions]
        return {"equal": self.equal, **dataclasses.asdict(self), "partitions": partitions}


class Compare:
    """The database of ``client`` against another on the same server, made from the same log.

    To be made before the log is judged again: all that is stored by then must be in both.
    """

    def __init__(self, client: Client, catalogue: Catalogue, rebuilt: str) -> None:
        """Read what is stored by now. Raises Retry or Fatal."""
        self._client = client
        self._catalogue = catalogue
        self._names = {"present": f"`{client.database}`", "rebuilt": f"`{rebuilt}`"}
        self._due = {place: at.next_offset for place, at in self._positions("present").items()}

    def run(self, progress: Progress) -> Comparison:
        """Compare; ``progress`` hears rows done and rows to do of the totals. Raises Retry or Fatal."""
        began = time.monotonic()
        partitions = self._counted(self._ledgers())
        judged = verdicts.compare(self._client, self._names["present"], self._names["rebuilt"], _below(partitions))
        sizes = dict(self._client.query(SIZES.format(**self._names)))
        differing, found, done = 0, list[Difference](), 0
        for codes in chunks(sizes, CHUNK_ROWS):
            count, some = self._settled(codes)
            differing += count
            found += some[: EXAMPLES - len(found)]
            done += sum(sizes[code] for code in codes)
            progress(done, sum(sizes.values()))
        totals = self._client.query("SELECT count() FROM day_totals FINAL")[0][0]
        return Comparison(
            partitions,
            sum(at.events for at in partitions),
            judged,
            totals,
            differing,
            tuple(found),
            tuple(self._notes(partitions)),
            round(time.monotonic() - began, 3),
        )

    def _ledgers(self) -> tuple[Ledgers, ...]:
        present, rebuilt = self._positions("present"), self._positions("rebuilt")
        return tuple(
            Ledgers(
                *place,
                present.get(place) or _nowhere(rebuilt[place]),
                rebuilt.get(place) or _nowhere(present[place]),
                self._due.get(place, 0),
            )
            for place in sorted(present.keys() | rebuilt.keys())
        )

    def _positions(self, name: str) -> dict[tuple[str, int], Position]:
        rows = self._client.query(LEDGER.format(database=self._names[name]))
        return {(row[0], row[1]): Position(*row) for row in rows}

    def _counted(self, partitions: Sequence[Ledgers]) -> tuple[Ledgers, ...]:
        events = verdicts.count(self._client, self._names["present"], self._names["rebuilt"], _below(partitions))
        return tuple(dataclasses.replace(at, events=events[at.topic, at.partition]) for at in partitions)

    def _settled(self, codes: Sequence[str]) -> tuple[int, list[Difference]]:
        """Compare totals; look again where they differ while a worker writes: its totals come after its statements."""
        deadline = time.monotonic() + SETTLE_SECONDS
        before = self._ledgers()
        while True:
            count, found = self._totals(codes, before)
            now = self._ledgers()
            if not count or now == before or time.monotonic() > deadline:
                return count, found
            before = now
            time.sleep(LOOK_EVERY)

    def _totals(self, codes: Sequence[str], partitions: Sequence[Ledgers]) -> tuple[int, list[Difference]]:
        by_code = self._catalogue.by_code
        cumulative = [code for code in codes if code in by_code and by_code[code].kind is Kind.CUMULATIVE]
        kept = [f"indicator IN {literals.texts(codes)}"]
        for bucket, some in (("bucket", codes), ("toYear(bucket)", cumulative)):
            beyond = " UNION DISTINCT ".join(
                BEYOND.format(database=name, below=_below(partitions), codes=literals.texts(some), bucket=bucket)
                for name in self._names.values()
            )
            kept.append(f"(toString(indicator), {bucket}) NOT IN ({beyond})")
        sql = TOTALS.format(columns=", ".join(COLUMNS), kept=" AND ".join(kept), limit=2 * EXAMPLES, **self._names)
        rows = self._client.query(sql, settings=SETTINGS)
        sides: dict[tuple[Any, ...], dict[int, tuple[Any, ...]]] = {}
        for row in rows:
            sides.setdefault(row[:4], {})[row[-2]] = row[4:-2]
        if len(rows) == 2 * EXAMPLES:
            sides.popitem()  # the limit may have cut its other side off
        found = [
            difference
            for (day, *place), both in sides.items()
            for difference in differences((str(day), *place), both.get(1), both.get(-1))
        ]
        return (rows[0][-1] if rows else 0), found

    def _notes(self, partitions: Sequence[Ledgers]) -> Iterator[str]:
        beyond: Mapping[str, int] = {
            "present": sum(at.present.next_offset - at.below for at in partitions),
            "rebuilt": sum(at.rebuilt.next_offset - at.below for at in partitions),
        }
        for name, events in beyond.items():
            if events:
                yield f"{events} events are only in the {name} tables so far; they and their lines are not compared"
        others = self._client.query(OTHER_RULES.format(**self._names))[0][0]
        if others:
            yield f"{others} of the present rows were judged by other rules than the rebuilt ones"


def _counts(at: Position) -> tuple[int, int, int]:
    return at.accepted, at.rejected, at.skipped


def _nowhere(other: Position) -> Position:
    return dataclasses.replace(other, next_offset=0, accepted=0, rejected=0, skipped=0)


def _below(partitions: Sequence[Ledgers]) -> str:
    rows = [{"topic": at.topic, "partition": at.partition, "below": at.below} for at in partitions]
    return literals.table("topic String, partition UInt32, below UInt64", rows)
