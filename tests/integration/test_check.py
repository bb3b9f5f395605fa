"""`gris check`: clean data pass, and each kind of damage is found and named."""

import collections
import dataclasses
import datetime as dt
import itertools
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from schemas.catalogue import Catalogue, load
from sinks.cli import check as check_command
from sinks.clickhouse.check import check, chunks
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.writer import Writer
from tests.support.observations import RULES, observation_rows, positions, rejected_rows, store, topic_of, total_rows
from tests.support.oracle import Key, Statement, Total
from tests.support.small_catalogue import FIGURES, SEX, write_catalogue

DAY = dt.date(2024, 3, 5)
NEXT = dt.date(2024, 3, 6)


def code_of(kind: str, rollup: str, frequency: str, geography: str, breakdowns: tuple[str, ...] = ()) -> str:
    """Name an indicator of that shape."""
    return next(
        figure.code
        for figure in FIGURES
        if (figure.kind, figure.rollup, figure.frequency, figure.geography, figure.breakdowns)
        == (kind, rollup, frequency, geography, breakdowns)
    )


FLOW = code_of("flow", "sum", "hourly", "province")
FLOW_MEAN = code_of("flow", "mean", "six_hourly", "province")
STOCK_NATION = code_of("stock", "sum", "hourly", "nation")
LEVEL = code_of("level", "mean", "hourly", "province")
RATIO = code_of("ratio", "weighted_mean", "daily", "province", SEX)
INDEX = code_of("index", "none", "daily", "province")
CUMULATIVE = code_of("cumulative", "sum", "daily", "province", SEX)

UNIT = 10_000  # ticks


def hour(at: int) -> str:
    return f"{DAY}T{at:02}:00:00/PT1H"


# Provinces 01-04 are region R1, 05-08 R2, 09-12 R3 on these days. Versions are offsets: a later line corrects.
SAID = (
    # A flow adds its hours; a withdrawn hour does not count; VN and R1 are sums.
    (FLOW, "01", "_T", hour(0), 5, None, "A"),
    (FLOW, "01", "_T", hour(1), 7, None, "P"),
    (FLOW, "02", "_T", hour(0), 4, None, "E"),
    (FLOW, "02", "_T", hour(1), 9, None, "A"),
    (FLOW, "02", "_T", hour(1), None, None, "M"),
    (FLOW, "05", "_T", hour(2), None, None, "M"),
    # A flow that rolls up as a mean: 3 + 4 = 7 and 8 give 7.5.
    (FLOW_MEAN, "01", "_T", f"{DAY}T00:00:00/PT6H", 3, None, "A"),
    (FLOW_MEAN, "01", "_T", f"{DAY}T06:00:00/PT6H", 4, None, "A"),
    (FLOW_MEAN, "09", "_T", f"{DAY}T18:00:00/PT6H", 8, None, "I"),
    # A stock takes the last slot that has a value.
    (STOCK_NATION, "VN", "_T", hour(3), 100, None, "A"),
    (STOCK_NATION, "VN", "_T", hour(4), 90, None, "F"),
    (STOCK_NATION, "VN", "_T", hour(5), None, None, "M"),
    # A level is the mean of provinces: (1.0 + 2.0 + 2.0) / 3 = 1.66666… → 1.6667.
    (LEVEL, "01", "_T", hour(0), 1, None, "A"),
    (LEVEL, "02", "_T", hour(0), 2, None, "A"),
    (LEVEL, "05", "_T", hour(0), 2, None, "B"),
    # A ratio is weighted by its base: (10·1 + 20·3) / 4 = 17.5.
    (RATIO, "01", "_T", f"{DAY}", 10, 1, "A"),
    (RATIO, "05", "_T", f"{DAY}", 20, 3, "A"),
    # An index does not roll up.
    (INDEX, "01", "_T", f"{DAY}", 101, None, "A"),
    # VN's own value wins over the provinces'.
    (CUMULATIVE, "01", "_T", f"{DAY}", 3, None, "A"),
    (CUMULATIVE, "VN", "_T", f"{DAY}", 30, None, "P"),
    # The women and men of the next day do not add up to its total, and that is lower than the day before.
    (CUMULATIVE, "VN", "_T", f"{NEXT}", 29, None, "A"),
    (CUMULATIVE, "VN", "sex:F", f"{NEXT}", 14, None, "A"),
    (CUMULATIVE, "VN", "sex:M", f"{NEXT}", 14, None, "A"),
)


