"""While the database or the broker is away: the worker says so once, waits, keeps its memory and its partitions."""

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.benchmark.workload import Workload
from deploy.faults.publishing import Publishing
from deploy.faults.rig import READY_SECONDS, SMALL, Rig, Worker, peak_memory, resident_memory, running, send
from tests.support.wait import wait_for

# kafka-python, by which the harness publishes, leaks a socket whenever a broker that is down refuses it.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

EVENTS_A_SECOND = 3_000
AWAY_SECONDS = 20.0
SAID_WITHIN = 25.0
RECOVERED_WITHIN = 120.0
MEMORY_GROWTH = 150 << 20  # bytes; what a worker may take in before it stops taking in more
ENDS_WITHIN = 20.0  # only a hang takes longer, on any machine; that it cuts itself off sooner, test_finish.py adds up
# Not the least that a broker allows: a machine that stands still for as long would have the partitions assigned anew.
SETTINGS = {**SMALL, "GRIS_SESSION_SECONDS": "15"}
MOST_OBSTACLES = 6  # lines of log: one for each thing that cannot be done, not one for each attempt


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Run broker, database and one worker that is ready."""
    with running(tmp_path, settings=SETTINGS, stops_within=ENDS_WITHIN) as found:
        found.add_worker()
        found.wait_ready()
        yield found


@contextlib.contextmanager
def publishing(rig: Rig, events: int) -> Iterator[Publishing]:
    """Publish so many events at a steady rate, and give up at the end."""
    thread = Publishing(Workload(events), rig.broker.bootstrap, EVENTS_A_SECOND)
    thread.start()
    thread.allow(events)
    try:
        yield thread
    finally:
        thread.give_up()
        thread.join(RECOVERED_WITHIN)


def stored(rig: Rig) -> int:
    return sum((rig.stored() or {}).values())


def says(worker: Worker, word: str) -> str | None:
    """Answer what the worker says at /readyz, when it is not ready and names ``word``."""
    answer = worker.ask("/readyz")
    return answer[1] if answer is not None and answer[0] == 503 and word in answer[1] else None


def measured(worker: Worker, metric: str, fits: Callable[[list[float]], bool]) -> bool:
    """Tell whether the worker says something of this metric, and what fits."""
    said = worker.metric(metric)
    return bool(said) and fits(said)


def logged(worker: Worker, since: int = 0) -> list[dict[str, object]]:
    """Read the lines of a worker's log, from a byte on."""
    raw = worker.service.log_file.read_bytes()[since:].decode()
    return [json.loads(line[line.index("{") :]) for line in raw.splitlines() if "{" in line]


def test_while_the_database_is_away_a_worker_keeps_memory_and_partitions_and_then_drains(rig: Rig) -> None:
    (worker,) = rig.workers
    events = round(EVENTS_A_SECOND * (AWAY_SECONDS + 10))
    with publishing(rig, events) as publisher:
        wait_for(lambda: stored(rig) > EVENTS_A_SECOND, "the first events", within=RECOVERED_WITHIN)
        rebalances, memory = worker.metric("gris_rebalances_total", READY_SECONDS), resident_memory(worker)
        assert rebalances
        said_before = worker.service.log_file.stat().st_size
        rig.engine.kill()
        sentence = wait_for(lambda: says(worker, "ClickHouse"), "/readyz to name ClickHouse", within=SAID_WITHIN)
        assert "GRIS_CLICKHOUSE" in sentence
        until = time.monotonic() + AWAY_SECONDS
        wait_for(lambda: time.monotonic() > until, "the outage to last", within=AWAY_SECONDS + 5)
        assert worker.service.pid() is not None
        confirmed = publisher.confirmed.total()
        assert confirmed > EVENTS_A_SECOND * AWAY_SECONDS / 4, "too few were published to prove anything"
        assert peak_memory(worker) - memory < MEMORY_GROWTH
        # Both are told every few seconds, and grow.
        wait_for(
            lambda: measured(worker, "gris_lag_events", lambda lags: sum(lags) > confirmed / 4), "what lags to be told"
        )
        wait_for(
            lambda: measured(worker, "gris_lag_seconds", lambda ages: max(ages) > AWAY_SECONDS / 2),
            "how old it is to be told",
        )

        lines = logged(worker, said_before)
        obstacles = [line for line in lines if line.get("event") == "obstacle"]
        assert 0 < len(obstacles) <= MOST_OBSTACLES, obstacles
        assert len(lines) <= 2 * MOST_OBSTACLES, lines

        rig.start_engine()
        wait_for(lambda: publisher.done and stored(rig) == events, "all events", within=RECOVERED_WITHIN, every=0.2)
        wait_for(worker.ready, "the worker to be ready again")
        wait_for(lambda: measured(worker, "gris_lag_seconds", lambda ages: not any(ages)), "nothing to lag")
        assert worker.metric("gris_rebalances_total", READY_SECONDS) == rebalances
        assert peak_memory(worker) - memory < MEMORY_GROWTH


def test_a_database_that_hangs_is_named_and_does_not_hold_a_worker_that_is_to_stop(rig: Rig) -> None:
    (worker,) = rig.workers
    with publishing(rig, 60_000):
        wait_for(lambda: stored(rig) > EVENTS_A_SECOND, "the first events", within=RECOVERED_WITHIN)
        send(rig.engine, signal.SIGSTOP)
        # Whatever of a flush was under way: storing it, or writing the ledger.
        wait_for(lambda: says(worker, "no answer within"), "/readyz to say that it hangs", within=SAID_WITHIN)
        rig.stop(worker)
        assert rig.violations == []
        send(rig.engine, signal.SIGCONT)


def test_a_worker_stops_in_time_while_the_database_is_away(rig: Rig) -> None:
    (worker,) = rig.workers
    with publishing(rig, 60_000):
        wait_for(lambda: stored(rig) > EVENTS_A_SECOND, "the first events", within=RECOVERED_WITHIN)
        rig.engine.kill()
        wait_for(lambda: says(worker, "ClickHouse"), "/readyz to name ClickHouse", within=SAID_WITHIN)
        rig.stop(worker)
        assert rig.violations == []


@pytest.mark.parametrize("how", ["dead", "silent"])
def test_while_the_broker_is_away_a_worker_says_so_once_and_then_drains(rig: Rig, how: str) -> None:
    (worker,) = rig.workers
    with publishing(rig, 20_000) as publisher:
        wait_for(lambda: stored(rig) > EVENTS_A_SECOND, "the first events", within=RECOVERED_WITHIN)
        said_before = worker.service.log_file.stat().st_size
        rig.broker.kill() if how == "dead" else rig.kafka.fall_silent()
        wait_for(lambda: says(worker, "Kafka"), "/readyz to name Kafka", within=SAID_WITHIN)
        until = time.monotonic() + AWAY_SECONDS / 2
        wait_for(lambda: time.monotonic() > until, "the outage to last", within=AWAY_SECONDS)
        assert worker.service.pid() is not None
        lines = logged(worker, said_before)
        assert len(lines) <= 2 * MOST_OBSTACLES, [line.get("event") for line in lines]

        rig.broker.start() if how == "dead" else rig.kafka.speak()
        wait_for(lambda: publisher.done and stored(rig) == 20_000, "all events", within=RECOVERED_WITHIN, every=0.2)
        wait_for(worker.ready, "the worker to be ready again", within=RECOVERED_WITHIN)
