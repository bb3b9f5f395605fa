"""What is due on a day under the reporting regimes, and coverage: both pure functions of the catalogue."""

import datetime as dt
from typing import Any

import pytest

from schemas.catalogue import load
from sinks.feed.completeness import completeness, duties
from sinks.feed.coverage import coverage

CATALOGUE = load()


def due(day: str) -> dict[str, list[str]]:
    """List the windows due on a day, by regime."""
    found: dict[str, list[str]] = {}
    for duty in duties(CATALOGUE, dt.date.fromisoformat(day)):
        found.setdefault(duty.regime.code, []).append(duty.period.text)
    return found


def test_a_daily_window_is_due_in_the_morning_after_it() -> None:
    assert due("2026-11-24")["R18"] == ["2026-11-23"]


def test_hourly_windows_are_due_a_quarter_of_an_hour_after_they_end() -> None:
    windows = due("2026-11-24")["R09"]

    assert len(windows) == 24
    assert (windows[0], windows[-1]) == ("2026-11-23T23:00:00/PT1H", "2026-11-24T22:00:00/PT1H")


def test_six_hourly_windows_are_due_an_hour_after_they_end() -> None:
    assert due("2026-11-24")["R14"] == [
        "2026-11-23T18:00:00/PT6H",
        "2026-11-24T00:00:00/PT6H",
        "2026-11-24T06:00:00/PT6H",
        "2026-11-24T12:00:00/PT6H",
    ]


def test_a_regime_of_working_days_has_no_window_on_weekends_and_holidays() -> None:
    assert "R01" in due("2026-11-21")  # Friday's, due on Saturday
    assert "R01" not in due("2026-11-22")
    assert "R01" not in due("2026-11-23")
    assert "R01" not in due("2026-09-03")  # 2 September is a holiday


def test_a_deadline_at_midnight_is_the_end_of_the_day_before() -> None:
    assert due("2026-11-16")["R11"] == ["2026-11"]  # to the 14th, and two days
    assert "R11" not in due("2026-11-17")


def test_windows_from_the_15th_are_due_by_their_own_calendar() -> None:
    assert due("2026-12-21")["R20"] == ["2026-S2"]
    assert due("2026-06-21")["R20"] == ["2026-S1"]


def test_completeness_names_what_is_missing_by_regime_and_agency() -> None:
    day = dt.date(2026, 11, 24)
    asked = duties(CATALOGUE, day)
    r18 = next(duty for duty in asked if duty.regime.code == "R18")

    said: Any = completeness(CATALOGUE, day, asked, {(r18.indicators[0], r18.period.text)})

    regime = next(found for found in said["regimes"] if found["regime"] == "R18")
    assert (regime["due"], regime["reported"]) == (2, 1)
    assert regime["windows"][0]["missing"] == list(r18.indicators[1:])
    assert regime["windows"][0]["deadline"] == "2026-11-24T07:00:00+07:00"
    assert said["by_agency"]["g02"] == {"due": 2, "reported": 1}
    assert said["reported"] == 1
    assert said["due"] == sum(found["due"] for found in said["regimes"])


@pytest.mark.parametrize("day", ["1970-01-01", "1990-01-01", "2149-06-06"])
def test_a_day_outside_every_period_has_nothing_due(day: str) -> None:
    assert all(not duty.indicators or duty.period for duty in duties(CATALOGUE, dt.date.fromisoformat(day)))


NOW = dt.datetime(2026, 11, 23, 6, tzinfo=dt.UTC)


def test_coverage_counts_the_catalogue_before_any_event() -> None:
    said = coverage(CATALOGUE, {}, NOW)

    by_agency: Any = said.pop("by_agency")
    assert said == {
        "total": 200, "electronic": 78, "direct_entry": 122, "connected": 33, "live": 0, "to_connect": 45,
    }  # fmt: skip
    assert sum(entry["total"] for entry in by_agency.values()) == 200


def test_an_accepted_event_connects_and_one_within_the_frequency_makes_live() -> None:
    indicator = next(
        found for found in CATALOGUE.indicators
        if found.connected_since is None and found.channel == "electronic" and found.frequency == "daily"
    )  # fmt: skip
    direct = next(found for found in CATALOGUE.indicators if found.channel == "direct_entry")
    fresh = round(NOW.timestamp() * 1000) - 3_600_000
    stale = fresh - 86_400_000

    said = coverage(CATALOGUE, {indicator.code: fresh}, NOW)
    assert (said["connected"], said["live"], said["to_connect"]) == (34, 1, 44)
    said = coverage(CATALOGUE, {indicator.code: stale}, NOW)
    assert (said["connected"], said["live"], said["to_connect"]) == (34, 0, 44)
    said = coverage(CATALOGUE, {direct.code: fresh}, NOW)
    assert (said["connected"], said["to_connect"]) == (34, 45)
