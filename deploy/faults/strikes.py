"""How each kind of fault is done: what comes before the `yield` breaks something, what comes after mends it."""

import contextlib
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from deploy.faults.proxy import Proxy, Trap
from deploy.faults.rig import Rig, Worker, send
from deploy.faults.schedule import Fault, Kind

TRAP_SECONDS = 15.0  # how long to lie in wait for a request before striking anyhow
INSERT = rb"INSERT(?:\s|\+|%%20)+INTO(?:\s|\+|%%20)+(?:`|%%60)?(?:\w+(?:`|%%60)?\.(?:`|%%60)?)?%s\b"
HEAD = 4096  # bytes at the beginning of a request in which its statement is looked for
HTTP_OK = b"HTTP/1.1 200"
END_TXN = 26  # Kafka's API key of the request that commits a transaction
API_KEY = slice(4, 6)

Strike = Callable[[Rig, Fault], AbstractContextManager[None]]


def insert_into(table: str) -> Callable[[bytes], bool]:
    """Recognise the beginning of a request that inserts into ``table``."""
    statement = re.compile(INSERT % table.encode(), re.IGNORECASE)
    return lambda piece: statement.search(piece, 0, HEAD) is not None


def end_of_transaction(piece: bytes) -> bool:
    """Recognise the request by which a producer commits."""
    return int.from_bytes(piece[API_KEY]) == END_TXN and int.from_bytes(piece[:4]) == len(piece) - 4


def victim(rig: Rig, fault: Fault) -> Worker:
    """Choose the worker that it hits."""
    return rig.workers[fault.victim % len(rig.workers)]


@contextlib.contextmanager
def worker_killed(rig: Rig, fault: Fault) -> Iterator[None]:
    """SIGKILL, and later a new process of the same name."""
    worker = victim(rig, fault)
    rig.kill(worker)
    yield
    rig.start(worker)


@contextlib.contextmanager
def worker_killed_in_flush(rig: Rig, fault: Fault) -> Iterator[None]:
    """SIGKILL of all workers when the next insert into a table comes by: it may be the one of any of them."""
    killed = list(rig.workers)
    for worker in killed:
        rig.note(worker)

    def kill() -> None:
        for worker in killed:
            worker.signal(signal.SIGKILL)

    spring(
        rig.clickhouse,
        Trap(
            insert_into(fault.table),
            instead=kill if fault.held_back else None,
            after=None if fault.held_back else kill,
        ),
    )
    kill()  # whatever has not come by
    for worker in killed:
        worker.service.kill()
    yield
    for worker in killed:
        rig.start(worker)


@contextlib.contextmanager
def worker_stopped(rig: Rig, fault: Fault) -> Iterator[None]:
    """SIGTERM, and later a new process of the same name."""
    worker = victim(rig, fault)
    rig.stop(worker)
    yield
    rig.start(worker)


@contextlib.contextmanager
def worker_joins(rig: Rig, _fault: Fault) -> Iterator[None]:
    """One more."""
    rig.add_worker()
    yield


@contextlib.contextmanager
def worker_leaves(rig: Rig, fault: Fault) -> Iterator[None]:
    """SIGTERM, for good."""
    worker = victim(rig, fault)
    rig.stop(worker)
    rig.workers.remove(worker)
    yield


@contextlib.contextmanager
def worker_frozen(rig: Rig, fault: Fault) -> Iterator[None]:
    """SIGSTOP, and later SIGCONT."""
    worker = victim(rig, fault)
    worker.signal(signal.SIGSTOP)
    yield
    worker.signal(signal.SIGCONT)


@contextlib.contextmanager
def database_killed(rig: Rig, fault: Fault) -> Iterator[None]:
    """SIGKILL while an insert is inside."""
    spring(rig.clickhouse, Trap(insert_into(fault.table), after=lambda: send(rig.engine, signal.SIGKILL)))
    rig.engine.kill()
    yield
    rig.start_engine()


@contextlib.contextmanager
def database_stopped(rig: Rig, _fault: Fault) -> Iterator[None]:
    """SIGTERM, and a new start."""
    rig.engine.stop()
    yield
    rig.start_engine()


@contextlib.contextmanager
def database_hangs(rig: Rig, _fault: Fault) -> Iterator[None]:
    """SIGSTOP: it holds its connections and says nothing."""
    send(rig.engine, signal.SIGSTOP)
    yield
    send(rig.engine, signal.SIGCONT)


@contextlib.contextmanager
def broker_killed(rig: Rig, _fault: Fault) -> Iterator[None]:
    """SIGKILL."""
    rig.broker.kill()
    yield
    rig.broker.start()


