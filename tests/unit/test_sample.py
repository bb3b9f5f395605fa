"""The believable week: the same by seed, every connected indicator, within the rules but for declared mistakes."""

import collections
import csv
import datetime as dt
import functools
import itertools
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from producers.cells import Defaults
from producers.files import Row, rows
from producers.judge import Judge
from producers.sample.figures import Teller
from producers.sample.live import rounds, so_far
from producers.sample.mistakes import KINDS, with_mistakes
from producers.sample.models import Place
from producers.sample.noise import count, normal, smooth, uniform
from producers.sample.paper import Paper
from producers.sample.profiles import profile_of
from producers.sample.statement import Statement, milliseconds
from producers.sample.week import groups, periods, sampled, week
from schemas.catalogue import BUNDLED, Catalogue, Kind, load
from schemas.period import LOCAL, Frequency, parse
from tests.support import oracle, small_catalogue

END = dt.date(2026, 3, 4)  # a Wednesday after the Lunar New Year's holidays
MERGER = dt.date(2025, 7, 1)
NEVER = Defaults("none", 0)


@functools.cache
def bundled() -> Catalogue:
    return load()


@functools.cache
def told(seed: int = 2020, days: int = 3) -> tuple[Statement, ...]:
    return tuple(with_mistakes(bundled(), week(bundled(), END, days, seed), seed))


def verdicts(catalogue: Catalogue, said: Sequence[Statement], partitions: int = 1) -> dict[int, str]:
    """Judge statements by the worker's rules as if stamped at the midnight that ended the week."""
    now = milliseconds(dt.datetime.combine(END + dt.timedelta(days=1), dt.time(), LOCAL))
    found = {}
    for agency in {statement.agency for statement in said}:
        judge = Judge(catalogue, agency, partitions, now, NEVER)
        own = [Row(at, statement.event()) for at, statement in enumerate(said) if statement.agency == agency]
        found |= {refusal.row: refusal.reason for refusal in judge.judge(own).refused}
    return found


def latest(said: Sequence[Statement]) -> dict[tuple[str, str, str, str], Statement]:
    """Find what counts: per cell the highest revision, and of equal ones the later."""
    found: dict[tuple[str, str, str, str], Statement] = {}
    for statement in said:
        cell = (statement.indicator, statement.area, statement.breakdown, statement.time_period)
        if cell not in found or statement.revision >= found[cell].revision:
            found[cell] = statement
    return found


def test_the_same_seed_tells_the_same_week_and_another_seed_another() -> None:
    again = with_mistakes(bundled(), week(bundled(), END, 1, 2020), 2020)
    assert tuple(again) == told(days=1)
    assert [statement.value for statement in told(seed=7, days=1)] != [statement.value for statement in told(days=1)]


def test_a_day_is_told_alike_in_a_longer_week() -> None:
    short, longer = (
        {cell: one.value for cell, one in latest([one for one in told(days=days) if one.mistake is None]).items()}
        for days in (1, 3)
    )
    assert short.items() <= longer.items()


def test_a_week_has_a_believable_size() -> None:
    assert 50_000 <= len(told(days=7)) <= 150_000


def test_the_rules_refuse_the_declared_mistakes_and_nothing_else() -> None:
    declared = {at: one.mistake.name for at, one in enumerate(told()) if one.mistake is not None}
    assert verdicts(bundled(), told()) == declared
    assert set(declared.values()) == {reason.name for reason, _ in KINDS}


def test_every_connected_indicator_has_a_national_figure_in_its_newest_period() -> None:
    connected = {one.code for one in bundled().indicators if one.connected_since is not None}
    assert len(connected) == 33
    last = {code: max(one.bucket for one in periods(bundled(), bundled().by_code[code], END, 3)) for code in connected}
    newest: dict[str, set[str]] = collections.defaultdict(set)
    for (code, area, breakdown, period), statement in latest([one for one in told() if one.mistake is None]).items():
        if breakdown == "_T" and parse(period).bucket == last[code] and statement.value is not None:
            newest[code].add(area)
    for code in connected:
        indicator = bundled().by_code[code]
        if indicator.geography == "nation" or indicator.area_rollup == "none":
            assert "VN" in newest[code], code
        else:
            assert len(newest[code] - {"VN"}) >= 28, code


def test_all_34_provinces_report_every_indicator_of_provinces() -> None:
    areas: dict[str, set[str]] = collections.defaultdict(set)
    for statement in told():
        if statement.mistake is None and parse(statement.time_period).bucket >= MERGER:
            areas[statement.indicator].add(statement.area)
    for indicator in sampled(bundled()):
        if indicator.geography == "province":
            assert len(areas[indicator.code] - {"VN"}) == 34, indicator.code


