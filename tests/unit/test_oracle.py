"""The oracle that judges the system is itself judged: by numbers worked out by hand."""

import datetime as dt
import itertools

import pytest

from tests.support.oracle import Book, Statement, Total, bucket_and_slot, totals

DAY = "2026-11-23"
BUCKET = dt.date(2026, 11, 23)


def indicator(kind: str, rollup: str, geography: str = "province", breakdowns: str = "") -> dict[str, str]:
    return {"kind": kind, "area_rollup": rollup, "geography": geography, "breakdowns": breakdowns}


def area(code: str, level: str, parent: str, valid_from: str = "2008-08-01", valid_to: str = "") -> dict[str, str]:
    return {"code": code, "level": level, "parent": parent, "valid_from": valid_from, "valid_to": valid_to}


BOOK = Book(
    indicators={
        "flow": indicator("flow", "sum", breakdowns="sex:F;sex:M;age:Y;age:O"),
        "rain": indicator("flow", "mean"),
        "stock": indicator("stock", "sum"),
        "level": indicator("level", "mean"),
        "ratio": indicator("ratio", "weighted_mean"),
        "index": indicator("index", "none"),
        "year": indicator("cumulative", "sum"),
        "nation": indicator("level", "mean", "nation"),
        "nation-flow": indicator("flow", "sum", "nation", "sex:F;sex:M"),
    },
    areas=(
        area("VN", "nation", "", ""),
        area("R1", "region", "VN", valid_to="2025-07-01"),
        area("11", "province", "R1", valid_to="2025-07-01"),
        area("R7", "region", "VN", "2025-07-01"),
        area("R8", "region", "VN", "2025-07-01"),
        area("11", "province", "R7", "2025-07-01"),
        area("12", "province", "R7", "2025-07-01"),
        area("13", "province", "R8", "2025-07-01"),
        area("14", "province", "VN", "2025-07-01"),
    ),
)


def say(
    code: str,
    where: str,
    value: int | None,
    *,
    period: str = DAY,
    breakdown: str = "_T",
    base: int | None = None,
    status: str | None = None,
    revision: int = 0,
    offset: int = 0,
) -> Statement:
    given = status or ("M" if value is None else "A")
    return Statement(code, where, breakdown, period, value, base, given, revision, offset)


def at(code: str, where: str, *said: Statement, breakdown: str = "_T", bucket: dt.date = BUCKET) -> Total:
    return totals(said, BOOK)[bucket, code, where, breakdown]


def areas_of(*said: Statement) -> set[str]:
    return {key[2] for key in totals(said, BOOK)}


@pytest.mark.parametrize(
    ("text", "bucket", "slot"),
    [
        ("2026-11-23T06:00:00/PT1H", dt.date(2026, 11, 23), 6),
        ("2026-11-23T18:00:00/PT6H", dt.date(2026, 11, 23), 3),
        ("2026-11-23", dt.date(2026, 11, 23), 0),
        ("2026-11", dt.date(2026, 11, 1), 0),
        ("2026-Q4", dt.date(2026, 10, 1), 0),
        ("2026-S2", dt.date(2026, 7, 1), 0),
        ("2026", dt.date(2026, 1, 1), 0),
    ],
)
def test_a_period_falls_into_the_first_day_its_label_names(text: str, bucket: dt.date, slot: int) -> None:
    assert bucket_and_slot(text) == (bucket, slot)


def test_a_flow_adds_its_hours_and_a_stock_takes_the_last_hour_that_has_a_value() -> None:
    hours = [(f"{DAY}T{hour:02}:00:00/PT1H", value) for hour, value in ((3, 100), (9, 250), (20, None))]
    flow = [say("flow", "11", value, period=period, offset=n) for n, (period, value) in enumerate(hours)]
    stock = [say("stock", "11", value, period=period, offset=n) for n, (period, value) in enumerate(hours)]
    assert at("flow", "11", *flow) == Total(350, 350, 350, 1, 1, 2, "A")
    assert at("stock", "11", *stock) == Total(250, 250, 250, 1, 1, 2, "A")


