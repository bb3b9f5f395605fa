"""The period parser against one that cuts the text by hand; and what it gives, written out, is the text again."""

import calendar
import datetime as dt

from schemas.period import Calendar, PeriodError, containing, parse

DIGITS = "0123456789"


def check(data: bytes) -> None:
    """Raise when the two do not agree about a text."""
    for text in {data.decode("utf-8", "surrogatepass" if _pairs(data) else "replace"), data.decode("latin-1")}:
        expected = plain(text)
        try:
            period = parse(text)
        except PeriodError as error:
            assert expected is None, text
            assert 10 < len(str(error)) < 1_200  # 80 characters, each escaped at the most
            continue
        assert (period.frequency.value, period.bucket, period.slot) == expected, text
        assert period.text == text
        for window in Calendar:
            start, end = period.start(window), period.end(window)
            assert start < end
            assert containing(start, period.frequency, window) == period
            assert containing(end - dt.timedelta(microseconds=1), period.frequency, window) == period


def plain(text: str) -> tuple[str, dt.date, int] | None:
    """Read a period the slow way; None for what is none."""
    year, rest = _number(text[:4], 4), text[4:]
    if year is None or not 1990 <= year <= 2099:
        return None
    if not rest:
        return "annual", dt.date(year, 1, 1), 0
    if rest[:2] in {"-Q", "-S"}:
        nth = _number(rest[2:], 1)
        months, name = (3, "quarterly") if rest[1] == "Q" else (6, "semiannual")
        return (name, dt.date(year, (nth - 1) * months + 1, 1), 0) if nth and nth <= 12 // months else None
    month = _number(rest[1:3], 2)
    if rest[0] != "-" or not month or month > 12:
        return None
    if len(rest) == 3:
        return "monthly", dt.date(year, month, 1), 0
    day = _number(rest[4:6], 2)
    if rest[3] != "-" or not day or day > calendar.monthrange(year, month)[1]:
        return None
    bucket, time = dt.date(year, month, day), rest[6:]
    if not time:
        return "daily", bucket, 0
    hour = _number(time[1:3], 2)
    if hour is None or hour > 23:
        return None
    if time == f"T{hour:02}:00:00/PT1H":
        return "hourly", bucket, hour
    if time == f"T{hour:02}:00:00/PT6H" and hour % 6 == 0:
        return "six_hourly", bucket, hour // 6
    return None


def _number(text: str, digits: int) -> int | None:
    return int(text) if len(text) == digits and all(one in DIGITS for one in text) else None


def _pairs(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True
