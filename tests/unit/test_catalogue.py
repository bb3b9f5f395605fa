"""Any folder with the right files is a catalogue; one that cannot be used is refused with file, row and reason."""

import datetime as dt
from pathlib import Path

import pytest

from schemas.catalogue import CatalogueError, Kind, Rollup, load
from schemas.errors import Fatal
from schemas.period import Calendar, Frequency
from tests.support.catalogue_folders import MINIMAL, append, change, write_catalogue

REGIME = {
    "code": "W1",
    "agency": "zz",
    "frequency": "monthly",
    "calendar": "nd09",
    "window_rule": "period; prose",
    "deadline_offset": "P2DT4H30M",
    "receives": "zz;Sea_office.1",
    "method": "stream",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_catalogue(tmp_path)


def test_a_small_catalogue_with_other_codes_and_no_regimes_holidays_or_history_is_accepted(folder: Path) -> None:
    catalogue = load(folder)
    assert [agency.code for agency in catalogue.agencies] == ["Sea_office.1", "zz"]
    assert (catalogue.regimes, catalogue.holidays, catalogue.history) == ((), (), ())
    (fish,) = catalogue.indicators
    assert (fish.ordinal, fish.kind, fish.area_rollup, fish.frequency) == (0, Kind.FLOW, Rollup.SUM, Frequency.HOURLY)
    assert (fish.min, fish.max, fish.min_ticks, fish.max_ticks) == (0.0, 1500.5, 0, 15_005_000)
    assert (fish.connected_since, fish.regime, fish.calendar) == (dt.date(2024, 2, 29), None, Calendar.STATISTICAL)
    assert not fish.needs_base
    assert catalogue.by_code == {"fish-caught": fish}
    assert catalogue.owned_by("Sea_office.1") == (fish,)
    assert catalogue.owned_by("zz") == catalogue.owned_by("nobody") == ()
    assert catalogue.indicator("fish") is None
    assert catalogue.agency("z") is None
    assert catalogue.regime("W1") is None


def test_breakdowns_begin_with_the_total_and_are_found_by_dimension(folder: Path) -> None:
    change(folder, "indicators.csv", 2, breakdowns="sex:F;gear:NET;sex:M")
    (fish,) = load(folder).indicators
    assert fish.breakdowns == ("_T", "sex:F", "gear:NET", "sex:M")
    assert dict(fish.dimensions) == {"sex": (1, 3), "gear": (2,)}


def test_an_indicator_without_breakdowns_has_only_the_total(folder: Path) -> None:
    change(folder, "indicators.csv", 2, breakdowns="")
    (fish,) = load(folder).indicators
    assert fish.breakdowns == ("_T",)
    assert dict(fish.dimensions) == {}


@pytest.mark.parametrize(
    ("kind", "rollup", "needs"),
    [
        ("ratio", "none", True),
        ("ratio", "weighted_mean", True),
        ("level", "weighted_mean", True),
        ("level", "mean", False),
    ],
)
def test_a_ratio_or_a_weighted_mean_needs_a_base(folder: Path, kind: str, rollup: str, needs: bool) -> None:
    change(folder, "indicators.csv", 2, kind=kind, area_rollup=rollup)
    assert load(folder).indicators[0].needs_base is needs


def test_the_topic_of_an_agency_has_the_partitions_its_row_says_or_one(folder: Path) -> None:
    header, first, second = MINIMAL["agencies.csv"].splitlines()
    content = f"{header},partitions\n{first},12\n{second},\n"
    assert [agency.partitions for agency in load(folder).agencies] == [1, 1]
    assert [agency.partitions for agency in load(write_catalogue(folder, {"agencies.csv": content})).agencies] == [
        12,
        1,
    ]


@pytest.mark.parametrize("partitions", ["0", "-1", "1.5", "many", "70000"])
def test_partitions_below_one_or_not_whole_are_refused(folder: Path, partitions: str) -> None:
    header, first, second = MINIMAL["agencies.csv"].splitlines()
    write_catalogue(folder, {"agencies.csv": f"{header},partitions\n{first},1\n{second},{partitions}\n"})
    with pytest.raises(CatalogueError, match=rf"^agencies.csv row 3: partitions '{partitions}' is not 1..65535$"):
        load(folder)


def test_an_indicator_takes_the_calendar_of_its_regime(folder: Path) -> None:
    append(folder, "regimes.csv", **REGIME)
    change(folder, "indicators.csv", 2, regime="W1")
    catalogue = load(folder)
    regime = catalogue.regime("W1")
    assert regime is not None
    assert catalogue.indicators[0].calendar is regime.calendar is Calendar.ND09
    assert regime.deadline_offset == dt.timedelta(days=2, hours=4, minutes=30)
    assert regime.receives == ("zz", "Sea_office.1")
    assert not regime.working_days


def test_a_bound_finer_than_a_tick_becomes_the_nearest_tick_within(folder: Path) -> None:
    change(folder, "indicators.csv", 2, min="-0.00001", max="2.99999")
    (fish,) = load(folder).indicators
    assert (fish.min_ticks, fish.max_ticks) == (0, 29_999)
    assert (fish.min, fish.max) == (-0.00001, 2.99999)


def test_an_open_bound_is_none(folder: Path) -> None:
    change(folder, "indicators.csv", 2, min="", max="")
    (fish,) = load(folder).indicators
    assert (fish.min, fish.max, fish.min_ticks, fish.max_ticks) == (None, None, None, None)


def test_columns_may_stand_in_another_order_beside_others_with_carriage_returns_and_a_byte_order_mark(
    folder: Path,
) -> None:
    text = "\ufeffname_en,colour,date,name_vi\r\nTet,red,2026-02-17,Tết\r\n\r\n"
    (folder / "holidays.csv").write_bytes(text.encode())
    catalogue = load(folder)
    assert [(holiday.day, holiday.name_vi) for holiday in catalogue.holidays] == [(dt.date(2026, 2, 17), "Tết")]
    assert catalogue.is_holiday(dt.date(2026, 2, 17))
    assert not catalogue.is_holiday(dt.date(2026, 2, 18))


def test_the_digest_changes_with_any_byte_of_any_file_and_only_then(folder: Path) -> None:
    digests = {load(folder).digest, load(folder).digest}
    for name in MINIMAL:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content + b"\n")
        digests.add(load(folder).digest)
        (folder / name).write_bytes(content)
    assert len(digests) == 1 + len(MINIMAL)
    assert load(folder).digest in digests
    assert all(len(digest) == 64 for digest in digests)