def test_parts_add_up_to_the_total_but_for_a_few() -> None:
    cells = latest([one for one in told(days=7) if one.mistake is None])
    right = wrong = 0
    for (code, area, breakdown, period), total in cells.items():
        dimensions = bundled().by_code[code].dimensions
        if breakdown != "_T" or not dimensions or total.value is None:
            continue
        for ordinals in dimensions.values():
            names = [bundled().by_code[code].breakdowns[ordinal] for ordinal in ordinals]
            parts = [cells[code, area, name, period].value for name in names]
            scale = 10 ** bundled().by_code[code].decimals
            same = sum(round((part or 0.0) * scale) for part in parts) == round(total.value * scale)
            right, wrong = right + same, wrong + (not same)
    assert 0 < wrong < right / 100


def test_corrections_bear_a_note_and_a_higher_revision_than_what_they_correct() -> None:
    seen: dict[tuple[str, str, str, str], Statement] = {}
    corrected = 0
    for one in told():
        cell = (one.indicator, one.area, one.breakdown, one.time_period)
        if one.mistake is None:
            before = seen.get(cell)
            assert before is None or one.revision == before.revision + 1
            assert (
                one.observed_at >= parse(one.time_period).start(bundled().by_code[one.indicator].calendar).timestamp()
            )
            if before is not None and before.value != one.value:
                assert one.note, one
                corrected += 1
            seen[cell] = one
    assert corrected > 50
    assert {"A", "P", "E", "M", "I"} <= {one.status for one in told()}


def test_a_mistaken_row_does_not_move_a_sum_made_by_hand_without_knowing_of_it() -> None:
    knowing, naive = (
        {
            cell: statement.value
            for cell, statement in latest(said).items()
            if (known := bundled().indicator(cell[0])) is not None and known.connected_since is not None
        }
        for said in ([one for one in told() if one.mistake is None], told())
    )
    assert {cell: naive[cell] for cell in knowing} == knowing
    for code, area, breakdown, period in naive.keys() - knowing.keys():
        indicator = bundled().by_code[code]
        beside = not any(cell[0] == code and cell[2:] == (breakdown, period) for cell in knowing)
        assert beside or indicator.area_rollup == "none", (code, area, breakdown, period)


def test_working_day_reports_skip_weekends_and_holidays() -> None:
    tet = dt.date(2026, 2, 18)
    indicator = bundled().by_code["G12.001"]
    assert [one.bucket for one in periods(bundled(), indicator, dt.date(2026, 3, 2), 4)] == [
        dt.date(2026, 2, 27),
        dt.date(2026, 3, 2),
    ]
    assert [one.bucket for one in periods(bundled(), indicator, tet, 1)] == [dt.date(2026, 2, 13)]


def test_months_end_by_their_regime_before_they_are_told() -> None:
    def last(code: str, end: dt.date) -> str:
        return list(periods(bundled(), bundled().by_code[code], end, 7))[-1].text

    assert last("G05.001", dt.date(2026, 11, 13)) == "2026-10"  # its window, to the 14th, is still open
    assert last("G05.001", dt.date(2026, 11, 14)) == "2026-11"
    assert last("G05.005", dt.date(2026, 11, 14)) == "2026-10"  # calendar months
    assert last("G05.005", dt.date(2026, 11, 30)) == "2026-11"


def test_before_the_merger_the_63_provinces_report() -> None:
    said = week(bundled(), dt.date(2020, 6, 4), 1, 1)
    areas = {one.area for one in said if one.indicator == "G18.001"}
    assert len(areas) == 63


def test_a_cumulative_figure_never_falls_within_a_year() -> None:
    for code in ("G05.001", "G05.002", "G05.003"):
        indicator = bundled().by_code[code]
        teller = Teller(5, bundled(), indicator, profile_of(indicator))
        figures = [teller.figure(Place("01", 0.1, 0.2), parse(f"2026-{month:02}")) for month in range(1, 13)]
        assert [one.total for one in figures] == sorted(one.total for one in figures)
        for one in figures:
            assert not one.parts or sum(one.parts) == one.total


def test_any_catalogue_can_be_sampled_within_its_rules(tmp_path: Path) -> None:
    catalogue = load(small_catalogue.write_catalogue(tmp_path / "catalogue"))
    said = with_mistakes(catalogue, week(catalogue, END, 2, 3), 3)
    assert {one.indicator for one in said if one.mistake is None} == set(catalogue.by_code)
    assert verdicts(catalogue, said, 4) == {
        at: one.mistake.name for at, one in enumerate(said) if one.mistake is not None
    }


def test_the_files_hold_the_statements_row_by_row_and_can_be_read_again(tmp_path: Path) -> None:
    said = told()
    with Paper(tmp_path) as paper:
        places = paper.write(said)
    files = {path.name: {row.number: row for row in rows(path)} for path in tmp_path.glob("*.csv")}
    assert sum(map(len, files.values())) == len(said)
    for (name, number), statement in itertools.islice(zip(places, said, strict=True), 0, None, 97):
        cells = files[name][number].cells
        assert (cells["indicator"], cells["area"], cells["revision"]) == (
            statement.indicator,
            statement.area,
            str(statement.revision),
        )
        assert (float(str(cells["value"])) if cells["value"] else None) == statement.value
    named = [json.loads(line) for line in (tmp_path / "mistakes.jsonl").read_text().splitlines()]
    assert len(named) == sum(one.mistake is not None for one in said)
    for mistake in named:
        judge = Judge(bundled(), mistake["file"].removesuffix(".csv"), 1, milliseconds(dt.datetime.now(LOCAL)), NEVER)
        (refusal,) = judge.judge([files[mistake["file"]][mistake["row"]]]).refused
        assert refusal.reason == mistake["reason"]