def test_provinces_make_their_region_and_the_nation_and_a_province_may_belong_to_the_nation_alone() -> None:
    said = [say("flow", "11", 10), say("flow", "12", 20), say("flow", "14", 5, status="P")]
    assert at("flow", "R7", *said) == Total(30, 10, 20, 2, 2, 2, "A")
    assert at("flow", "VN", *said) == Total(35, 5, 20, 3, 4, 3, "P")
    assert areas_of(*said) == {"11", "12", "14", "R7", "VN"}


def test_the_nation_s_own_value_counts_before_the_roll_up_and_has_no_spread() -> None:
    said = [say("flow", "11", 10, status="E"), say("flow", "12", None), say("flow", "VN", 99, status="B")]
    assert at("flow", "VN", *said) == Total(99, None, None, 1, 4, 1, "B")
    assert at("flow", "R7", *said) == Total(10, 10, 10, 1, 2, 1, "E")


def test_a_withdrawn_value_of_the_nation_gives_way_to_the_roll_up() -> None:
    said = [say("flow", "11", 10), say("flow", "VN", 99), say("flow", "VN", None, offset=1)]
    assert at("flow", "VN", *said) == Total(10, 10, 10, 1, 4, 1, "A")


def test_a_line_of_which_everything_was_withdrawn_keeps_empty_rows() -> None:
    said = [say("flow", "11", 10), say("flow", "11", None, revision=1)]
    empty = Total(None, None, None, 0, 1, 0, "M")
    assert at("flow", "11", *said) == empty
    assert at("flow", "R7", *said) == Total(None, None, None, 0, 2, 0, "M")
    assert at("flow", "VN", *said) == Total(None, None, None, 0, 4, 0, "M")


def test_the_highest_revision_wins_and_with_equal_revisions_the_later_in_the_log_in_any_order() -> None:
    said = [
        say("flow", "11", 1, revision=0, offset=9),
        say("flow", "11", 2, revision=1, offset=3),
        say("flow", "11", 3, revision=1, offset=5),
        say("flow", "11", 3, revision=1, offset=5),
    ]
    for order in itertools.permutations(said):
        assert at("flow", "11", *order).value == 3


@pytest.mark.parametrize(("values", "mean"), [((1, 2), 2), ((2, 3), 2), ((3, 4), 4), ((-1, -2), -2), ((1, 2, 2), 2)])
def test_a_mean_is_of_provinces_and_rounds_half_to_even(values: tuple[int, ...], mean: int) -> None:
    said = [say("level", where, value) for where, value in zip(("11", "12", "13"), values, strict=False)]
    assert at("level", "VN", *said).value == mean


def test_the_mean_of_the_nation_is_of_provinces_never_of_regions() -> None:
    said = [say("level", "11", 10), say("level", "12", 20), say("level", "13", 60)]
    assert at("level", "R7", *said).value == 15
    assert at("level", "VN", *said).value == 30


def test_rain_adds_over_the_day_and_is_averaged_over_provinces() -> None:
    said = [say("rain", "11", 10, period=f"{DAY}T00:00:00/PT6H"), say("rain", "11", 20, period=f"{DAY}T06:00:00/PT6H")]
    said.append(say("rain", "12", 40, period=f"{DAY}T06:00:00/PT6H"))
    assert at("rain", "VN", *said) == Total(35, 30, 40, 2, 4, 3, "A")


def test_a_ratio_weighs_by_base_exactly() -> None:
    said = [say("ratio", "11", 500_000, base=10_000), say("ratio", "12", 800_000, base=30_000)]
    assert at("ratio", "VN", *said).value == 725_000
    huge = [say("ratio", "11", 99_999_999_999_999, base=999_999_999_999_999), say("ratio", "12", 1, base=1)]
    assert at("ratio", "VN", *huge).value == 99_999_999_999_999


def test_an_index_has_rows_only_for_areas_that_spoke() -> None:
    said = [say("index", "11", 1_010_000), say("index", "13", 990_000)]
    assert areas_of(*said) == {"11", "13"}
    said.append(say("index", "VN", 1_000_000, status="F"))
    assert areas_of(*said) == {"11", "13", "VN"}
    assert at("index", "VN", *said) == Total(1_000_000, None, None, 2, 4, 1, "F")