@pytest.mark.parametrize("name", MINIMAL)
def test_a_missing_file_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CatalogueError, match=rf"^{name}: cannot be read in .*check GRIS_CATALOGUE"):
        load(folder)


@pytest.mark.parametrize("name", MINIMAL)
def test_a_missing_column_is_refused_by_name(folder: Path, name: str) -> None:
    header = MINIMAL[name].splitlines()[0]
    for column in header.split(","):
        others = ",".join(other for other in header.split(",") if other != column)
        write_catalogue(folder, {name: f"{others}\n"})
        with pytest.raises(CatalogueError, match=rf"^{name} row 1: column {column} is not in the header$"):
            load(folder)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "holidays.csv row 1: column date is not in the header"),
        (b"date,name_vi,name_en,date\n", "holidays.csv row 1: column date is twice in the header"),
        (b"date,name_vi,name_en\n2026-01-01,x\n", "holidays.csv row 2: has 2 fields, not the 3 of the header"),
        (b"date,name_vi,name_en\n2026-01-01,\xff,x\n", "holidays.csv: is not UTF-8 at byte 32"),
        (b'date,name_vi,name_en\n2026-01-01,"x"y,x\n', "holidays.csv: is not valid CSV"),
        (
            b"date,name_vi,name_en\n2026-01-01,x,x\n2026-01-01,y,y\n",
            "holidays.csv row 3: date '2026-01-01' repeats row 2",
        ),
    ],
)
def test_a_file_that_is_no_table_is_refused(folder: Path, content: bytes, text: str) -> None:
    (folder / "holidays.csv").write_bytes(content)
    with pytest.raises(CatalogueError) as refusal:
        load(folder)
    assert str(refusal.value).startswith(text)


