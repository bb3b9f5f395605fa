"""What a flush left behind the ledger is written anew by the next one, whole, even under the same rules."""

import datetime as dt
from pathlib import Path

import pytest

from schemas.catalogue import Catalogue, load
from streams.partition import Partition
from streams.settings import Step
from tests.support import oracle
from tests.support.one_partition import Store, block_of, opened, read_back
from tests.support.small_catalogue import FIGURES, NEW_PROVINCES, Figure, write_catalogue

UNIT = 10_000
DAYS = [dt.date(2026, 3, day) for day in (1, 2, 3)]


def figure_of(kind: str, rollup: str, frequency: str) -> Figure:
    return next(
        f for f in FIGURES if (f.kind, f.rollup, f.frequency, f.geography) == (kind, rollup, frequency, "province")
    )


FLOW = figure_of("flow", "sum", "daily")
CUMULATIVE = figure_of("cumulative", "sum", "daily")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_catalogue(tmp_path_factory.mktemp("catalogue"))


@pytest.fixture(scope="module")
def catalogue(folder: Path) -> Catalogue:
    return load(folder)


class Log:
    """Statements of one indicator in log order."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.said: list[oracle.Statement] = []

    def say(self, area: str, day: dt.date, value: int) -> None:
        offset = len(self.said)
        self.said.append(oracle.Statement(self.figure.code, area, "_T", f"{day}", value * UNIT, None, "A", 0, offset))


def fold(
    catalogue: Catalogue, store: Store, partition: Partition, said: list[oracle.Statement], refused: set[int]
) -> None:
    block, accepted = block_of(catalogue, said, refused)
    read_back(partition, store, partition.unknown_years(accepted), accepted.day.tolist())
    partition.fold(block, accepted)
    partition.advance(block, len(accepted.rows), len(said) - len(accepted.rows))


def after_a_crash(catalogue: Catalogue, log: Log, ledger: int, crash: int, refused: set[int]) -> Store:
    """Flush up to ``ledger``; write totals up to ``crash`` and die; work the rest off, less what is ``refused`` now."""
    store, agency = Store(), log.figure.agency
    partition = opened(catalogue, agency, store, 0)
    fold(catalogue, store, partition, log.said[:ledger], set())
    store.write(partition, ledger)
    store.said = log.said[:ledger]
    partition.stored_up_to(ledger, [])
    fold(catalogue, store, partition, log.said[ledger:crash], set())
    store.write(partition, crash)
    partition = opened(catalogue, agency, store, ledger)
    fold(catalogue, store, partition, log.said[ledger:], refused)
    assert partition.due
    store.write(partition, len(log.said))
    return store


def kept(store: Store) -> dict[oracle.Key, oracle.Total]:
    return {key: total for key, (_, total) in store.totals.items()}


def test_a_mismatch_that_only_the_lost_flush_saw_leaves_no_flag_behind(folder: Path, catalogue: Catalogue) -> None:
    log = Log(FLOW)
    for province in NEW_PROVINCES:
        log.say(province, DAYS[0], 1)
    ledger = len(log.said)
    log.say("VN", DAYS[0], len(NEW_PROVINCES) + 1)
    crash = len(log.said)
    log.say("VN", DAYS[0], len(NEW_PROVINCES))
    store = after_a_crash(catalogue, log, ledger, crash, set())
    assert kept(store) == oracle.totals(log.said, oracle.read_book(folder))


def test_a_fall_that_only_the_lost_flush_saw_leaves_no_flag_behind(folder: Path, catalogue: Catalogue) -> None:
    log = Log(CUMULATIVE)
    log.say("VN", DAYS[0], 2)
    log.say("VN", DAYS[2], 3)
    ledger = len(log.said)
    log.say("VN", DAYS[1], 9)
    crash = len(log.said)
    log.say("VN", DAYS[1], 2)
    store = after_a_crash(catalogue, log, ledger, crash, set())
    assert kept(store) == oracle.totals(log.said, oracle.read_book(folder))


def test_a_cumulative_figure_of_which_new_rules_refuse_the_whole_tail_is_as_before_it(
    folder: Path, catalogue: Catalogue
) -> None:
    log = Log(CUMULATIVE)
    log.say("VN", DAYS[0], 2)
    log.say("VN", DAYS[2], 3)
    ledger = len(log.said)
    log.say("VN", DAYS[1], 9)
    store = after_a_crash(catalogue, log, ledger, ledger + 1, {ledger})
    assert kept(store) == oracle.totals(log.said[:ledger], oracle.read_book(folder))
    assert store.lines[DAYS[1], CUMULATIVE.code, "_T"][1] == {}, "the line that was announced is taken back"


def test_a_line_is_announced_at_no_lower_version_than_the_lost_flush_announced(catalogue: Catalogue) -> None:
    log = Log(FLOW)
    for province in NEW_PROVINCES:
        log.say(province, DAYS[0], 1)
    store = Store()
    partition = opened(catalogue, FLOW.agency, store, 0)
    fold(catalogue, store, partition, log.said[:5], set())
    store.write(partition, 5)
    partition = opened(catalogue, FLOW.agency, store, 0)
    fold(catalogue, store, partition, log.said[:4], set())
    assert not partition.due
    fold(catalogue, store, partition, log.said[4:6], set())
    assert partition.due


@pytest.mark.parametrize("step", ["floors", "messages", "deletions"])
def test_lines_of_which_a_lost_flush_left_no_total_are_announced_at_no_lower_version(
    catalogue: Catalogue, step: Step
) -> None:
    log = Log(FLOW)
    for province in NEW_PROVINCES:
        log.say(province, DAYS[0], 1)
    store = Store()
    partition = opened(catalogue, FLOW.agency, store, 0)
    fold(catalogue, store, partition, log.said[:2], set())
    store.write(partition, 2, "messages")
    partition = opened(catalogue, FLOW.agency, store, 0)
    fold(catalogue, store, partition, log.said[:5], set(range(5)))
    store.write(partition, 5, step)
    partition = opened(catalogue, FLOW.agency, store, 0)
    fold(catalogue, store, partition, log.said[:4], set())
    assert not partition.due
    fold(catalogue, store, partition, log.said[4:5], set())
    assert partition.due
    store.write(partition, 5)