def statements() -> list[Statement]:
    """Write what was said in the order above; offsets count by topic."""
    offsets: collections.Counter[str] = collections.Counter()
    found = []
    for code, area, breakdown, period, value, base, status in SAID:
        ticks = None if value is None else value * UNIT
        offset = offsets[topic_of(code)]
        found.append(Statement(code, area, breakdown, period, ticks, base and base * UNIT, status, 0, offset))
        offsets[topic_of(code)] += 1
    return found


STATEMENTS = statements()
BOTH = ("SUM_MISMATCH", "NOT_MONOTONE")
TOTALS: dict[Key, Total] = {
    (DAY, FLOW, "01", "_T"): Total(12 * UNIT, 12 * UNIT, 12 * UNIT, 1, 1, 2, "P"),
    (DAY, FLOW, "02", "_T"): Total(4 * UNIT, 4 * UNIT, 4 * UNIT, 1, 1, 1, "E"),
    (DAY, FLOW, "05", "_T"): Total(None, None, None, 0, 1, 0, "M"),
    (DAY, FLOW, "R1", "_T"): Total(16 * UNIT, 4 * UNIT, 12 * UNIT, 2, 4, 3, "E"),
    (DAY, FLOW, "R2", "_T"): Total(None, None, None, 0, 4, 0, "M"),
    (DAY, FLOW, "VN", "_T"): Total(16 * UNIT, 4 * UNIT, 12 * UNIT, 2, 12, 3, "E"),
    (DAY, FLOW_MEAN, "01", "_T"): Total(7 * UNIT, 7 * UNIT, 7 * UNIT, 1, 1, 2, "A"),
    (DAY, FLOW_MEAN, "09", "_T"): Total(8 * UNIT, 8 * UNIT, 8 * UNIT, 1, 1, 1, "I"),
    (DAY, FLOW_MEAN, "R1", "_T"): Total(7 * UNIT, 7 * UNIT, 7 * UNIT, 1, 4, 2, "A"),
    (DAY, FLOW_MEAN, "R3", "_T"): Total(8 * UNIT, 8 * UNIT, 8 * UNIT, 1, 4, 1, "I"),
    (DAY, FLOW_MEAN, "VN", "_T"): Total(75_000, 7 * UNIT, 8 * UNIT, 2, 12, 3, "I"),
    (DAY, STOCK_NATION, "VN", "_T"): Total(90 * UNIT, 90 * UNIT, 90 * UNIT, 1, 1, 2, "F"),
    (DAY, LEVEL, "01", "_T"): Total(UNIT, UNIT, UNIT, 1, 1, 1, "A"),
    (DAY, LEVEL, "02", "_T"): Total(2 * UNIT, 2 * UNIT, 2 * UNIT, 1, 1, 1, "A"),
    (DAY, LEVEL, "05", "_T"): Total(2 * UNIT, 2 * UNIT, 2 * UNIT, 1, 1, 1, "B"),
    (DAY, LEVEL, "R1", "_T"): Total(15_000, UNIT, 2 * UNIT, 2, 4, 2, "A"),
    (DAY, LEVEL, "R2", "_T"): Total(2 * UNIT, 2 * UNIT, 2 * UNIT, 1, 4, 1, "B"),
    (DAY, LEVEL, "VN", "_T"): Total(16_667, UNIT, 2 * UNIT, 3, 12, 3, "B"),
    (DAY, RATIO, "01", "_T"): Total(10 * UNIT, 10 * UNIT, 10 * UNIT, 1, 1, 1, "A"),
    (DAY, RATIO, "05", "_T"): Total(20 * UNIT, 20 * UNIT, 20 * UNIT, 1, 1, 1, "A"),
    (DAY, RATIO, "R1", "_T"): Total(10 * UNIT, 10 * UNIT, 10 * UNIT, 1, 4, 1, "A"),
    (DAY, RATIO, "R2", "_T"): Total(20 * UNIT, 20 * UNIT, 20 * UNIT, 1, 4, 1, "A"),
    (DAY, RATIO, "VN", "_T"): Total(175_000, 10 * UNIT, 20 * UNIT, 2, 12, 2, "A"),
    (DAY, INDEX, "01", "_T"): Total(101 * UNIT, 101 * UNIT, 101 * UNIT, 1, 1, 1, "A"),
    (DAY, CUMULATIVE, "01", "_T"): Total(3 * UNIT, 3 * UNIT, 3 * UNIT, 1, 1, 1, "A"),
    (DAY, CUMULATIVE, "R1", "_T"): Total(3 * UNIT, 3 * UNIT, 3 * UNIT, 1, 4, 1, "A"),
    (DAY, CUMULATIVE, "VN", "_T"): Total(30 * UNIT, None, None, 1, 12, 1, "P"),
    (NEXT, CUMULATIVE, "VN", "_T"): Total(29 * UNIT, None, None, 0, 12, 1, "A", BOTH),
    (NEXT, CUMULATIVE, "VN", "sex:F"): Total(14 * UNIT, None, None, 0, 12, 1, "A"),
    (NEXT, CUMULATIVE, "VN", "sex:M"): Total(14 * UNIT, None, None, 0, 12, 1, "A"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_catalogue(tmp_path_factory.mktemp("catalogue") / "small")


@pytest.fixture(scope="module")
def catalogue(folder: Path) -> Catalogue:
    return load(folder)


@pytest.fixture
def filled(database: str) -> Client:
    """Give a client of a database that holds the statements above and what they amount to."""
    client = connect(database)
    store(client, STATEMENTS, TOTALS.items())
    return client


def test_totals_of_every_kind_and_roll_up_equal_the_numbers_written_by_hand(
    filled: Client, catalogue: Catalogue
) -> None:
    report = check(filled, catalogue)
    assert report.differences == ()
    assert report.clean
    assert report.totals == len(TOTALS)


def test_an_empty_database_is_clean(database: str, catalogue: Catalogue) -> None:
    report = check(connect(database), catalogue)
    assert report.clean
    assert report.partitions == ()


@pytest.mark.parametrize("column", ["value", "min", "max", "areas_reported", "areas_expected", "cells", "status"])
def test_a_doctored_total_is_found_by_its_column(filled: Client, catalogue: Catalogue, column: str) -> None:
    key = (DAY, FLOW, "R1", "_T")
    true = getattr(TOTALS[key], column)
    false = "I" if column == "status" else true + 1
    doctored = Total(**{name: getattr(TOTALS[key], name) for name in Total.__slots__} | {column: false})
    Writer(filled).day_totals(total_rows([(key, doctored)], version=99))
    report = check(filled, catalogue)
    assert not report.clean
    assert report.differing == 1
    (difference,) = report.differences
    assert (difference.indicator, difference.area, difference.column) == (FLOW, "R1", column)
    if column == "value":
        assert Decimal(difference.expected) == 16
        assert Decimal(difference.found) == Decimal("16.0001")


def test_doctored_flags_are_found(filled: Client, catalogue: Catalogue) -> None:
    key = (NEXT, CUMULATIVE, "VN", "_T")
    doctored = Total(29 * UNIT, None, None, 0, 12, 1, "A", ("NOT_MONOTONE",))
    Writer(filled).day_totals(total_rows([(key, doctored)], version=99))
    (difference,) = check(filled, catalogue).differences
    assert difference.column == "flags"
    assert difference.expected == "SUM_MISMATCH NOT_MONOTONE"


def test_a_missing_and_a_superfluous_total_are_found(filled: Client, catalogue: Catalogue) -> None:
    filled.command(f"DELETE FROM day_totals WHERE indicator = '{INDEX}'")
    Writer(filled).day_totals(total_rows([((DAY, LEVEL, "09", "_T"), Total(None, None, None, 0, 1, 0, "M"))]))
    Writer(filled).day_totals(total_rows([((DAY, "NO.SUCH", "VN", "_T"), Total(None, None, None, 0, 1, 0, "M"))]))
    report = check(filled, catalogue)
    found = {(one.indicator, one.area, one.column, one.expected, one.found) for one in report.differences}
    assert found == {
        (INDEX, "01", "row", "a row", "no row"),
        (LEVEL, "09", "row", "no row", "a row"),
        ("NO.SUCH", "VN", "row", "no row", "a row"),
    }
    assert report.differing == 3


def test_a_doctored_observation_shows_in_its_totals(filled: Client, catalogue: Catalogue) -> None:
    filled.command(f"DELETE FROM observations WHERE indicator = '{FLOW}' AND area = '02' AND status = 'M'")
    report = check(filled, catalogue)
    assert {(one.area, one.column) for one in report.differences} >= {("02", "value"), ("R1", "value"), ("VN", "value")}
    broken = [partition for partition in report.partitions if partition.faults]
    assert [partition.topic for partition in broken] == [topic_of(FLOW)]
    assert broken[0].difference == 1


@pytest.mark.parametrize(
    ("accepted", "rejected", "skipped", "next_offset", "said"),
    [
        (3, 2, 1, 6, None),
        (3, 2, 0, 6, "counts 5 offsets"),
        (4, 2, 0, 6, "4 offsets were accepted, 3 are in observations"),
        (3, 3, 0, 6, "3 offsets were rejected, 2 are in rejected"),
        (2, 2, 0, 4, "2 offsets were accepted, 3 are in observations"),
    ],
)
def test_a_ledger_that_says_otherwise_than_the_rows_is_found(
    database: str, catalogue: Catalogue, accepted: int, rejected: int, skipped: int, next_offset: int, said: str | None
) -> None:
    client = connect(database)
    statements = [Statement(INDEX, f"{at + 1:02}", "_T", f"{DAY}", UNIT, None, "A", 0, at) for at in range(3)]
    writer = Writer(client)
    writer.observations(observation_rows(statements))
    writer.rejected(rejected_rows(topic_of(INDEX), [3, 4]))
    writer.ledger([Position(topic_of(INDEX), 0, next_offset, accepted, rejected, skipped, RULES, "id", 1)])
    (partition,) = check(client, catalogue).partitions
    assert (partition.faults == ()) == (said is None)
    assert said is None or any(said in fault for fault in partition.faults)
    assert (partition.difference == 0) == (said is None)


def test_an_offset_accepted_and_rejected_at_once_is_found(filled: Client, catalogue: Catalogue) -> None:
    topic = topic_of(FLOW)
    writer = Writer(filled)
    writer.rejected(rejected_rows(topic, [0]))
    report = check(filled, catalogue)
    (partition,) = [one for one in report.partitions if one.topic == topic]
    assert "1 offsets are both accepted and rejected" in partition.faults


def test_an_offset_stated_twice_under_different_keys_is_found(filled: Client, catalogue: Catalogue) -> None:
    first = STATEMENTS[0]
    Writer(filled).observations(
        observation_rows([Statement(first.indicator, "12", "_T", first.time_period, UNIT, None, "A", 0, first.offset)])
    )
    report = check(filled, catalogue)
    assert any("a second time under another key" in fault for one in report.partitions for fault in one.faults)


def test_a_ledger_of_a_topic_without_rows_must_be_of_skipped_offsets_only(database: str, catalogue: Catalogue) -> None:
    client = connect(database)
    Writer(client).ledger(
        [
            Position("gris.events.z03", 0, 5, 0, 0, 5, RULES, "id", 1),
            Position("gris.events.z04", 3, 5, 5, 0, 0, RULES, "id", 4),
        ]
    )
    good, bad = check(client, catalogue).partitions
    assert good.faults == ()
    assert bad.faults == ("5 offsets were accepted, 0 are in observations",)


def test_the_tail_of_a_crash_is_no_fault(filled: Client, catalogue: Catalogue) -> None:
    last = STATEMENTS[-1]
    offset = 1 + max(one.offset for one in STATEMENTS if topic_of(one.indicator) == topic_of(last.indicator))
    repeated = Statement(
        last.indicator, last.area, last.breakdown, last.time_period, last.value, last.base, last.status, 0, offset
    )
    Writer(filled).observations(observation_rows([repeated]))
    report = check(filled, catalogue)
    assert report.clean
    assert [one.ahead for one in report.partitions if one.topic == topic_of(last.indicator)] == [1]


def test_totals_that_come_a_moment_after_their_observations_are_no_fault(
    database: str, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(database)
    writer = Writer(client)
    writer.observations(observation_rows(STATEMENTS))
    query = client.query

    def worker_in_between(sql: str, *args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
        rows = query(sql, *args, **kwargs)
        if "AS differing" in sql and not query("SELECT 1 FROM ledger"):
            writer.day_totals(total_rows(TOTALS.items()))
            writer.ledger(positions(STATEMENTS))
        return rows

    monkeypatch.setattr(client, "query", worker_in_between)
    assert check(client, catalogue).differences == ()
    client.close()


class Clock:
    """The time of the check: it passes only while the check waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Tell it."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self.now += seconds


class Working:
    """A worker that writes while the check compares: of ``looks``, each is called after one comparison, in order."""

    def __init__(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writer = Writer(client)
        self.looks: list[Callable[[], None]] = []
        self._query = client.query
        monkeypatch.setattr(client, "query", self._compared)
        monkeypatch.setattr("sinks.clickhouse.check.time", Clock())

    def _compared(self, sql: str, *args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
        rows = self._query(sql, *args, **kwargs)
        if "AS differing" in sql and self.looks:
            self.looks.pop(0)()
        return rows

    def total(self, *keys: Key, wrong: int = 0) -> None:
        """Write totals: what the statements amount to, or figures that are not."""
        totals = [(key, dataclasses.replace(TOTALS[key], cells=wrong or TOTALS[key].cells)) for key in keys]
        self.writer.day_totals(total_rows(totals, version=next(VERSIONS)))

    def pass_on(self, *keys: Key, wrong: int = 0) -> None:
        """Write totals and the ledger: the check sees that somebody works."""
        self.total(*keys, wrong=wrong)
        first = positions(STATEMENTS)[0]
        self.writer.ledger([dataclasses.replace(first, next_offset=first.next_offset + 1, skipped=first.skipped + 1)])


VERSIONS = itertools.count(100)
# In the order in which a comparison shows them.
FIRST, SECOND, THIRD, FOURTH = sorted((key for key in TOTALS if key[1] == FLOW), key=lambda key: key[2])[:4]


@pytest.fixture
def working(filled: Client, monkeypatch: pytest.MonkeyPatch) -> Working:
    """Let a worker write on, and a comparison show one total and count the rest."""
    monkeypatch.setattr("sinks.clickhouse.check.SHOWN", 2)  # four rows, of which the last total's may be cut
    monkeypatch.setattr("sinks.clickhouse.check.SETTLE_SECONDS", 1.0)
    return Working(filled, monkeypatch)


def test_a_wrong_total_that_was_only_counted_is_found_when_what_was_shown_has_come(
    filled: Client, catalogue: Catalogue, working: Working
) -> None:
    working.total(FIRST, SECOND, THIRD, wrong=99)
    working.looks = [lambda: working.pass_on(FIRST, SECOND)]
    report = check(filled, catalogue)
    assert not report.clean
    assert report.differing == 1
    assert [(one.area, one.column) for one in report.differences] == [(THIRD[2], "cells")]


def test_totals_that_come_late_are_no_fault_though_they_were_only_counted_at_first(
    filled: Client, catalogue: Catalogue, working: Working
) -> None:
    working.total(FIRST, SECOND, THIRD, wrong=99)
    working.looks = [
        lambda: working.pass_on(FIRST, SECOND),
        lambda: working.total(THIRD),
    ]
    assert check(filled, catalogue).differing == 0


def test_a_wrong_total_is_not_taken_for_settled_because_later_ones_push_it_out_of_sight(
    filled: Client, catalogue: Catalogue, working: Working
) -> None:
    working.total(FOURTH, wrong=99)
    working.looks = [
        lambda: working.pass_on(FIRST, SECOND, THIRD, wrong=99),
        lambda: working.total(FIRST, SECOND, THIRD),
    ]
    report = check(filled, catalogue)
    assert report.differing == 1
    assert [(one.area, one.column) for one in report.differences] == [(FOURTH[2], "cells")]


def test_at_the_deadline_all_that_the_last_whole_look_counted_is_at_fault(
    filled: Client, catalogue: Catalogue, working: Working, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.clickhouse.check.SETTLE_SECONDS", 0.0)
    working.total(FIRST, SECOND, THIRD, wrong=99)
    working.looks = [working.pass_on]
    assert check(filled, catalogue).differing == 3


def test_the_command_tells_by_exit_code_and_json(
    filled: Client, database: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIS_CLICKHOUSE", database)
    monkeypatch.setenv("GRIS_CATALOGUE", str(folder))
    result = CliRunner().invoke(check_command, ["--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["clean"] is True
    first = positions(STATEMENTS)[0]
    Writer(filled).ledger([dataclasses.replace(first, next_offset=first.next_offset + 1)])
    result = CliRunner().invoke(check_command, [])
    assert result.exit_code == 1
    assert "NOT CLEAN" in result.stdout


def test_chunks_hold_every_indicator_once_and_no_more_rows_than_allowed() -> None:
    sizes = {"a": 5, "b": 5, "c": 11, "d": 1, "e": 9, "f": 1}
    assert list(chunks(sizes, limit=10)) == [["a", "b"], ["c"], ["d", "e"], ["f"]]
