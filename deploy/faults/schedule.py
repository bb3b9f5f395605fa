"""Which faults strike, in which order and how long: drawn from a seed, alike on every machine. Pure."""

import dataclasses
import enum
import random
from collections.abc import Iterator

MOST_WORKERS = 3
TABLES = ("observations", "day_totals", "ledger")
"""Inserts of a flush that a fault may lie in wait for; rejects are few."""


class Kind(enum.StrEnum):
    """What can go wrong. The value is what the table and the documentation call it."""

    WORKER_KILLED = "worker killed"
    WORKER_KILLED_IN_FLUSH = "worker killed inside a flush"
    WORKER_STOPPED = "worker stopped in order"
    WORKER_JOINS = "worker joins"
    WORKER_LEAVES = "worker leaves"
    WORKER_PAUSED = "worker frozen for less than its session"
    ZOMBIE = "zombie: frozen beyond its session, wakes late"
    DATABASE_KILLED = "database killed during an insert"
    DATABASE_STOPPED = "database stopped in order"
    DATABASE_HANGS = "database hangs"
    BROKER_KILLED = "broker killed"
    BROKER_STOPPED = "broker stopped in order"
    BROKER_HANGS = "broker hangs"
    KAFKA_CUT = "connections to Kafka cut"
    KAFKA_DELAYED = "connections to Kafka slow"
    KAFKA_HALF_CLOSED = "connections to Kafka half-closed"
    KAFKA_SILENT = "connections to Kafka silent"
    KAFKA_ANSWER_LOST = "Kafka's answer to a transaction lost"
    CLICKHOUSE_CUT = "connections to ClickHouse cut"
    CLICKHOUSE_DELAYED = "connections to ClickHouse slow"
    CLICKHOUSE_HALF_CLOSED = "connections to ClickHouse half-closed"
    CLICKHOUSE_ANSWER_LOST = "ClickHouse's answer to a successful insert lost"
    CLOCK_JUMPS = "clock of the workers jumps"


# How long each lasts, in seconds, at least and at most; those not named are over at once.
LASTS: dict[Kind, tuple[float, float]] = {
    Kind.WORKER_KILLED: (0.0, 2.0),
    Kind.WORKER_KILLED_IN_FLUSH: (0.0, 2.0),
    Kind.WORKER_STOPPED: (0.0, 1.0),
    Kind.WORKER_PAUSED: (1.0, 4.0),
    Kind.ZOMBIE: (8.5, 11.0),
    Kind.DATABASE_KILLED: (0.0, 3.0),
    Kind.DATABASE_STOPPED: (0.0, 3.0),
    Kind.DATABASE_HANGS: (2.0, 12.0),
    Kind.BROKER_KILLED: (0.0, 4.0),
    Kind.BROKER_STOPPED: (0.0, 4.0),
    Kind.BROKER_HANGS: (2.0, 12.0),
    Kind.KAFKA_DELAYED: (3.0, 8.0),
    Kind.KAFKA_SILENT: (2.0, 12.0),
    Kind.CLICKHOUSE_DELAYED: (3.0, 8.0),
    Kind.CLOCK_JUMPS: (2.0, 5.0),
}
DELAYS = (0.02, 0.3)  # seconds that a slow connection adds to every piece
JUMPS = (-90_000, -3_600, -61, 61, 3_600, 90_000)  # seconds by which a clock jumps
IN_RECOVERY = 0.25  # the share of faults that do not wait until the one before is recovered from


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``victim`` picks among the workers there are; the others matter to some kinds only."""

    number: int
    kind: Kind
    seconds: float
    victim: int
    table: str  # the insert that it lies in wait for
    held_back: bool  # whether that insert is never sent on
    delay: float
    jump: int
    passed: int  # events to be stored since the fault before, until it strikes
    in_recovery: bool  # whether it strikes as soon as the fault before is over

    def __str__(self) -> str:
        details = {
            Kind.WORKER_KILLED_IN_FLUSH: f"{'instead of' if self.held_back else 'during'} the insert into {self.table}",
            Kind.DATABASE_KILLED: f"at an insert into {self.table}",
            Kind.CLICKHOUSE_ANSWER_LOST: f"into {self.table}",
            Kind.KAFKA_DELAYED: f"by {self.delay:.2f} s",
            Kind.CLICKHOUSE_DELAYED: f"by {self.delay:.2f} s",
            Kind.CLOCK_JUMPS: f"by {self.jump:+} s",
        }
        words = [f"{self.number}. {self.kind}", details.get(self.kind, "")]
        words.append(f"for {self.seconds:.1f} s" if self.kind in LASTS else "")
        words.append("(while the one before is recovered from)" if self.in_recovery else "")
        return " ".join(filter(None, words))


def draw(seed: int, count: int, kinds: tuple[Kind, ...], *, workers: int) -> Iterator[Fault]:
    """Draw ``count`` faults: every kind before any comes again, in an order of chance, starting with ``workers``.

    Workers join and leave between 1 and MOST_WORKERS; a zombie needs a second one to take over. One of ``kinds`` must
    be another than leaving.
    """
    dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    waiting: list[Kind] = []
    number = 0
    while number < count:
        if not waiting:
            waiting = dice.sample(kinds, len(kinds))
        kind = waiting.pop()
        if kind is Kind.ZOMBIE and workers == 1:
            waiting.append(kind)
            kind = Kind.WORKER_JOINS
        elif kind is Kind.WORKER_JOINS and workers == MOST_WORKERS:
            kind = Kind.WORKER_LEAVES
        elif kind is Kind.WORKER_LEAVES and workers == 1:
            kind = Kind.WORKER_JOINS
        workers += (kind is Kind.WORKER_JOINS) - (kind is Kind.WORKER_LEAVES)
        number += 1
        yield Fault(
            number,
            kind,
            round(dice.uniform(*LASTS.get(kind, (0.0, 0.0))), 1),
            dice.randrange(MOST_WORKERS),
            dice.choice(TABLES),
            dice.random() < 0.5,  # noqa: PLR2004 - heads or tails
            round(dice.uniform(*DELAYS), 2),
            dice.choice(JUMPS),
            dice.randrange(100, 1_500),
            dice.random() < IN_RECOVERY and number > 1,
        )
