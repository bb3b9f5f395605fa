"""`gris rebuild` on the whole system: from the log into fresh tables, from the observations into totals."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import topics
from deploy.local.ports import free_port
from schemas.topics import specs
from sinks.clickhouse.client import connect
from tests.support import compare, daily_topic, oracle
from tests.support.bounds import passes, set_bounds
from tests.support.kafka import running_kafka
from tests.support.small_catalogue import write_catalogue
from tests.support.stack import Process, Stack, running_stack
from tests.support.wait import wait_for
from tests.support.workload import Workload, publish

EVENTS = 20_000
SHARE = 0.5
TABLES = ("observations", "rejected", "day_totals", "ledger", "floors")


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_catalogue(tmp_path_factory.mktemp("catalogue"))


@pytest.fixture(scope="module")
def workload() -> Workload:
    return Workload(EVENTS, days=4, spoiled=0.02)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, catalogue: Path, workload: Workload) -> Iterator[Stack]:
    """Run everything, with a stream of events worked off."""
    with running_stack(tmp_path_factory.mktemp("stack"), catalogue) as running:
        publish(workload, running.bootstrap)
        yield running


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Process:
    running = stack.worker()
    stack.wait_caught_up(alive=[running])
    return running


def rebuild(stack: Stack, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run the command; its JSON."""
    said: dict[str, Any] = json.loads(stack.run("rebuild", *arguments, "--json", code=code))
    return said


def command(stack: Stack, sql: str) -> None:
    """Run a statement in the database in use."""
    client = connect(stack.clickhouse)
    client.command(sql)
    client.close()


def fingerprint(stack: Stack) -> list[list[Any]]:
    """Sum up all rows of all tables of the database in use, whatever it merges, and how far gris.daily goes."""
    sums = [stack.query(f"SELECT count(), sum(cityHash64(*)) FROM {table} FINAL") for table in TABLES]
    lines = daily_topic.read(stack.bootstrap)
    return [*sums, [max(message.offset for messages in lines.values() for message in messages)]]


def test_the_log_judged_again_gives_the_same_tables_while_the_worker_runs(
    stack: Stack, worker: Process, workload: Workload
) -> None:
    before = fingerprint(stack)
    found = rebuild(stack, "events", "--into", "again")
    assert found["equal"]
    assert (found["compared"], found["differing"], found["verdicts"]) == (EVENTS, 0, [])
    assert found["totals"] > 1_000
    assert sum(at["rebuilt"]["accepted"] for at in found["partitions"]) == sum(workload.accepted.values())
    assert fingerprint(stack) == before
    assert worker.alive()


def test_what_was_rebuilt_before_is_carried_on_and_what_is_wrong_in_it_is_found(stack: Stack, worker: Process) -> None:
    assert worker.alive()
    for table, where in (("observations", "offset = 50"), ("rejected", "reason = 'BAD_MAGIC'")):
        command(stack, f"DELETE FROM again.{table} WHERE {where}")
    command(
        stack,
        "INSERT INTO again.day_totals SELECT * REPLACE (version + 1 AS version, cells + 1 AS cells)"
        " FROM again.day_totals FINAL LIMIT 3",
    )
    found = rebuild(stack, "events", "--into", "again", code=1)
    lost = {(one["was"], one["now"]) for one in found["verdicts"]}
    assert lost == {("accepted", ""), ("BAD_MAGIC", "")}
    assert found["differing"] == 3
    assert {one["column"] for one in found["differences"]} == {"cells"}


def test_a_diff_shows_what_new_rules_would_change_and_changes_nothing(
    stack: Stack, worker: Process, workload: Workload, catalogue: Path
) -> None:
    before = fingerprint(stack)
    narrow = write_catalogue(catalogue.parent / "narrow")
    set_bounds(narrow, SHARE)
    stack.environment["GRIS_CATALOGUE"] = str(narrow)
    try:
        stack.run("rebuild", "events", "--into", "again", "--diff", code=1)  # the rules of what is there are others
        found = rebuild(stack, "events", "--into", "narrowed", "--diff", code=1)
    finally:
        stack.environment["GRIS_CATALOGUE"] = str(catalogue)
    refused = Counter(s.indicator[:3].lower() for s in workload.statements() if not passes(s, SHARE))
    assert {
        one["agency"]: one["events"]
        for one in found["verdicts"]
        if (one["was"], one["now"]) == ("accepted", "OUT_OF_RANGE")
    } == refused
    book = oracle.read_book(catalogue)
    now = oracle.totals(workload.statements(), book)
    then = oracle.totals((s for s in workload.statements() if passes(s, SHARE)), book)
    assert found["differing"] == sum(now.get(key) != then.get(key) for key in now.keys() | then.keys())
    assert found["compared"] == EVENTS
    assert fingerprint(stack) == before
    assert worker.alive()