@contextlib.contextmanager
def broker_stopped(rig: Rig, _fault: Fault) -> Iterator[None]:
    """SIGTERM."""
    rig.broker.stop()
    yield
    rig.broker.start()


@contextlib.contextmanager
def broker_hangs(rig: Rig, _fault: Fault) -> Iterator[None]:
    """SIGSTOP."""
    send(rig.broker.service, signal.SIGSTOP)
    yield
    send(rig.broker.service, signal.SIGCONT)


@contextlib.contextmanager
def clock_jumps(rig: Rig, fault: Fault) -> Iterator[None]:
    """Set the clock of all workers wrong for a while: two jumps."""
    rig.set_clock(fault.jump)
    yield
    rig.set_clock(0)


def cut(of: Callable[[Rig], Proxy]) -> Strike:
    """Break every connection off at once."""

    @contextlib.contextmanager
    def strike(rig: Rig, _fault: Fault) -> Iterator[None]:
        of(rig).cut()
        yield

    return strike


def half_closed(of: Callable[[Rig], Proxy]) -> Strike:
    """Say to both sides that the other has finished."""

    @contextlib.contextmanager
    def strike(rig: Rig, _fault: Fault) -> Iterator[None]:
        of(rig).half_close()
        yield

    return strike


def delayed(of: Callable[[Rig], Proxy]) -> Strike:
    """Every piece comes late."""

    @contextlib.contextmanager
    def strike(rig: Rig, fault: Fault) -> Iterator[None]:
        of(rig).delay(fault.delay)
        yield
        of(rig).clear()

    return strike


@contextlib.contextmanager
def kafka_silent(rig: Rig, _fault: Fault) -> Iterator[None]:
    """Nothing comes through, and nobody is told."""
    rig.kafka.fall_silent()
    yield
    rig.kafka.clear()


@contextlib.contextmanager
def kafka_answer_lost(rig: Rig, _fault: Fault) -> Iterator[None]:
    """Commit a transaction, but keep it from its producer."""
    spring(rig.kafka, Trap(end_of_transaction, swallow=True))
    yield


@contextlib.contextmanager
def clickhouse_answer_lost(rig: Rig, fault: Fault) -> Iterator[None]:
    """Let an insert succeed, but keep it from its writer."""
    spring(rig.clickhouse, Trap(insert_into(fault.table), swallow=True, answer=HTTP_OK))
    yield


def spring(proxy: Proxy, trap: Trap) -> bool:
    """Set a trap and wait for what it waits for; False when that did not come in time."""
    proxy.set_trap(trap)
    sprung = trap.sprung.wait(TRAP_SECONDS)
    if not sprung:
        proxy.clear()
    return sprung


def _kafka(rig: Rig) -> Proxy:
    return rig.kafka


def _clickhouse(rig: Rig) -> Proxy:
    return rig.clickhouse


STRIKES: Mapping[Kind, Strike] = {
    Kind.WORKER_KILLED: worker_killed,
    Kind.WORKER_KILLED_IN_FLUSH: worker_killed_in_flush,
    Kind.WORKER_STOPPED: worker_stopped,
    Kind.WORKER_JOINS: worker_joins,
    Kind.WORKER_LEAVES: worker_leaves,
    Kind.WORKER_PAUSED: worker_frozen,
    Kind.ZOMBIE: worker_frozen,
    Kind.DATABASE_KILLED: database_killed,
    Kind.DATABASE_STOPPED: database_stopped,
    Kind.DATABASE_HANGS: database_hangs,
    Kind.BROKER_KILLED: broker_killed,
    Kind.BROKER_STOPPED: broker_stopped,
    Kind.BROKER_HANGS: broker_hangs,
    Kind.KAFKA_CUT: cut(_kafka),
    Kind.KAFKA_DELAYED: delayed(_kafka),
    Kind.KAFKA_HALF_CLOSED: half_closed(_kafka),
    Kind.KAFKA_SILENT: kafka_silent,
    Kind.KAFKA_ANSWER_LOST: kafka_answer_lost,
    Kind.CLICKHOUSE_CUT: cut(_clickhouse),
    Kind.CLICKHOUSE_DELAYED: delayed(_clickhouse),
    Kind.CLICKHOUSE_HALF_CLOSED: half_closed(_clickhouse),
    Kind.CLICKHOUSE_ANSWER_LOST: clickhouse_answer_lost,
    Kind.CLOCK_JUMPS: clock_jumps,
}
