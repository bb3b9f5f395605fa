"""A seeded stream of millions of events over the small catalogue, and an independent count of what must come of it.

The stream moves through the days while it goes; most figures are on time, some late by up to three months; cells
are corrected, withdrawn and said again, with rising, equal and falling revisions; one record in a hundred is spoiled in
one of the ways of `hostile`. Nothing here judges by the system's code: bytes are packed by hand, verdicts are known
because each record was made to earn its own, totals come from the oracle.
"""

import collections
import dataclasses
import datetime as dt
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from schemas.partition import partition_for
from tests.support import figures, oracle
from tests.support.figures import CHANGE, EPOCH, EVENTS, HIGH, HOMES, LOW, SCALE, Ints, Place
from tests.support.hostile import SPOILERS
from tests.support.small_catalogue import FIGURES, NEW_PROVINCES, OLD_PROVINCES, PARTITIONS
from tests.support.wire import STATUSES, Event, varint

Message = dict[str, object]  # as confluent_kafka's produce_batch takes it: key, value and, where forced, partition

FIRST_DAY = dt.date(2024, 5, 1).toordinal() - EPOCH  # so that ninety days cross the change of map on 1 July
IN_1995 = 9_190  # before any map
IN_2098 = 46_810  # only a forecast may
REVISIONS = np.array((0, 1, 2, 3, (1 << 23) - 1))
FRAME = b"\x00\x00\x00\x00\x01"


@dataclasses.dataclass(frozen=True, slots=True)
class Columns:
    """A run of good events by column."""

    figure: Ints  # position in FIGURES
    breakdown: Ints
    area: Ints  # position among the provinces of the map in force; their number is VN
    bucket: Ints  # days since 1970
    slot: Ints
    units: Ints  # the value in the last decimal of its indicator
    base: Ints  # ticks, at least 1
    status: Ints  # position in STATUSES
    revision: Ints
    today: Ints  # the day on which it was sent, days since 1970
    loose: Ints  # a random number for what decides nothing: note, submission, minute

    @property
    def withdrawn(self) -> npt.NDArray[np.bool_]:
        """Where there is no value."""
        return np.equal(self.status, STATUSES.index("M"))


