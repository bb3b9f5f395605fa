"""What a change of the catalogue does to rows that are there: to statements nothing, to totals what `rebuild` shows."""

import asyncio
import csv
import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from deploy.rebuild.totals import Outcome, TotalsRebuild
from schemas.catalogue import load
from schemas.codec_lines import decode_line
from schemas.errors import Fatal, Retry
from sinks.clickhouse import tail
from sinks.clickhouse.check import check
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.tail import LineKey
from tests.support import oracle
from tests.support.catalogue_folders import append, write_catalogue
from tests.support.inline_worker import Announced, Died, Logs, work
from tests.support.wire import Event, event

DAY = "2026-03-02"
NEXT = "2026-03-03"
INDICATORS = "indicators.csv"
AREAS = "areas.csv"
AGENCIES = (
    "code,qcvn_code,name_vi,name_en,kind,standardised,notes\n"
    "a01,,Cục A,Office A,other,false,\n"
    "a02,,Cục B,Office B,other,false,\n"
)
# Code, agency, kind, roll-up, bounds, frequency, geography and breakdowns of each indicator.
ROWS = (
    ("A01.flow", "a01", "flow", "sum", "0", "1000", "daily", "province", "sex:F;sex:M"),
    ("A01.last", "a01", "cumulative", "sum", "0", "", "daily", "province", ""),
    ("A01.mean", "a01", "level", "mean", "0", "100", "daily", "province", ""),
    ("A02.flow", "a02", "flow", "sum", "0", "1000", "hourly", "province", ""),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a catalogue: two agencies, provinces a and b in a region, c and d below the nation."""
    write_catalogue(tmp_path, {"agencies.csv": AGENCIES})
    change(tmp_path, AREAS, "b", parent="North")
    for code in ("c", "d"):
        append(tmp_path, AREAS, code=code, level="province", parent="VN", name_vi=code, name_en=code)
    for code, agency, kind, rollup, low, high, frequency, geography, breakdowns in ROWS:
        indicator(
            tmp_path,
            code,
            agency=agency,
            kind=kind,
            area_rollup=rollup,
            min=low,
            max=high,
            frequency=frequency,
            geography=geography,
            breakdowns=breakdowns,
        )
    edit(tmp_path, INDICATORS, lambda row: None if row["code"] == "fish-caught" else row)
    return tmp_path


def indicator(folder: Path, code: str, **cells: str) -> None:
    """Add an indicator."""
    given = {"domain": "1", "name_vi": code, "name_en": code, "unit": "x", "decimals": "0", "channel": "electronic"}
    append(folder, INDICATORS, code=code, basis="illustrative", **given, **cells)


def edit(folder: Path, name: str, changed: Callable[[dict[str, str]], Mapping[str, str] | None]) -> None:
    """Change every row of a file of the catalogue; None leaves it out."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), list(reader)
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in map(changed, rows) if row is not None)


def change(folder: Path, name: str, of: str, **cells: str) -> None:
    """Change cells of the row of one code."""
    edit(folder, name, lambda row: row | cells if row["code"] == of else row)


def remove(folder: Path, name: str, code: str) -> None:
    """Take the row of one code out."""
    edit(folder, name, lambda row: None if row["code"] == code else row)