BROKEN_CELLS = [
    ("agencies.csv 2 code", "", "code '' is not a code"),
    ("agencies.csv 2 code", "a b", "code 'a b' is not a code"),
    ("agencies.csv 2 code", "a\n", r"code 'a\n' is not a code"),
    ("agencies.csv 2 code", "é", "code 'é' is not a code"),
    ("agencies.csv 2 code", "a" * 33, f"code '{'a' * 33}' is not a code"),
    ("agencies.csv 3 code", "Sea_office.1", "code 'Sea_office.1' repeats an agency"),
    ("agencies.csv 3 code", "Sea.office.1", "code 'Sea.office.1' would name the same topic as 'Sea_office.1'"),
    ("agencies.csv 3 standardised", "yes", "standardised 'yes' is not one of true, false"),
    ("indicators.csv 2 code", "fish/caught", "code 'fish/caught' is not a code"),
    ("indicators.csv 2 agency", "g01", "agency 'g01' is not in agencies.csv"),
    ("indicators.csv 2 kind", "Flow", "kind 'Flow' is not one of flow, stock, level, ratio, index, cumulative"),
    ("indicators.csv 2 area_rollup", "", "area_rollup '' is not one of sum, mean, weighted_mean, none"),
    ("indicators.csv 2 decimals", "x", "decimals 'x' is not 0..4"),
    ("indicators.csv 2 decimals", "5", "decimals '5' is not 0..4"),
    ("indicators.csv 2 decimals", "-1", "decimals '-1' is not 0..4"),
    ("indicators.csv 2 decimals", "", "decimals '' is not 0..4"),
    ("indicators.csv 2 decimals", "٢", "decimals '٢' is not 0..4"),
    ("indicators.csv 2 min", "NaN", "min 'NaN' is not a decimal number"),
    ("indicators.csv 2 max", "Infinity", "max 'Infinity' is not a decimal number"),
    ("indicators.csv 2 max", "1_000", "max '1_000' is not a decimal number"),
    ("indicators.csv 2 max", "10000000000", "max '10000000000' is not below 10^10"),
    ("indicators.csv 2 min", "-10000000000", "min '-10000000000' is not below 10^10"),
    ("indicators.csv 2 min", "1500.51", "min 1500.51 is above max 1500.5"),
    ("indicators.csv 2 frequency", "weekly", "frequency 'weekly' is not one of hourly, six_hourly, daily"),
    ("indicators.csv 2 geography", "region", "geography 'region' is not one of nation, province"),
    ("indicators.csv 2 channel", "paper", "channel 'paper' is not one of electronic, direct_entry"),
    ("indicators.csv 2 connected_since", "2023-02-29", "connected_since '2023-02-29' is not a date"),
    ("indicators.csv 2 connected_since", "20230228", "connected_since '20230228' is not a date"),
    ("indicators.csv 2 regime", "R1", "regime 'R1' is not in regimes.csv"),
    ("indicators.csv 2 breakdowns", "sex", "breakdown 'sex' is not like sex:F"),
    ("indicators.csv 2 breakdowns", "sex:F;", "breakdown '' is not like sex:F"),
    ("indicators.csv 2 breakdowns", "a:b:c", "breakdown 'a:b:c' is not like sex:F"),
    ("indicators.csv 2 breakdowns", "sex:F;sex:F", "breakdown 'sex:F' is there 2 times"),
    ("areas.csv 4 code", "North", "code 'North' is valid at the same time in areas.csv row 3"),
    ("areas.csv 4 code", "VN", "code 'VN' of level province: the nation, and only it, is VN"),
    ("areas.csv 2 code", "TH", "code 'TH' of level nation: the nation, and only it, is VN"),
    ("areas.csv 2 parent", "VN", "parent 'VN' of a nation is not ''"),
    ("areas.csv 3 parent", "", "parent '' of a region is not 'VN'"),
    ("areas.csv 4 level", "district", "level 'district' is not one of nation, region, province"),
    ("areas.csv 4 parent", "South", "parent 'South' is no region in force from ever"),
    ("areas.csv 4 parent", "b", "parent 'b' is no region in force from ever"),
    ("areas.csv 4 valid_from", "2008", "valid_from '2008' is not a date"),
    ("regimes.csv 2 agency", "g01", "agency 'g01' is not in agencies.csv"),
    ("regimes.csv 2 receives", "zz;g01", "receives 'g01' is not in agencies.csv"),
    ("regimes.csv 2 frequency", "", "frequency '' is not one of hourly, six_hourly"),
    ("regimes.csv 2 calendar", "lunar", "calendar 'lunar' is not one of statistical, nd09"),
    ("regimes.csv 2 deadline_offset", "P", "deadline_offset 'P' is not a duration like P2D or PT4H"),
    ("regimes.csv 2 deadline_offset", "P2DT", "deadline_offset 'P2DT' is not a duration"),
    ("regimes.csv 2 deadline_offset", "P1M", "deadline_offset 'P1M' is not a duration"),
    ("regimes.csv 2 method", "fax", "method 'fax' is not one of stream, form, file"),
    ("coverage_history.csv 2 electronic", "7x", "electronic '7x' is not 0.."),
    ("coverage_history.csv 2 date", "", "date '' is not a date"),
    ("holidays.csv 2 date", "2026-02-30", "date '2026-02-30' is not a date"),
]