class Workload:
    """The stream and, once it has been drawn to its end, what must come of it.

    ``ends`` counts the records and ``rejected`` holds the reason of every offset that must be refused, by topic and
    partition.
    """

    def __init__(self, events: int, *, seed: int = 7, days: int = 90, spoiled: float = 0.01) -> None:
        self.events = events
        self.rejected: dict[Place, dict[int, str]] = collections.defaultdict(dict)
        self.ends: collections.Counter[Place] = collections.Counter()
        self._days = days
        self._spoiled = spoiled
        self._numbers = np.random.default_rng(seed)
        self._dice = random.Random(seed)
        self._accepted: list[tuple[Ints, ...]] = []  # cell, version, ticks, base, status

    def chunks(self, size: int = 50_000) -> Iterator[dict[str, list[Message]]]:
        """Draw the stream: by topic, the next messages in order. To be drawn once and to the end."""
        for start in range(0, self.events, size):
            yield self._pack(self._draw(start, min(size, self.events - start)))

    @property
    def accepted(self) -> dict[Place, int]:
        """Count what must be accepted, by topic and partition."""
        return {place: end - len(self.rejected.get(place, ())) for place, end in self.ends.items()}

    def statements(self) -> Iterator[oracle.Statement]:
        """List every accepted statement."""
        return spelled_out(*(np.concatenate(column) for column in zip(*self._accepted, strict=True)))

    def newest(self) -> Iterator[oracle.Statement]:
        """List the statements that count: of each cell the highest version."""
        columns = [np.concatenate(column) for column in zip(*self._accepted, strict=True)]
        cell, version = columns[0], columns[1]
        order = np.lexsort((version, cell))
        last = order[np.append(cell[order][1:] != cell[order][:-1], True)]
        return spelled_out(*(column[last] for column in columns))

    def totals(self, catalogue: Path) -> dict[oracle.Key, oracle.Total]:
        """Compute what day_totals must hold in the end."""
        return oracle.totals(self.newest(), oracle.read_book(catalogue))

    def _draw(self, start: int, count: int) -> Columns:
        roll = self._numbers
        figure = roll.choice(len(FIGURES), size=count, p=figures.CHANCE)
        today = FIRST_DAY + np.arange(start, start + count) * self._days // self.events
        rare = roll.random(count)
        late = np.select([rare < 0.85, rare < 0.95], [0, 1], roll.integers(0, 90, count))
        day = np.select([rare < 0.002, rare > 0.998], [IN_1995 + today % 60, IN_2098 + today % 60], today - late)
        bucket = figures.begin(day, figures.STEP[figure])
        provinces = np.where(bucket < CHANGE, len(OLD_PROVINCES), len(NEW_PROVINCES))
        nation = (roll.random(count) < 0.04) | figures.NATION_ONLY[figure]
        high = np.where(nation & figures.MAY_EXCEED[figure], HIGH[figure] * provinces, HIGH[figure])
        span = (high - LOW[figure]) * SCALE[figure] + 1
        status = roll.choice(len(STATUSES), size=count, p=(0.66, 0.03, 0.05, 0.03, 0.03, 0.05, 0.15))
        return Columns(
            figure=figure,
            breakdown=np.where(roll.random(count) < 0.5, 0, roll.integers(0, figures.BREAKDOWNS[figure])),
            area=np.where(nation, provinces, roll.integers(0, provinces)),
            bucket=bucket,
            slot=roll.integers(0, figures.SLOTS[figure]),
            units=LOW[figure] * SCALE[figure] + np.floor(roll.random(count) * span).astype(np.int64),
            base=roll.integers(1, np.where(rare < 0.1, 10**15, 10**8)),
            status=np.where(rare > 0.998, STATUSES.index("F"), status),
            revision=REVISIONS[roll.choice(len(REVISIONS), size=count, p=(0.9, 0.06, 0.03, 0.009, 0.001))],
            today=today,
            loose=roll.integers(0, 1 << 40, count),
        )

    def _pack(self, drawn: Columns) -> dict[str, list[Message]]:
        messages: dict[str, list[Message]] = {topic: [] for topic in figures.TOPICS}
        doubles = (drawn.units / SCALE[drawn.figure]).astype("<f8").tobytes()
        # A forecast is left alone: spoiled elsewhere it might be refused for its future period first.
        spoiled = (self._numbers.random(len(drawn.figure)) < self._spoiled) & (drawn.bucket < IN_2098 - 366)
        offsets = np.full(len(drawn.figure), -1, np.int64)
        columns = [getattr(drawn, field.name).tolist() for field in dataclasses.fields(drawn)]
        rows = zip(*columns, drawn.withdrawn.tolist(), spoiled.tolist(), strict=True)
        for at, (
            figure,
            breakdown,
            area,
            bucket,
            slot,
            _,
            base,
            status,
            revision,
            today,
            loose,
            null,
            bad,
        ) in enumerate(rows):
            place = HOMES[figure]
            if bad:
                messages[place[0]].append(self._spoil(figure, spelled(drawn, at)))
                continue
            value = (
                FRAME,
                figures.submission_bytes(figure, today, loose % 8),
                figures.cell_bytes(figure, bucket >= CHANGE, area, breakdown),
                figures.period_bytes(figure, bucket, slot),
                b"\x00" if null else b"\x02" + doubles[8 * at : 8 * at + 8],
                figures.base_bytes(figure, base, loose),
                varint(status),
                varint(revision),
                figures.observed_bytes(today, loose % 60),
                figures.NOTE_BYTES[loose % 199 if loose % 199 < len(figures.NOTE_BYTES) else 0],
            )
            messages[place[0]].append({"key": figures.KEYS[figure], "value": b"".join(value)})
            offsets[at] = self.ends[place]
            self.ends[place] += 1
        self._keep(drawn, offsets)
        return messages

    def _keep(self, drawn: Columns, offsets: Ints) -> None:
        good = offsets >= 0
        cell = drawn.figure << 3 | drawn.breakdown
        cell = (cell << 4 | drawn.area) << 25 | drawn.bucket << 5 | drawn.slot
        ticks = drawn.units * (10_000 // SCALE[drawn.figure])
        columns = (cell, drawn.revision << 40 | offsets, ticks, drawn.base, drawn.status)
        self._accepted.append(tuple(column[good] for column in columns))

    def _spoil(self, at: int, event: Event) -> Message:
        topic, home = HOMES[at]
        spoiled = None
        while spoiled is None:
            reason = self._dice.choice(tuple(SPOILERS))
            spoiled = SPOILERS[reason](FIGURES[at], event, home, self._dice)
        message: Message = {"key": spoiled.key, "value": spoiled.value}
        if spoiled.partition is not None:
            message["partition"] = spoiled.partition
        place = place_of(topic, message)
        self.rejected[place][self.ends[place]] = reason
        self.ends[place] += 1
        return message


def place_of(topic: str, message: Message) -> Place:
    """Tell where a message comes to lie."""
    forced = message.get("partition")
    if isinstance(forced, int):
        return topic, forced
    key = message["key"]
    assert isinstance(key, bytes)
    return topic, partition_for(key, PARTITIONS[topic.removeprefix(EVENTS)])


def spelled(drawn: Columns, at: int) -> Event:
    """Spell out one drawn event, to be spoiled."""
    figure, bucket = FIGURES[drawn.figure[at]], int(drawn.bucket[at])
    return {
        "submission": f"S-{drawn.today[at]}",
        "indicator": figure.code,
        "area": figures.area_code(bucket, int(drawn.area[at])),
        "breakdown": ("_T", *figure.breakdowns)[drawn.breakdown[at]],
        "time_period": figures.period_text(figure.frequency, bucket, int(drawn.slot[at])),
        "value": None if drawn.withdrawn[at] else float(drawn.units[at] / 10**figure.decimals),
        "base": float(drawn.base[at] / 10_000) if figure.needs_base else None,
        "status": STATUSES[drawn.status[at]],
        "revision": int(drawn.revision[at]),
        "observed_at": int(drawn.today[at]) * 86_400_000,
        "note": None,
    }


def spelled_out(cell: Ints, version: Ints, ticks: Ints, base: Ints, status: Ints) -> Iterator[oracle.Statement]:
    """Spell out accepted statements for the oracle."""
    columns = (column.tolist() for column in (cell, version, ticks, base, status))
    for key, versioned, value, denominator, symbol in zip(*columns, strict=True):
        figure, bucket, withdrawn = FIGURES[key >> 32], key >> 5 & 0xFFFFF, STATUSES[symbol] == "M"
        yield oracle.Statement(
            indicator=figure.code,
            area=figures.area_code(bucket, key >> 25 & 15),
            breakdown=("_T", *figure.breakdowns)[key >> 29 & 7],
            time_period=figures.period_text(figure.frequency, bucket, key & 31),
            value=None if withdrawn else value,
            base=denominator if figure.needs_base and not withdrawn else None,
            status=STATUSES[symbol],
            revision=versioned >> 40,
            offset=versioned & (1 << 40) - 1,
        )


def publish(workload: Workload, bootstrap: str, *, chunk: int = 50_000) -> None:
    """Send the stream, in order, as an agency's librdkafka client does once its partitioner is set to murmur2."""
    from confluent_kafka import Producer  # noqa: PLC0415  the C library is heavy and few tests send

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "linger.ms": 20,
            "batch.size": 1_000_000,
            "compression.type": "lz4",
            "message.max.bytes": 16_000_000,
            "queue.buffering.max.messages": 4 * chunk,
            "queue.buffering.max.kbytes": 1_000_000,
        }
    )
    for topic in figures.TOPICS:
        producer.list_topics(topic, timeout=10)  # unknown partitions would let forced ones overtake the others
    for messages in workload.chunks(chunk):
        while len(producer) > chunk:
            producer.poll(0.05)
        for topic, batch in messages.items():
            # produce_batch leaves out the partition of a single message.
            for forced, run in itertools.groupby(batch, key=lambda message: "partition" in message):
                if forced:
                    for message in run:
                        producer.produce(topic, **message)  # type: ignore[arg-type]
                elif producer.produce_batch(topic, together := list(run)) != len(together):
                    raise AssertionError(f"the client refused a message for {topic}")
    if producer.flush(120):
        raise AssertionError("the broker did not take the whole stream within 120 s")