class Case:
    """A database, its logs, what was announced, and a catalogue that changes."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.client: Client = connect(url)
        self.logs = Logs()
        self.announced = Announced()

    def say(self, *events: Event) -> None:
        """Publish, and let a worker of the present catalogue store it."""
        self.logs.say(events)
        work(self.url, self.folder, self.logs, self.announced)

    def die(self, step: str, *events: Event) -> None:
        """Publish, and let a worker die after a step of the flush."""
        self.logs.say(events)
        with pytest.raises(Died):
            work(self.url, self.folder, self.logs, self.announced, die_after=step)  # type: ignore[arg-type]

    def rebuild(self, *, write: bool = False, announce: bool = False, workers: tuple[str, ...] | None = ()) -> Outcome:
        """Run `gris rebuild totals`; None for the workers: Kafka cannot be asked for them."""

        async def daily() -> dict[bytes, LineKey]:
            return {key: line_of(key) for key in self.announced.lines}

        def named() -> tuple[str, ...]:
            if workers is None:
                raise Retry("Kafka does not answer.")
            return workers

        run = TotalsRebuild(self.client, load(self.folder), self.announced, named, daily, session_seconds=0)
        return asyncio.run(run.run(lambda *_: None, write=write, announce=announce))

    def clean(self) -> bool:
        """Tell whether `gris check`, which recomputes by SQL, finds nothing wrong."""
        return check(self.client, load(self.folder)).clean

    def totals(self) -> dict[oracle.Key, tuple[int | None, str]]:
        """Read value and status of every total."""
        rows = self.client.query("SELECT bucket, indicator, area, breakdown, value, status FROM day_totals FINAL")
        return {(row[0], row[1], row[2], row[3]): (None if row[4] is None else int(row[4]), row[5]) for row in rows}

    def values(self, code: str, day: str = DAY, breakdown: str = "_T") -> dict[str, int | None]:
        """Read one line."""
        where = (dt.date.fromisoformat(day), code, breakdown)
        return {key[2]: found[0] for key, found in self.totals().items() if (key[0], key[1], key[3]) == where}

    def published(self, code: str, day: str = DAY, breakdown: str = "_T") -> dict[str, int | None]:
        """Give the last message of one line."""
        line = decode_line(self.announced.lines[f"{day}|{code}|{breakdown}".encode()])
        return {area["area"]: None if area["value"] is None else int(area["value"]) for area in line["areas"]}

    def judged(self, table: str) -> list[tuple[int, str]]:
        """Read offset and rules of the rows of a01, in order."""
        where = "topic = 'gris.events.a01'"
        return [
            (row[0], row[1])
            for row in self.client.query(f"SELECT offset, rules FROM {table} FINAL WHERE {where} ORDER BY offset")
        ]

    def ledger(self) -> tuple[int, int, int, str]:
        """Read where a01 stands."""
        sql = "SELECT next_offset, accepted, rejected, rules FROM ledger FINAL WHERE topic = 'gris.events.a01'"
        next_offset, accepted, rejected, rules = self.client.query(sql)[0]
        return next_offset, accepted, rejected, rules


def line_of(key: bytes) -> LineKey:
    bucket, code, breakdown = key.decode().split("|")
    return (dt.date.fromisoformat(bucket) - dt.date(1970, 1, 1)).days, code, breakdown


@pytest.fixture
def case(database: str, folder: Path) -> Iterator[Case]:
    """Give a database of its own and a catalogue that the test may change."""
    made = Case(database, folder)
    yield made
    made.client.close()


def flow(area: str, value: float | None, day: str = DAY, **others: object) -> Event:
    return event("A01.flow", area, day, value, **others)


# New bounds.


def test_new_bounds_leave_what_was_accepted_and_its_rules_and_judge_what_comes(case: Case) -> None:
    case.say(flow("a", 900), flow("b", 5))
    before = case.ledger()[3]
    change(case.folder, INDICATORS, "A01.flow", max="100")
    case.say(flow("a", 901), flow("b", 6))
    after = case.ledger()[3]
    assert after != before
    assert case.judged("observations") == [(0, before), (1, before), (3, after)]
    assert case.judged("rejected") == [(2, after)]
    assert case.values("A01.flow") == {"a": 900, "b": 6, "North": 906, "VN": 906}
    assert case.rebuild().equal
    assert case.clean()


# An indicator that comes, one that goes, one that is renamed.


def test_a_new_indicator_is_known_from_then_on_and_what_was_refused_before_stays_refused(case: Case) -> None:
    new = event("A01.new", "VN", DAY, 7)
    case.say(flow("a", 1), new)
    assert case.ledger()[:3] == (2, 1, 1)
    indicator(
        case.folder, "A01.new", agency="a01", kind="stock", area_rollup="sum", frequency="daily", geography="nation"
    )
    case.say(flow("b", 2))
    assert case.values("A01.new") == {}
    case.say(new)
    assert case.values("A01.new") == {"VN": 7}
    assert case.ledger()[:3] == (4, 3, 1)
    assert case.rebuild().equal
    assert case.clean()


def test_an_indicator_that_left_keeps_its_statements_and_loses_its_totals_in_a_rebuild(case: Case) -> None:
    case.say(flow("a", 1), flow("b", 2), event("A01.mean", "a", DAY, 5))
    remove(case.folder, INDICATORS, "A01.flow")
    case.say(flow("a", 3), event("A01.mean", "b", DAY, 7))
    assert case.ledger()[:3] == (5, 4, 1)
    assert case.values("A01.flow") == {"a": 1, "b": 2, "North": 3, "VN": 3}
    assert case.clean(), "totals of what left are no fault while its statements are there"
    found = case.rebuild()
    assert (found.differing, found.written, found.deleted) == (4, 0, 0)
    assert not found.equal
    done = case.rebuild(write=True)
    assert (done.differing, done.written, done.deleted) == (4, 0, 4)
    assert done.equal
    assert case.values("A01.flow") == {}
    assert case.values("A01.mean") == {"a": 5, "b": 7, "North": 6, "VN": 6}
    assert len(case.judged("observations")) == 4
    assert case.rebuild().equal
    assert case.clean()


def test_a_renamed_code_is_one_that_left_and_one_that_came(case: Case) -> None:
    case.say(flow("a", 1))
    change(case.folder, INDICATORS, "A01.flow", code="A01.flux")
    case.say(flow("a", 2), event("A01.flux", "a", DAY, 3))
    assert case.values("A01.flux") == {"a": 3, "North": 3, "VN": 3}
    assert case.values("A01.flow") == {"a": 1, "North": 1, "VN": 1}
    assert case.ledger()[:3] == (3, 2, 1)
    assert case.rebuild(write=True).equal
    assert case.values("A01.flow") == {}
    assert case.clean()


def test_a_new_name_is_no_new_code(case: Case) -> None:
    case.say(flow("a", 1))
    change(case.folder, INDICATORS, "A01.flow", name_en="Another name", name_vi="Tên khác")
    case.say(flow("b", 2))
    assert case.values("A01.flow") == {"a": 1, "b": 2, "North": 3, "VN": 3}
    assert case.rebuild().equal


# A merged province.


def merge(folder: Path) -> None:
    """Let c and d be one province, cd, from 3 March on."""
    for code in ("c", "d"):
        change(folder, AREAS, code, valid_to=NEXT)
    cells = {"name_vi": "cd", "name_en": "cd", "valid_from": NEXT}
    append(folder, "areas_2025.csv", code="cd", level="province", parent="VN", merged_from="c;d", **cells)


def test_a_merged_province_takes_its_parts_out_of_the_totals_from_that_day_on_and_not_before(case: Case) -> None:
    for day in (DAY, NEXT):
        case.say(*(flow(area, value, day) for area, value in zip("abcd", (1, 2, 3, 4), strict=True)))
    merge(case.folder)
    case.say(flow("cd", 10, NEXT), flow("c", 1, NEXT), flow("c", 30, DAY))
    assert case.ledger()[:3] == (11, 10, 1)
    found = case.rebuild()
    assert {(one.bucket, one.area, one.column, one.expected) for one in found.differences} == {
        (NEXT, "c", "row", "no row"),
        (NEXT, "d", "row", "no row"),
    }
    assert not case.clean()
    done = case.rebuild(write=True)
    assert (done.written, done.deleted, done.announced) == (0, 2, 1)
    assert case.values("A01.flow", NEXT) == {"a": 1, "b": 2, "North": 3, "cd": 10, "VN": 13}
    assert case.values("A01.flow", DAY) == {"a": 1, "b": 2, "North": 3, "c": 30, "d": 4, "VN": 37}
    assert case.published("A01.flow", NEXT) == case.values("A01.flow", NEXT)
    assert case.published("A01.flow", DAY) == case.values("A01.flow", DAY)
    assert case.rebuild().equal
    assert case.clean()


def test_before_anybody_reports_again_a_merger_changes_sums_and_expected_areas_only_by_a_rebuild(case: Case) -> None:
    case.say(*(flow(area, 1, NEXT) for area in "abcd"), event("A01.mean", "c", NEXT, 50))
    merge(case.folder)
    case.say()
    assert case.values("A01.flow", NEXT)["VN"] == 4
    done = case.rebuild(write=True)
    assert done.equal
    assert done.written > 0
    assert case.values("A01.flow", NEXT) == {"a": 1, "b": 1, "North": 2, "VN": 2}
    assert case.values("A01.mean", NEXT) == {}
    assert case.published("A01.mean", NEXT) == {}, "the line that was announced is taken back"
    expected = "SELECT areas_expected FROM day_totals FINAL WHERE indicator = 'A01.flow' AND area = 'VN'"
    assert case.client.query(expected) == [(3,)]
    assert case.clean()


# What makes old statements unfit for the new form of their indicator.


def test_statements_of_another_frequency_than_the_indicators_enter_no_total(case: Case) -> None:
    case.say(event("A02.flow", "a", f"{DAY}T23:00:00/PT1H", 5), event("A02.flow", "d", f"{DAY}T01:00:00/PT1H", 6))
    change(case.folder, INDICATORS, "A02.flow", frequency="daily")
    case.say(event("A02.flow", "a", DAY, 40))
    assert case.rebuild(write=True).equal
    assert case.values("A02.flow") == {"a": 40, "North": 40, "VN": 40}
    assert case.clean()


def test_statements_of_provinces_enter_no_total_where_only_the_nation_reports_by_now(case: Case) -> None:
    case.say(event("A01.last", "VN", DAY, 9), event("A01.last", "a", DAY, 5))
    change(case.folder, INDICATORS, "A01.last", geography="nation")
    case.say(flow("a", 1))
    assert case.rebuild(write=True).equal
    assert case.values("A01.last") == {"VN": 9}
    assert case.clean()


def test_a_figure_that_needs_a_base_by_now_counts_as_not_reported_until_it_is_said_with_one(case: Case) -> None:
    case.say(event("A01.mean", "a", DAY, 10), event("A01.mean", "b", DAY, 20))
    change(case.folder, INDICATORS, "A01.mean", area_rollup="weighted_mean")
    case.say(event("A01.mean", "b", DAY, 30, base=2.0))
    assert case.rebuild(write=True).equal
    assert case.values("A01.mean") == {"a": None, "b": 30, "North": 30, "VN": 30}
    assert case.clean()


def test_a_breakdown_that_was_dropped_enters_no_total(case: Case) -> None:
    case.say(flow("a", 5), flow("a", 2, breakdown="sex:F"), flow("a", 4, breakdown="sex:M"))
    change(case.folder, INDICATORS, "A01.flow", breakdowns="sex:F")
    case.say()
    done = case.rebuild(write=True)
    assert done.equal
    assert case.values("A01.flow", breakdown="sex:M") == {}
    assert case.values("A01.flow", breakdown="sex:F") == {"a": 2, "North": 2, "VN": 2}
    assert case.clean()


def test_another_kind_or_roll_up_changes_totals_by_a_rebuild(case: Case) -> None:
    case.say(event("A01.mean", "a", DAY, 10), event("A01.mean", "b", DAY, 20))
    change(case.folder, INDICATORS, "A01.mean", area_rollup="sum")
    case.say()
    assert not case.clean()
    assert case.rebuild(write=True).equal
    assert case.values("A01.mean") == {"a": 10, "b": 20, "North": 30, "VN": 30}
    assert case.clean()


def test_an_indicator_that_moved_to_another_agency_stops_the_worker(case: Case) -> None:
    case.say(flow("a", 1))
    change(case.folder, INDICATORS, "A01.flow", agency="a02")
    with pytest.raises(Fatal, match=r"A01\.flow lie in partition 0 of gris\.events\.a02.*gris rebuild events"):
        case.say()


# A flush that was cut off, and other rules at the next start.


def test_the_very_first_flush_may_be_the_one_that_is_cut_off(case: Case) -> None:
    case.die("messages", flow("a", 900), flow("b", 5))
    change(case.folder, INDICATORS, "A01.flow", max="100")
    case.say()
    assert case.ledger()[:3] == (2, 1, 1)
    assert case.values("A01.flow") == {"b": 5, "North": 5, "VN": 5}
    assert case.published("A01.flow") == case.values("A01.flow")
    assert case.clean()


def test_a_failed_change_of_rules_may_be_taken_back(case: Case) -> None:
    case.say(flow("a", 1))
    change(case.folder, INDICATORS, "A01.flow", max="100")
    case.die("totals", flow("a", 900), flow("b", 5))
    change(case.folder, INDICATORS, "A01.flow", max="1000")
    case.say()
    assert case.ledger()[:3] == (3, 3, 0)
    assert case.judged("rejected") == []
    assert case.values("A01.flow") == {"a": 900, "b": 5, "North": 905, "VN": 905}
    assert case.clean()


def test_totals_that_a_lost_flush_wrote_of_an_indicator_that_left_are_deleted(case: Case) -> None:
    case.say(event("A01.mean", "a", DAY, 1))
    case.die("messages", flow("a", 900), flow("b", 5))
    assert case.values("A01.flow") == {"a": 900, "b": 5, "North": 905, "VN": 905}
    remove(case.folder, INDICATORS, "A01.flow")
    case.say()
    assert case.values("A01.flow") == {}
    assert case.ledger()[:3] == (3, 1, 2)
    assert case.clean()


def floor(case: Case) -> int:
    """Read the version below which no line of a01 may be announced."""
    codes = [one.code for one in load(case.folder).owned_by("a01")]
    return tail.highest_version(case.client, "gris.events.a01", 0, codes)


@pytest.mark.parametrize("step", ["floors", "messages", "deletions"])
def test_the_version_of_lines_of_which_no_total_is_left_outlives_the_worker(case: Case, step: str) -> None:
    case.die("messages", flow("a", 900), flow("b", 901))
    change(case.folder, INDICATORS, "A01.flow", max="100")
    case.die(step, flow("a", 902))
    assert (case.values("A01.flow") == {}) == (step == "deletions")
    assert floor(case) == 3
    change(case.folder, INDICATORS, "A01.flow", max="1000")
    case.say()
    assert case.values("A01.flow") == {"a": 902, "b": 901, "North": 1803, "VN": 1803}
    assert case.clean()


def test_the_version_of_lines_outlives_the_totals_of_an_indicator_that_left(case: Case) -> None:
    case.die("messages", flow("a", 900), flow("b", 5))
    remove(case.folder, INDICATORS, "A01.flow")
    case.die("observations")
    assert case.totals() == {}
    assert floor(case) == 2


def test_a_worker_that_comes_late_to_the_repair_takes_nothing_from_its_successor(case: Case) -> None:
    case.die("observations", flow("a", 1))
    rules = case.ledger()[3]
    case.say()
    codes = [row[0] for row in ROWS if row[1] == "a01"]
    tail.delete_rows(case.client, [tail.Behind("gris.events.a01", 0, 0, codes)], rules=rules)
    assert case.judged("observations") == [(0, rules)]
    key = (line_of(f"{DAY}|A01.flow|_T".encode())[0], "A01.flow", "_T", "a")
    tail.delete_totals(case.client, [key], version=0)
    assert case.clean()


# When a rebuild of totals refuses, and how it ends what another began.


def test_a_rebuild_refuses_to_write_while_a_worker_runs_unless_nothing_differs(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.rebuild.totals.GONE_SECONDS", 0.0)
    monkeypatch.setattr("deploy.rebuild.totals.SETTLE_SECONDS", 0.0)
    case.say(flow("a", 1))
    assert case.rebuild(write=True, workers=("worker-1",)).equal
    change(case.folder, INDICATORS, "A01.flow", area_rollup="mean", kind="level")
    append_mean = flow("b", 4)
    case.say()
    assert case.rebuild(write=True, workers=("worker-1",)).equal, "of one province, mean and sum are the same"
    case.say(append_mean)
    case.client.command("DELETE FROM day_totals WHERE area = 'VN'")
    with pytest.raises(Fatal, match=r"a worker runs \(worker-1\)"):
        case.rebuild(write=True, workers=("worker-1",))
    assert "VN" not in case.values("A01.flow")
    done = case.rebuild(write=True)
    assert (done.differing, done.written, done.equal) == (1, 1, True)


@pytest.mark.parametrize("workers", [("worker-1",), None], ids=["beside a worker", "without Kafka"])
def test_a_rebuild_shows_what_a_new_agency_of_an_indicator_changes_before_a_worker_knows_it(
    case: Case, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...] | None
) -> None:
    monkeypatch.setattr("deploy.rebuild.totals.REST_SECONDS", 0.0)
    case.say(flow("a", 1))
    append(
        case.folder, "agencies.csv", code="a03", name_vi="Cục C", name_en="Office C", kind="other", standardised="false"
    )
    change(case.folder, INDICATORS, "A01.flow", agency="a03")
    assert case.rebuild(workers=workers).differing == 3


def test_a_rebuild_refuses_to_write_what_a_flush_that_was_cut_off_would_undo(case: Case) -> None:
    case.say(flow("a", 1))
    case.die("totals", flow("b", 5))
    case.client.command("DELETE FROM day_totals WHERE area = 'North'")
    with pytest.raises(Fatal, match=r"partition 0 of gris\.events\.a01 lie behind the ledger"):
        case.rebuild(write=True)
    case.say()
    assert case.rebuild().equal
    assert case.clean()


def test_a_rebuild_that_announces_publishes_every_line_and_takes_back_what_is_no_more(case: Case) -> None:
    case.say(flow("a", 1), flow("b", 2), event("A01.last", "a", DAY, 3))
    case.announced.lines = {f"{NEXT}|A01.last|_T".encode(): b"", f"{DAY}|A09.none|_T".encode(): b"old"}
    done = case.rebuild(announce=True)
    assert (done.differing, done.announced, done.equal) == (0, 3, True)
    assert case.published("A01.flow") == {"a": 1, "b": 2, "North": 3, "VN": 3}
    assert case.published("A01.last") == {"a": 3, "North": 3, "VN": 3}
    assert case.published("A01.last", NEXT) == {}
    assert case.announced.lines[f"{DAY}|A09.none|_T".encode()] == b"old", "of what it does not know it says nothing"
