"""The bundled catalogue keeps every rule of its README, and the platform reads all of it."""

import datetime as dt
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from schemas.catalogue import BUNDLED, Catalogue, Rollup, load
from schemas.period import Calendar, Frequency
from tests.support.catalogue_folders import change


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


def check(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error", str(BUNDLED / "check.py"), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_check_finds_no_broken_rule() -> None:
    result = check(BUNDLED)
    assert result.stderr == ""
    assert result.returncode == 0
    assert result.stdout.endswith("all rules hold\n")


@pytest.mark.parametrize(
    ("name", "row", "cells", "text"),
    [
        ("agencies.csv", 2, {"standardised": "false"}, "agencies.csv: standardised: 19, not 20"),
        ("areas.csv", 9, {"parent": "R1"}, "areas.csv row 9: province 01 belongs to R2, not R1"),
        ("areas_2025.csv", 8, {"merged_from": "02"}, "areas_2025.csv row 8: merged_from"),
        ("regimes.csv", 2, {"receives": "g05"}, "regimes.csv row 2: the Government Office (g22) does not receive it"),
        ("indicators.csv", 2, {"decimals": "x"}, "indicators.csv row 2: decimals 'x' is not 0..4"),
        ("holidays.csv", 2, {"date": "2019-12-31"}, "holidays.csv: 2020-01-01 is missing"),
        ("coverage_history.csv", 4, {"connected": "34"}, "coverage_history.csv row 4: connected 34 differs"),
    ],
)
def test_check_names_the_file_and_row_of_a_broken_rule(
    tmp_path: Path, name: str, row: int, cells: dict[str, str], text: str
) -> None:
    for file in BUNDLED.glob("*.csv"):
        shutil.copy(file, tmp_path)
    change(tmp_path, name, row, **cells)
    result = check(tmp_path)
    assert result.returncode == 1
    assert text in result.stderr


def test_the_counts_are_those_of_5_june_2020(catalogue: Catalogue) -> None:
    electronic = [indicator for indicator in catalogue.indicators if indicator.channel == "electronic"]
    connected = [indicator for indicator in electronic if indicator.connected_since]
    assert len(catalogue.indicators) == 200
    assert len(electronic) == 78
    assert len(connected) == 33
    assert len(electronic) - len(connected) == 45
    assert len(catalogue.indicators) - len(electronic) == 122
    assert [len(chart.provinces) for chart in catalogue.maps] == [63, 34]
    assert [len(chart.regions) for chart in catalogue.maps] == [6, 6]
    assert len(catalogue.regimes) == 20
    assert Counter(agency.kind == "other" for agency in catalogue.agencies) == {False: 22, True: 4}
    assert sum(agency.standardised for agency in catalogue.agencies) == 20
    assert (len(catalogue.holidays), len(catalogue.history)) == (99, 6)


def test_every_province_lies_in_a_region_of_its_map(catalogue: Catalogue) -> None:
    sizes = [Counter(chart.region_of) for chart in catalogue.maps]
    assert [[size[region] for region in range(6)] for size in sizes] == [[14, 11, 14, 5, 6, 13], [9, 6, 5, 6, 3, 5]]


def test_the_merger_takes_effect_on_1_july_2025(catalogue: Catalogue) -> None:
    before, after = catalogue.map_on(dt.date(2025, 6, 30)), catalogue.map_on(dt.date(2025, 7, 1))
    assert (len(before.provinces), len(after.provinces)) == (63, 34)
    assert before.provinces[before.position["15"]].name_en == "Yen Bai"
    assert after.provinces[after.position["15"]].name_en == "Lao Cai"
    assert catalogue.map_on(dt.date(1990, 1, 1)) is before


def test_indicators_belong_to_their_agencies_in_the_order_of_the_file(catalogue: Catalogue) -> None:
    owned = [indicator for agency in catalogue.agencies for indicator in catalogue.owned_by(agency.code)]
    assert sorted(owned, key=lambda indicator: indicator.ordinal) == list(catalogue.indicators)
    assert [indicator.ordinal for indicator in catalogue.indicators] == list(range(200))
    assert all(indicator.code.startswith(indicator.agency.upper()) for indicator in owned)


def test_shares_need_a_base_and_rainfall_is_a_mean_of_flows(catalogue: Catalogue) -> None:
    assert all(i.needs_base == (i.area_rollup is Rollup.WEIGHTED_MEAN) for i in catalogue.indicators)
    rainfall = catalogue.by_code["G13.002"]
    assert (rainfall.kind, rainfall.area_rollup, rainfall.frequency) == ("flow", Rollup.MEAN, Frequency.HOURLY)


def test_regimes_give_their_calendars_and_deadlines(catalogue: Catalogue) -> None:
    calendars = Counter(indicator.calendar for indicator in catalogue.indicators)
    assert calendars[Calendar.ND09] > 0
    daily, monthly = catalogue.regime("R01"), catalogue.regime("R11")
    assert daily is not None
    assert monthly is not None
    assert (daily.working_days, daily.deadline_offset) == (True, dt.timedelta(hours=9))
    assert (monthly.working_days, monthly.deadline_offset) == (False, dt.timedelta(days=2))


def test_public_holidays_are_known(catalogue: Catalogue) -> None:
    assert catalogue.is_holiday(dt.date(2026, 2, 17))
    assert not catalogue.is_holiday(dt.date(2026, 11, 23))


def test_loading_takes_less_than_a_tenth_of_a_second_of_cpu() -> None:
    fastest = min(_seconds() for _ in range(5))
    assert fastest < 0.1


def _seconds() -> float:
    start = time.process_time()
    load()
    return time.process_time() - start