def test_a_nation_only_indicator_is_one_row() -> None:
    assert at("nation", "VN", say("nation", "VN", 7)) == Total(7, 7, 7, 1, 1, 1, "A")
    assert at("nation", "VN", say("nation", "VN", None)) == Total(None, None, None, 0, 1, 0, "M")


def test_the_status_is_the_first_of_i_e_p_f_b_a_among_what_entered() -> None:
    order = "IEPFBA"
    for first, second in itertools.combinations(order, 2):
        said = [say("flow", "11", 1, status=second), say("flow", "13", 1, status=first)]
        assert at("flow", "VN", *said).status == first
    earlier = say("stock", "11", 1, period=f"{DAY}T01:00:00/PT1H", status="I")
    assert at("stock", "11", earlier, say("stock", "11", 2, period=f"{DAY}T02:00:00/PT1H")).status == "A"


def test_the_map_in_force_on_the_bucket_counts_and_before_the_first_map_the_first() -> None:
    old = say("flow", "11", 5, period="2024-01-01")
    assert at("flow", "R1", old, bucket=dt.date(2024, 1, 1)) == Total(5, 5, 5, 1, 1, 1, "A")
    ancient = say("flow", "11", 5, period="1995-01-01")
    assert at("flow", "VN", ancient, bucket=dt.date(1995, 1, 1)) == Total(5, 5, 5, 1, 1, 1, "A")


def test_the_nation_s_own_value_that_differs_from_all_its_provinces_is_flagged_on_every_row() -> None:
    said = [say("flow", where, 10) for where in ("11", "12", "13", "14")] + [say("flow", "VN", 41)]
    assert {total.flags for total in totals(said, BOOK).values()} == {("SUM_MISMATCH",)}
    assert at("flow", "VN", *said[:3], said[4]).flags == ()
    assert at("flow", "VN", *said[:4], say("flow", "VN", 40)).flags == ()
    assert at("flow", "VN", *said[:3], say("flow", "14", None), say("flow", "VN", 31)).flags == ()


def test_a_dimension_with_all_its_codes_that_does_not_add_up_flags_the_total_line_only() -> None:
    said = [say("flow", "11", 10), say("flow", "11", 6, breakdown="sex:F")]
    assert at("flow", "VN", *said).flags == ()
    said.append(say("flow", "12", 5, breakdown="sex:M"))
    assert at("flow", "11", *said).flags == ("SUM_MISMATCH",)
    assert at("flow", "VN", *said, breakdown="sex:M").flags == ()
    said.append(say("flow", "12", 4, breakdown="sex:M", offset=1))
    assert at("flow", "VN", *said).flags == ()
    said.append(say("flow", "12", None, breakdown="sex:M", offset=2))
    assert at("flow", "VN", *said).flags == ()


def test_a_nation_only_dimension_that_does_not_add_up_is_flagged_too() -> None:
    said = [say("nation-flow", "VN", 10), *(say("nation-flow", "VN", 6, breakdown=f"sex:{sex}") for sex in "FM")]
    assert at("nation-flow", "VN", *said).flags == ("SUM_MISMATCH",)


def test_a_cumulative_figure_below_the_previous_one_of_its_year_is_flagged_on_the_later_bucket() -> None:
    said = [say("year", "11", 10, period="2026-01-31"), say("year", "11", None, period="2026-02-28")]
    said.append(say("year", "11", 9, period="2026-03-31"))
    assert at("year", "R7", *said, bucket=dt.date(2026, 3, 31)).flags == ("NOT_MONOTONE",)
    assert at("year", "VN", *said, bucket=dt.date(2026, 1, 31)).flags == ()
    assert at("year", "VN", *said, bucket=dt.date(2026, 2, 28)).flags == ()
    next_year = say("year", "11", 1, period="2027-01-31")
    assert at("year", "VN", *said, next_year, bucket=dt.date(2027, 1, 31)).flags == ()


def test_a_stock_may_fall() -> None:
    said = [say("stock", "11", 10, period="2026-01-31"), say("stock", "11", 9, period="2026-02-28")]
    assert {total.flags for total in totals(said, BOOK).values()} == {()}
