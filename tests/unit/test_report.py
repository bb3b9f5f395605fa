"""The daily report as a pure function: lines, their text, selections, and the book that holds them."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pytest

from schemas.catalogue import load
from schemas.codec import encode_line
from sinks.feed.book import Book, Bucket, Held
from sinks.feed.line import FIELDS, AreaTotal, Line, LineText, day_of, from_message, from_rows, text_of
from sinks.feed.report import Selection, SelectionError, View, document

CATALOGUE = load()
DAY = dt.date(2026, 11, 23)
NOW = 1_795_413_600_250

# G18.001: new COVID-19 cases, six_hourly, whole numbers. G09.001 and so on are looked up by what they are.
SIX_HOURLY = "G18.001"
MONTHLY = next(found for found in CATALOGUE.indicators if found.frequency == "monthly" and found.decimals == 2)


def row(
    area: str, value: int | None, *, code: str = SIX_HOURLY, breakdown: str = "_T", version: int = 7, status: str = "A"
) -> tuple[Any, ...]:
    """Write a row of day_totals as the query gives it."""
    reported = 0 if value is None else 1
    line_columns = (day_of(DAY), code, breakdown, version, NOW, status, ["SUM_MISMATCH"])
    return (*line_columns, area, value, value, value, reported, 1, reported)


def line(value: int | None, version: int, *, code: str = SIX_HOURLY, day: dt.date = DAY, breakdown: str = "_T") -> Line:
    """Make a line with VN's row alone."""
    return Line(day_of(day), code, breakdown, version, NOW, "P", (), (AreaTotal("VN", value, None, None, 1, 34, 1),))


def parsed(text: LineText) -> Any:
    """Read a line's text back."""
    return json.loads(text.whole)


def report(lines: Sequence[Line], selection: Selection | None = None, as_of: dt.datetime | None = None) -> Any:
    """Write the report of these lines and read it back."""
    texts: dict[str, dict[str, LineText]] = {}
    for found in lines:
        texts.setdefault(found.indicator, {})[found.breakdown] = text_of(found, CATALOGUE)
    return json.loads(document(View(DAY, 41, texts), CATALOGUE, selection or Selection(), as_of))


def test_a_line_says_what_vn_has_and_lists_every_area_in_the_order_of_the_map() -> None:
    rows = [row("R7", 30000), row("VN", 120000, status="P", version=9), row("04", None), row("01", 90000)]

    said = parsed(text_of(from_rows(rows), CATALOGUE))

    assert list(said) == list(FIELDS)
    assert said["value"] == 12
    assert said["status"] == "P"
    assert said["version"] == 9
    assert said["unit"] == CATALOGUE.by_code[SIX_HOURLY].unit
    assert said["bucket"] == said["time_period"] == "2026-11-23"
    assert said["updated_at"] == "2026-11-23T06:00:00.250Z"
    assert said["flags"] == ["SUM_MISMATCH"]
    assert [area["area"] for area in said["areas"]] == ["01", "04", "VN", "R7"]
    assert said["areas"][1] == {
        "area": "04", "value": None, "min": None, "max": None, "areas_reported": 0, "areas_expected": 1, "cells": 0,
    }  # fmt: skip


def test_a_line_without_a_row_for_vn_has_no_value_and_status_m() -> None:
    said = parsed(text_of(from_rows([row("01", 90000)]), CATALOGUE))

    assert (said["value"], said["status"], said["areas_reported"], said["areas_expected"]) == (None, "M", 0, 0)
    assert said["areas"][0]["value"] == 9


def test_the_line_of_gris_daily_is_the_same_text_as_that_of_day_totals() -> None:
    rows = [row("VN", 123456, code=MONTHLY.code), row("01", None, code=MONTHLY.code)]
    stored = from_rows(rows)
    message = encode_line(
        stored.day, stored.indicator, stored.breakdown, stored.version, stored.updated_at, stored.status, stored.flags,
        [(a.area, a.value, a.low, a.high, a.areas_reported, a.areas_expected, a.cells) for a in stored.areas],
    )  # fmt: skip

    announced = from_message(message)

    assert announced == stored
    assert text_of(announced, CATALOGUE).whole == text_of(stored, CATALOGUE).whole
    assert '"value":12.35' in text_of(announced, CATALOGUE).whole


def test_a_bucket_is_named_in_the_indicators_frequency() -> None:
    said = parsed(text_of(line(10000, 1, code=MONTHLY.code, day=dt.date(2026, 11, 1)), CATALOGUE))

    assert (said["bucket"], said["time_period"]) == ("2026-11-01", "2026-11")


def test_a_line_of_an_indicator_the_catalogue_does_not_know_is_still_a_line() -> None:
    said = parsed(text_of(line(12345, 1, code="Q99.999"), CATALOGUE))

    assert (said["value"], said["unit"]) == (1.2345, "")


def test_a_report_names_the_indicators_without_a_line() -> None:
    said = report([line(10000, 1)])

    assert said["day"] == "2026-11-23"
    assert said["cursor"] == 41
    assert said["as_of"] == "2026-11-23T06:00:00.250Z"
    assert [found["indicator"] for found in said["lines"]] == [SIX_HOURLY]
    assert len(said["missing"]) == 199
    assert SIX_HOURLY not in said["missing"]


