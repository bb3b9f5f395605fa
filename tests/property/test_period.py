"""Periods: windows tile time in both calendars, texts are canonical, and no text is read that is not one of them."""

import datetime as dt
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.period import EPOCH, LOCAL, Calendar, Frequency, Period, PeriodError, containing, parse

FIRST, LAST = dt.date(2019, 1, 1), dt.date(2035, 12, 31)
EVERY_KIND = [(frequency, calendar) for calendar in Calendar for frequency in Frequency]
INSTANTS = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2099, 12, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001

# fmt: off
REFUSED = [
    "2026-11-23T06:00:00/PT1H.", "2026-11-23T24:00:00/PT1H", "2026-11-23T06:30:00/PT1H",
    "2026-11-23T06:00:01/PT1H", "2026-11-23T05:00:00/PT6H", "2026-11-23T24:00:00/PT6H",
    "2026-11-23T06:00:00/PT2H", "2026-11-23T06:00:00", "2026-11-23T06:00/PT1H", "2026-11-23T06:00:00Z/PT1H",
    "2026-11-23T06:00:00+07:00/PT1H", "2026-11-23t06:00:00/pt1h", "2026-02-29", "2100-02-28", "1989-12-31",
    "2026-11-31", "2026-00", "2026-13", "2026-1", "2026-Q0", "2026-Q5", "2026-Q01", "2026-q1", "2026Q1",
    "2026-S0", "2026-S3", "2026-A1", "2026-W01", "2026-001", "20261123", "202611", "26", "02026", "0000", "1989",
    "2100", "+2026", "-2026", "2026-", "2026-11-", "2026-11-23T", "2026-11-23/P1D",
    "\uff12\uff10\uff12\uff16", "2026-\u0661\u0661",  # digits, but not ours
]
# fmt: on


def local(year: int, month: int, day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(year, month, day, hour, tzinfo=LOCAL)


def days() -> Iterator[dt.date]:
    return (dt.date.fromordinal(day) for day in range(FIRST.toordinal(), LAST.toordinal() + 1))


@pytest.mark.parametrize(("frequency", "calendar"), EVERY_KIND)
def test_every_day_of_2019_to_2035_lies_in_one_period_that_its_text_names(
    frequency: Frequency, calendar: Calendar
) -> None:
    for day in days():
        for hour in (0, 5, 23):
            instant = local(day.year, day.month, day.day, hour)
            period = containing(instant, frequency, calendar)
            assert period.start(calendar) <= instant < period.end(calendar)
            assert parse(period.text) == period
            assert (period.next().previous(), period.previous().next()) == (period, period)
            assert period.day == period.bucket.toordinal() - EPOCH


@pytest.mark.parametrize(("frequency", "calendar"), EVERY_KIND)
def test_windows_tile_2019_to_2035_without_gap_or_overlap(frequency: Frequency, calendar: Calendar) -> None:
    period = containing(local(2019, 1, 1), frequency, calendar)
    last = containing(local(2035, 12, 31), frequency, calendar)
    while period < last:
        after = period.next()
        assert period < after
        assert period.start(calendar) < period.end(calendar) == after.start(calendar)
        assert containing(after.start(calendar), frequency, calendar) == after
        assert containing(after.start(calendar) - dt.timedelta.resolution, frequency, calendar) == period
        period = after
    assert period == last


@pytest.mark.parametrize("frequency", [Frequency.HOURLY, Frequency.SIX_HOURLY, Frequency.DAILY])
def test_a_day_and_its_parts_are_the_same_in_both_calendars(frequency: Frequency) -> None:
    for day in days():
        period = containing(local(day.year, day.month, day.day, 13), frequency)
        assert period.bucket == day
        assert period.start(Calendar.ND09) == period.start()
        assert period.end(Calendar.ND09) == period.end()


@given(INSTANTS, st.sampled_from(Frequency), st.sampled_from(Calendar))
def test_an_instant_lies_in_its_period_and_in_no_other(
    instant: dt.datetime, frequency: Frequency, calendar: Calendar
) -> None:
    period = containing(instant, frequency, calendar)
    assert period.start(calendar) <= instant < period.end(calendar)
    assert 0 <= period.slot < frequency.slots
    assert parse(period.text) == period


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-11", local(2026, 10, 15), local(2026, 11, 15)),
        ("2026-01", local(2025, 12, 15), local(2026, 1, 15)),
        ("2026-Q1", local(2025, 12, 15), local(2026, 3, 15)),
        ("2026-Q4", local(2026, 9, 15), local(2026, 12, 15)),
        ("2026-S1", local(2025, 12, 15), local(2026, 6, 15)),
        ("2026-S2", local(2026, 6, 15), local(2026, 12, 15)),
        ("2026", local(2025, 12, 15), local(2026, 12, 15)),
        ("2099", local(2098, 12, 15), local(2099, 12, 15)),
    ],
)
def test_decree_09_counts_from_the_15th_to_the_14th(text: str, start: dt.datetime, end: dt.datetime) -> None:
    period = parse(text)
    assert (period.start(Calendar.ND09), period.end(Calendar.ND09)) == (start, end)