def test_a_sum_by_hand_of_the_files_is_the_report(tmp_path: Path) -> None:
    with Paper(tmp_path) as paper:
        paper.write(told())
    newest: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for path in tmp_path.glob("*.csv"):
        for row in oracle.rows(path):
            cell = (row["indicator"], row["area"], row["breakdown"], row["time_period"])
            if cell not in newest or int(row["revision"]) >= int(newest[cell]["revision"]):
                newest[cell] = row
    by_hand: dict[tuple[str, str, dt.date], Decimal] = collections.defaultdict(Decimal)
    for (code, _, breakdown, period), row in newest.items():
        if row["value"] and oracle.PERIOD.fullmatch(period):
            by_hand[code, breakdown, oracle.bucket_and_slot(period)[0]] += Decimal(row["value"])
    report = oracle.totals(
        [
            oracle.Statement(
                one.indicator,
                one.area,
                one.breakdown,
                one.time_period,
                None if one.value is None else round(one.value * 10_000),
                None if one.base is None else round(one.base * 10_000),
                one.status,
                one.revision,
                offset,
            )
            for offset, one in enumerate(told())
            if one.mistake is None
        ],
        oracle.read_book(BUNDLED),
    )
    compared, flagged = set(), 0
    for (bucket, code, area, breakdown), total in report.items():
        flagged += breakdown == "_T" and area == "VN" and "SUM_MISMATCH" in total.flags
        indicator = bundled().by_code[code]
        if area == "VN" and indicator.area_rollup == "sum":
            assert total.value == by_hand[code, breakdown, bucket] * 10_000, (bucket, code, breakdown)
            compared.add(code)
    assert len(compared) >= 25
    assert 0 < flagged < 30


def test_more_rows_go_after_those_that_a_file_already_has(tmp_path: Path) -> None:
    for append in (False, True):
        with Paper(tmp_path, append=append) as paper:
            places = paper.write(told()[:50])
    name, last = places[-1]
    with (tmp_path / name).open(newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == last


def test_the_running_day_grows_to_its_final_figures() -> None:
    indicator = bundled().by_code["G12.003"]
    (period,) = periods(bundled(), indicator, END, 1)
    group, figure = next(iter(groups(bundled(), indicator, period, 1)))
    start, half = period.start(), dt.timedelta(hours=12)
    growing = [so_far(group, figure, start + half * step) for step in range(3)]
    assert [one.total for one in growing] == [0, figure.total // 2, figure.total]
    assert all(sum(one.parts) == one.total for one in growing)


def test_the_live_sample_is_within_the_rules_and_closes_a_day_that_ended() -> None:
    begins = milliseconds(dt.datetime.combine(END, dt.time(23, 50), LOCAL)) // 1_000
    seconds = itertools.count(begins)
    said: list[Statement] = []
    ends = dt.datetime.combine(END + dt.timedelta(days=1), dt.time(0, 30), LOCAL)
    for portion in rounds(bundled(), 2020, lambda: dt.datetime.fromtimestamp(next(seconds), LOCAL)):
        said += portion
        if portion and portion[0].at >= milliseconds(ends):
            break
    assert {one.revision for one in said} == {0}
    for agency in {one.agency for one in said}:
        judge = Judge(bundled(), agency, 1, said[-1].at, NEVER)
        assert judge.judge([Row(at, one.event()) for at, one in enumerate(said) if one.agency == agency]).refused == ()
    final = latest(said)
    for indicator in sampled(bundled()):
        if indicator.kind is Kind.FLOW and indicator.frequency is Frequency.DAILY:
            for period in periods(bundled(), indicator, END, 1):
                for group, figure in groups(bundled(), indicator, period, 2020):
                    value = final[indicator.code, group.place.code, "_T", period.text].value
                    assert value == figure.total / group.teller.scale


@pytest.mark.parametrize("seed", range(3))
def test_chance_has_the_shape_it_is_named_for(seed: int) -> None:
    size = 4_000
    uniforms = [uniform(seed, at) for at in range(size)]
    assert all(0.0 <= drawn < 1.0 for drawn in uniforms)
    assert abs(sum(uniforms) / size - 0.5) < 0.03
    normals = [normal(seed, at) for at in range(size)]
    assert abs(sum(normals) / size) < 0.08
    assert abs(sum(drawn**2 for drawn in normals) / size - 1.0) < 0.12
    for mean in (0.3, 7.0, 90.0):
        drawn = [count(mean, seed, mean, at) for at in range(size)]
        assert abs(sum(drawn) / size - mean) < 0.1 * mean + 0.02
    assert all(-1.0 <= smooth(seed, at / 7) <= 1.0 for at in range(size))
