"""Maps: the days on which any area begins or ends cut time into stretches, each with the areas in force in it."""

import datetime as dt
from pathlib import Path

import pytest

from schemas.catalogue import Catalogue, CatalogueError, load
from schemas.period import EPOCH
from tests.support.catalogue_folders import AREA_COLUMNS, append, write_catalogue

NATION = f"{AREA_COLUMNS}\nVN,nation,,Việt Nam,Viet Nam,,\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_catalogue(tmp_path, {"areas.csv": NATION})


def provinces_on(catalogue: Catalogue, day: str) -> str:
    chart = catalogue.map_on(dt.date.fromisoformat(day))
    assert catalogue.maps[catalogue.map_ordinal_on(dt.date.fromisoformat(day).toordinal() - EPOCH)] is chart
    assert catalogue.maps[chart.ordinal] is chart
    return " ".join(area.code for area in chart.provinces)


def add(folder: Path, code: str, since: str, until: str, *, parent: str = "VN", level: str = "province") -> None:
    append(folder, "areas.csv", code=code, level=level, parent=parent, valid_from=since, valid_to=until)


def test_ordinals_count_the_provinces_then_the_nation_then_the_regions(tmp_path: Path) -> None:
    (chart,) = load(write_catalogue(tmp_path)).maps
    assert [area.code for area in chart.areas] == ["a", "b", "VN", "North"]
    assert dict(chart.position) == {"a": 0, "b": 1, "VN": 2, "North": 3}
    assert chart.region_of == (0, -1)
    assert (chart.valid_from, chart.valid_to) == (None, None)


def test_provinces_that_begin_and_end_on_days_of_their_own_make_a_map_for_every_stretch(folder: Path) -> None:
    add(folder, "a", "2001-01-01", "2003-01-01")
    add(folder, "b", "2002-01-01", "2004-01-01")
    add(folder, "c", "2004-01-01", "")
    catalogue = load(folder)
    found = [(str(chart.valid_from), " ".join(area.code for area in chart.provinces)) for chart in catalogue.maps]
    assert found == [("2001-01-01", "a"), ("2002-01-01", "a b"), ("2003-01-01", "b"), ("2004-01-01", "c")]
    assert [chart.ordinal for chart in catalogue.maps] == [0, 1, 2, 3]
    assert catalogue.maps[-1].valid_to is None


def test_a_map_begins_on_its_first_day_and_the_one_before_ends_there(folder: Path) -> None:
    add(folder, "a", "2001-01-01", "2003-01-01")
    add(folder, "b", "2003-01-01", "")
    catalogue = load(folder)
    assert provinces_on(catalogue, "2002-12-31") == "a"
    assert provinces_on(catalogue, "2003-01-01") == "b"


def test_before_the_first_map_the_first_applies(folder: Path) -> None:
    add(folder, "a", "2001-01-01", "")
    catalogue = load(folder)
    assert provinces_on(catalogue, "1990-01-01") == "a"
    assert catalogue.map_ordinal_on(-1_000_000) == 0


def test_after_the_last_map_and_in_a_gap_there_is_only_the_nation(folder: Path) -> None:
    add(folder, "n", "2000-01-01", "", level="region")
    add(folder, "a", "2001-01-01", "2002-01-01", parent="n")
    add(folder, "b", "2003-01-01", "2004-01-01", parent="n")
    catalogue = load(folder)
    for day, expected in (
        ("2001-12-31", "a"),
        ("2002-01-01", ""),
        ("2003-01-01", "b"),
        ("2004-01-01", ""),
        ("2099-12-31", ""),
    ):
        assert provinces_on(catalogue, day) == expected
    assert [area.code for area in catalogue.map_on(dt.date(2002, 6, 1)).areas] == ["VN"]
    assert [area.code for area in catalogue.map_on(dt.date(2003, 6, 1)).areas] == ["b", "VN", "n"]


def test_a_catalogue_of_only_the_nation_has_one_map_for_all_time(folder: Path) -> None:
    catalogue = load(folder)
    (chart,) = catalogue.maps
    assert [area.code for area in chart.areas] == ["VN"]
    assert provinces_on(catalogue, "1990-01-01") == provinces_on(catalogue, "2099-12-31") == ""


def test_one_code_may_name_two_areas_one_after_the_other(folder: Path) -> None:
    add(folder, "15", "2001-01-01", "2025-07-01")
    append(
        folder, "areas_2025.csv", code="15", level="province", parent="VN", name_en="Lao Cai", valid_from="2025-07-01"
    )
    catalogue = load(folder)
    assert catalogue.map_on(dt.date(2025, 6, 30)).provinces[0].name_en == ""
    assert catalogue.map_on(dt.date(2025, 7, 1)).provinces[0].name_en == "Lao Cai"


@pytest.mark.parametrize(
    ("since", "until"), [("", ""), ("2010-01-01", ""), ("", "2010-01-01"), ("2025-06-30", "2030-01-01")]
)
def test_one_code_for_two_areas_at_one_time_is_refused(folder: Path, since: str, until: str) -> None:
    add(folder, "15", "2001-01-01", "2025-07-01")
    append(folder, "areas_2025.csv", code="15", level="province", parent="VN", valid_from=since, valid_to=until)
    with pytest.raises(
        CatalogueError, match=r"^areas_2025.csv row 2: code '15' is valid at the same time in areas.csv row 3"
    ):
        load(folder)


def test_a_province_that_outlives_its_region_is_refused(folder: Path) -> None:
    add(folder, "n", "2001-01-01", "2003-01-01", level="region")
    add(folder, "a", "2001-01-01", "2004-01-01", parent="n")
    with pytest.raises(CatalogueError, match=r"^areas.csv row 4: parent 'n' is no region in force from 2003-01-01$"):
        load(folder)


@pytest.mark.parametrize("until", ["2003-01-01", "2002-12-31"])
def test_an_area_that_ends_before_it_begins_is_refused(folder: Path, until: str) -> None:
    add(folder, "a", "2003-01-01", until)
    with pytest.raises(CatalogueError, match=r"^areas.csv row 3: valid_from 2003-01-01 is not before valid_to"):
        load(folder)