@pytest.mark.parametrize(("place", "cell", "reason"), BROKEN_CELLS)
def test_a_cell_that_does_not_fit_is_refused_with_file_row_and_reason(
    folder: Path, place: str, cell: str, reason: str
) -> None:
    append(folder, "regimes.csv", **REGIME)
    append(folder, "coverage_history.csv", date="2020-06-05", electronic="78")
    append(folder, "holidays.csv", date="2026-02-17")
    load(folder)
    name, row, column = place.split()
    change(folder, name, int(row), **{column: cell})
    with pytest.raises(Fatal) as refusal:
        load(folder)
    assert str(refusal.value).startswith(f"{name} row {row}: {reason}")


@pytest.mark.parametrize("name", ["indicators.csv", "regimes.csv"])
def test_a_code_that_repeats_is_refused(folder: Path, name: str) -> None:
    append(folder, "regimes.csv", **REGIME)
    content = (folder / name).read_text(encoding="utf-8")
    write_catalogue(folder, {name: content + content.splitlines()[1] + "\n"})
    with pytest.raises(CatalogueError, match=rf"^{name} row 3: code '[A-Za-z0-9-]+' repeats row 2$"):
        load(folder)


def test_a_catalogue_without_the_nation_is_refused(folder: Path) -> None:
    write_catalogue(folder, {"areas.csv": MINIMAL["areas_2025.csv"]})
    with pytest.raises(CatalogueError, match=r"^areas.csv: has no area VN of level nation$"):
        load(folder)


def test_400_provinces_in_force_together_are_accepted_and_one_more_is_refused(folder: Path) -> None:
    rows = [f"p{number},province,VN,P,P,,\n" for number in range(398)]
    write_catalogue(folder, {"areas.csv": MINIMAL["areas.csv"] + "".join(rows)})
    assert len(load(folder).maps[0].provinces) == 400
    append(folder, "areas_2025.csv", code="q", level="province", parent="VN", valid_from="2025-01-01")
    with pytest.raises(CatalogueError, match=r"^areas_2025.csv row 2: is one province more than the 400"):
        load(folder)