def test_a_report_without_lines_has_no_as_of_and_one_that_was_asked_for_as_of_repeats_it() -> None:
    assert report([])["as_of"] is None
    asked = dt.datetime(2026, 11, 23, 7, tzinfo=dt.timezone(dt.timedelta(hours=7)))
    assert report([], as_of=asked)["as_of"] == "2026-11-23T00:00:00.000Z"


def test_breakdowns_are_lines_of_their_own_after_the_total() -> None:
    indicator = next(found for found in CATALOGUE.indicators if len(found.breakdowns) > 2)
    lines = [line(10000, 1, code=indicator.code, breakdown=name) for name in reversed(indicator.breakdowns)]

    said = report(lines)

    assert [found["breakdown"] for found in said["lines"]] == list(indicator.breakdowns)


def test_a_selection_keeps_the_areas_fields_and_domain_that_were_asked_for() -> None:
    selection = Selection.read(CATALOGUE, area=["VN,01"], fields=["indicator,areas", "value"], domain="6")

    said = report([line(10000, 1)], selection)

    assert said["lines"] == [{"indicator": SIX_HOURLY, "areas": [said["lines"][0]["areas"][0]], "value": 1}]
    assert [area["area"] for area in said["lines"][0]["areas"]] == ["VN"]
    assert all(CATALOGUE.by_code[code].domain == "6" for code in said["missing"])


@pytest.mark.parametrize(
    ("parameter", "given"),
    [
        ("area", {"area": ["99x"]}),
        ("fields", {"fields": ["valeu"]}),
        ("domain", {"domain": "10"}),
        ("indicator", {"indicator": "G"}),
    ],
)
def test_a_selection_refuses_what_is_not_there_and_names_the_parameter(parameter: str, given: dict[str, Any]) -> None:
    with pytest.raises(SelectionError) as refused:
        Selection.read(CATALOGUE, **given)

    assert refused.value.parameter == parameter


def held(book: Book, bucket: Bucket) -> Any:
    """Read the one held line of a bucket."""
    lines = book.lines(bucket)
    assert lines is not None
    return parsed(lines["_T"])


def test_the_newest_bucket_on_or_before_a_day_is_found() -> None:
    book = Book(CATALOGUE, 100)
    book.know([Bucket("a", 5), Bucket("a", 9), Bucket("a", 7), Bucket("a", 9)])

    assert book.newest("a", 4) is None
    assert book.newest("a", 8) == Bucket("a", 7)
    assert book.newest("a", 9) == Bucket("a", 9)
    assert book.newest("b", 9) is None


def test_the_highest_version_wins_and_the_later_offset_on_a_tie() -> None:
    book, bucket = Book(CATALOGUE, 100), Bucket(SIX_HOURLY, day_of(DAY))
    book.begin([bucket])
    book.hold({bucket: [line(20000, 5)]})

    for value, version, expected in [(10000, 4, 2), (30000, 5, 3), (40000, 9, 4), (50000, 8, 4), (None, 10, None)]:
        book.enter(Held(line(value, version)))
        assert held(book, bucket)["value"] == expected


def test_a_line_that_arrives_while_its_bucket_is_read_is_not_lost() -> None:
    book, bucket = Book(CATALOGUE, 100), Bucket(SIX_HOURLY, day_of(DAY))
    book.begin([bucket])
    book.enter(Held(line(30000, 6)))
    book.hold({bucket: [line(20000, 5)]})

    assert held(book, bucket)["value"] == 3


def test_an_older_line_that_arrives_while_its_bucket_is_read_changes_nothing() -> None:
    book, bucket = Book(CATALOGUE, 100), Bucket(SIX_HOURLY, day_of(DAY))
    book.begin([bucket])
    book.enter(Held(line(30000, 4)))
    book.hold({bucket: [line(20000, 5)]})

    assert held(book, bucket)["value"] == 2


def test_a_bucket_that_turns_out_empty_is_forgotten() -> None:
    book = Book(CATALOGUE, 100)
    book.know([Bucket(SIX_HOURLY, 5), Bucket(SIX_HOURLY, 9)])
    book.begin([Bucket(SIX_HOURLY, 9)])
    book.hold({Bucket(SIX_HOURLY, 9): []})

    assert book.newest(SIX_HOURLY, 9) == Bucket(SIX_HOURLY, 5)


def test_lines_of_buckets_that_nobody_asked_for_are_not_held() -> None:
    book, bucket = Book(CATALOGUE, 100), Bucket(SIX_HOURLY, day_of(DAY))

    assert not book.follows(bucket)
    book.enter(Held(line(10000, 1)))
    assert book.lines(bucket) is None


def test_the_least_recently_read_buckets_leave_at_the_limit() -> None:
    book = Book(CATALOGUE, 2)
    buckets = [Bucket(SIX_HOURLY, day) for day in range(10, 14)]
    for bucket in buckets:
        day = dt.date(1970, 1, 1) + dt.timedelta(days=bucket.day)
        book.begin([bucket])
        book.hold({bucket: [line(10000, 1, day=day)]})
        book.lines(buckets[0])

    assert len(book) == 2
    assert book.lines(buckets[0]) is not None
    assert book.lines(buckets[-1]) is not None


def test_what_was_being_read_when_the_log_began_anew_is_not_held() -> None:
    book, bucket = Book(CATALOGUE, 100), Bucket(SIX_HOURLY, day_of(DAY))
    book.begin([bucket])
    book.clear()
    book.hold({bucket: [line(20000, 5)]})

    assert book.lines(bucket) is None