@pytest.mark.parametrize(
    ("text", "frequency", "bucket", "slot", "start", "end"),
    [
        ("2026-11-23T06:00:00/PT1H", "hourly", "2026-11-23", 6, local(2026, 11, 23, 6), local(2026, 11, 23, 7)),
        ("2026-11-23T23:00:00/PT1H", "hourly", "2026-11-23", 23, local(2026, 11, 23, 23), local(2026, 11, 24)),
        ("2026-11-23T18:00:00/PT6H", "six_hourly", "2026-11-23", 3, local(2026, 11, 23, 18), local(2026, 11, 24)),
        ("2024-02-29", "daily", "2024-02-29", 0, local(2024, 2, 29), local(2024, 3, 1)),
        ("2026-12", "monthly", "2026-12-01", 0, local(2026, 12, 1), local(2027, 1, 1)),
        ("2026-Q4", "quarterly", "2026-10-01", 0, local(2026, 10, 1), local(2027, 1, 1)),
        ("2026-S2", "semiannual", "2026-07-01", 0, local(2026, 7, 1), local(2027, 1, 1)),
        ("2099", "annual", "2099-01-01", 0, local(2099, 1, 1), local(2100, 1, 1)),
    ],
)
def test_a_text_names_its_frequency_bucket_slot_and_calendar_window(
    text: str, frequency: str, bucket: str, slot: int, start: dt.datetime, end: dt.datetime
) -> None:
    period = parse(text)
    assert (period.frequency, str(period.bucket), period.slot) == (frequency, bucket, slot)
    assert (period.start(), period.end()) == (start, end)
    assert period.start().utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_malformed_impossible_unaligned_or_outside_1990_to_2099_is_refused(text: str) -> None:
    with pytest.raises(PeriodError, match=r"^found '"):
        parse(text)


@pytest.mark.parametrize(
    "text", ["", " 2026", "2026 ", "2026\n", "2026\x00", "\n2026-11", "2026-11-23\n", "2026-Q4\r\n"]
)
def test_white_space_and_control_characters_around_a_text_are_refused(text: str) -> None:
    with pytest.raises(PeriodError):
        parse(text)


NEARLY = st.text(alphabet="0123456789-QSTPH:/ \n٣", max_size=26)
MUTATED = st.builds(
    lambda text, at, what: text[: at % len(text)] + what + text[at % len(text) + 1 :],
    st.sampled_from(
        ["2026-11-23T06:00:00/PT1H", "2026-11-23T06:00:00/PT6H", "2026-11-23", "2026-11", "2026-Q4", "2026"]
    ),
    st.integers(0, 30),
    st.text(alphabet="0123456789-QSTPH:/ \n٣", max_size=2),
)


@given(st.text() | NEARLY | MUTATED | st.from_regex(r"[0-9]{4}-?[QS0-9]?[0-9]{0,2}", fullmatch=True))
@example("\udcff" * 200)
@example("9" * 5000)
def test_any_text_is_either_refused_with_a_short_sentence_or_is_the_periods_own(text: str) -> None:
    try:
        sentence, found = "", parse(text).text
    except PeriodError as error:
        sentence, found = str(error), text
    assert found == text
    assert sentence.isprintable()
    assert len(sentence) < 1200


@pytest.mark.parametrize("frequency", Frequency)
def test_the_first_and_last_period_have_windows_but_no_neighbour_outside(frequency: Frequency) -> None:
    first = Period(frequency, dt.date(1990, 1, 1))
    last = containing(local(2099, 12, 31, 23), frequency)
    for calendar in Calendar:
        assert first.start(calendar) < first.end(calendar) <= last.start(calendar) < last.end(calendar)
    with pytest.raises(PeriodError, match=r"1989 is outside 1990\.\.2099"):
        first.previous()
    with pytest.raises(PeriodError, match=r"2100 is outside 1990\.\.2099"):
        last.next()


@pytest.mark.parametrize(
    ("frequency", "bucket", "slot"),
    [
        (Frequency.HOURLY, dt.date(2026, 1, 1), 24),
        (Frequency.SIX_HOURLY, dt.date(2026, 1, 1), 4),
        (Frequency.DAILY, dt.date(2026, 1, 1), 1),
        (Frequency.DAILY, dt.date(2026, 1, 1), -1),
        (Frequency.MONTHLY, dt.date(2026, 1, 2), 0),
        (Frequency.QUARTERLY, dt.date(2026, 2, 1), 0),
        (Frequency.SEMIANNUAL, dt.date(2026, 4, 1), 0),
        (Frequency.ANNUAL, dt.date(2026, 7, 1), 0),
    ],
)
def test_a_period_that_no_text_names_cannot_be_made(frequency: Frequency, bucket: dt.date, slot: int) -> None:
    with pytest.raises(PeriodError):
        Period(frequency, bucket, slot)


@pytest.mark.parametrize("instant", [dt.datetime.max, dt.datetime.min, dt.datetime(2026, 1, 1)])  # noqa: DTZ001, DTZ901
def test_an_instant_without_a_time_zone_is_refused(instant: dt.datetime) -> None:
    with pytest.raises(PeriodError, match="has no time zone"):
        containing(instant, Frequency.DAILY)


@pytest.mark.parametrize(("frequency", "calendar"), EVERY_KIND)
def test_an_instant_outside_1990_to_2099_is_refused(frequency: Frequency, calendar: Calendar) -> None:
    for instant in (local(1, 1, 1), local(1989, 12, 14), local(2100, 1, 1), local(9999, 12, 31)):
        with pytest.raises(PeriodError, match="outside"):
            containing(instant, frequency, calendar)


def test_frequencies_are_ordered_from_the_hour_to_the_year() -> None:
    assert [frequency.ordinal for frequency in Frequency] == [0, 1, 2, 3, 4, 5, 6]
    assert [frequency.slots for frequency in Frequency] == [24, 4, 1, 1, 1, 1, 1]
    lengths = [Period(frequency, dt.date(2026, 1, 1)) for frequency in Frequency]
    assert all(one.end() < other.end() for one, other in itertools.pairwise(lengths))