def test_totals_that_differ_are_found_and_written_only_when_no_worker_runs(
    stack: Stack, worker: Process, workload: Workload, catalogue: Path
) -> None:
    assert rebuild(stack, "totals")["equal"]
    command(stack, "DELETE FROM day_totals WHERE area = 'R4'")
    command(
        stack,
        "INSERT INTO day_totals SELECT * REPLACE (7 AS value)"
        " FROM day_totals FINAL WHERE area = 'VN' ORDER BY ALL LIMIT 5",
    )
    found = rebuild(stack, "totals", code=1)
    assert not found["equal"]
    assert found["written"] == 0
    stack.run("rebuild", "totals", "--write", code=1)
    assert worker.stop() == 0, worker.tail(60)
    done = rebuild(stack, "totals", "--write")
    assert (done["equal"], done["differing"]) == (True, found["differing"])
    assert done["written"] == found["differing"]
    assert done["announced"] > 0
    assert compare.differences(stack, workload, catalogue) == []
    stack.run("check")
    assert rebuild(stack, "totals", "--write")["differing"] == 0


def test_a_rebuild_that_is_told_to_end_takes_its_worker_along(stack: Stack, tmp_path: Path) -> None:
    running = Process(tmp_path / "rebuild.log", stack.environment, "rebuild", "events", "--into", "unfinished")
    (child,) = wait_for(lambda: children(running.pid), "its worker", within=60)
    running.tell(signal.SIGTERM)
    assert running.ended(60) == 128 + signal.SIGTERM, running.tail()
    assert not Path(f"/proc/{child}").exists()
    assert "Traceback" not in running.tail()


def children(pid: int) -> list[int]:
    """Name the processes that one has started and that run."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.usefixtures("worker")
def test_a_rebuild_from_a_log_that_is_not_there_any_more_is_not_equal(stack: Stack, tmp_path: Path) -> None:
    with running_kafka(tmp_path / "kafka") as empty:
        topics.ensure(empty.bootstrap, specs(stack.catalogue))
        before = stack.environment["GRIS_KAFKA"]
        stack.environment["GRIS_KAFKA"] = empty.bootstrap
        try:
            found = rebuild(stack, "events", "--into", "from_nothing", code=1)
        finally:
            stack.environment["GRIS_KAFKA"] = before
    assert not found["equal"]
    assert found["partitions"]
    assert all(at["fault"] for at in found["partitions"] if at["due"])
    assert any(at["due"] for at in found["partitions"])


def test_a_rebuild_that_gets_nowhere_says_what_is_in_the_way(stack: Stack, tmp_path: Path) -> None:
    nowhere = {"GRIS_REGISTRY": f"http://127.0.0.1:{free_port()}"}
    arguments = ("rebuild", "events", "--into", "waiting", "--json")
    running = Process(tmp_path / "rebuild.log", stack.environment | nowhere, *arguments)
    try:
        wait_for(lambda: "Nothing gets done" in running.tail() and "registry" in running.tail(), "a reason", within=60)
    finally:
        running.tell(signal.SIGTERM)
        assert running.ended(60) == 128 + signal.SIGTERM, running.tail()


@pytest.mark.parametrize(("name", "sentence"), [("gris-new", "no name of a database"), ("gris", "database in use")])
def test_a_rebuild_goes_into_a_database_that_can_be_and_is_not_in_use(stack: Stack, name: str, sentence: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "rebuild", "events", "--into", name],
        env=os.environ | stack.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert sentence in ran.stderr


def test_rebuilt_tables_take_the_place_of_those_in_use(stack: Stack, workload: Workload, catalogue: Path) -> None:
    set_bounds(catalogue, SHARE)
    rebuild(stack, "events", "--into", "fresh", code=1)
    for table in TABLES:
        command(stack, f"EXCHANGE TABLES gris.{table} AND fresh.{table}")
    done = rebuild(stack, "totals", "--announce")
    assert (done["equal"], done["differing"]) == (True, 0)
    expected = oracle.totals((s for s in workload.statements() if passes(s, SHARE)), oracle.read_book(catalogue))
    assert compare.different_totals(compare.stored_totals(stack), expected) == []
    assert daily_topic.differences(daily_topic.read(stack.bootstrap), expected) == []
    stack.run("check")
    running = stack.worker()
    assert running.stop() == 0, running.tail()
    assert stack.query("SELECT uniqExact(rules) FROM observations") == [[1]]
    assert stack.query("SELECT count() FROM latest_observations") == stack.query(
        "SELECT uniqExact(indicator, area, breakdown, time_period) FROM observations"
    )
