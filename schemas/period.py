"""Periods of time as indicators are reported by: their texts, their buckets and the windows they stand for.

Texts are SDMX's (Observational Time Period) in local time. Windows are statistical (calendar periods, Decree
60/2018/NĐ-CP) or nd09 (from the 15th to the 14th, Decree 09/2019/NĐ-CP).
"""

import dataclasses
import datetime as dt
import enum
import re

from schemas.reasons import quote

LOCAL = dt.timezone(
    dt.timedelta(hours=7), "UTC+07:00"
)  # Viet Nam has kept this offset, without summer time, since 1975
FIRST_YEAR, LAST_YEAR = 1990, 2099
EPOCH = dt.date(1970, 1, 1).toordinal()
ND09_FIRST_DAY = 15

FORMS = "2026-11-23T06:00:00/PT1H, 2026-11-23T06:00:00/PT6H, 2026-11-23, 2026-11, 2026-Q4, 2026-S2 or 2026"
# One pattern for all forms: [0-9] because \d also accepts the digits of other scripts.
TEXT = re.compile(
    r"([0-9]{4})"
    r"(?:-Q(?P<quarter>[0-9])|-S(?P<half>[0-9])"
    r"|-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})(?:T(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})/PT(?P<hours>[16])H)?)?)?",
)


class PeriodError(ValueError):
    """The text or date is no period we take; the message says what was found and what is allowed."""


class Frequency(enum.StrEnum):
    """How often an indicator is reported, as the catalogue writes it; ``ordinal`` counts from 0 in this order."""

    HOURLY = "hourly"
    SIX_HOURLY = "six_hourly"
    DAILY = "daily"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    SEMIANNUAL = "semiannual"
    ANNUAL = "annual"

    @property
    def ordinal(self) -> int:
        """The place in the order from hourly, 0, to annual, 6."""
        return ORDINALS[self]

    @property
    def slots(self) -> int:
        """How many periods share one bucket."""
        return SLOTS.get(self, 1)

    @property
    def months(self) -> int:
        """How many calendar months the period spans; 0 for a day and its parts."""
        return MONTHS.get(self, 0)


ORDINALS = {frequency: ordinal for ordinal, frequency in enumerate(Frequency)}
SLOTS = {Frequency.HOURLY: 24, Frequency.SIX_HOURLY: 4}
MONTHS = {Frequency.MONTHLY: 1, Frequency.QUARTERLY: 3, Frequency.SEMIANNUAL: 6, Frequency.ANNUAL: 12}


class Calendar(enum.StrEnum):
    """Which window the label of a month or longer stands for; days and their parts are the same in both."""

    STATISTICAL = "statistical"
    ND09 = "nd09"


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Period:
    """One period of one frequency; within a frequency, periods compare in the order of time.

    ``bucket`` is the local day, or the first calendar day that the label names. ``slot`` counts the hour (0..23) or the
    quarter of the day (0..3), else it is 0. Raises PeriodError when no text could name it.
    """

    frequency: Frequency
    bucket: dt.date
    slot: int = 0

    def __post_init__(self) -> None:
        if not FIRST_YEAR <= self.bucket.year <= LAST_YEAR:
            raise PeriodError(f"the year {self.bucket.year} is outside {FIRST_YEAR}..{LAST_YEAR}")
        if not 0 <= self.slot < self.frequency.slots:
            raise PeriodError(f"slot {self.slot} is outside 0..{self.frequency.slots - 1} of {self.frequency}")
        if self.frequency.months and (self.bucket.day != 1 or (self.bucket.month - 1) % self.frequency.months):
            raise PeriodError(f"{self.bucket} is not the first day of a period that is {self.frequency}")

    @property
    def text(self) -> str:
        """The one SDMX text of this period: ``parse`` gives it back."""
        year, month = self.bucket.year, self.bucket.month
        match self.frequency:
            case Frequency.HOURLY | Frequency.SIX_HOURLY:
                hours = 24 // self.frequency.slots
                return f"{self.bucket}T{self.slot * hours:02}:00:00/PT{hours}H"
            case Frequency.DAILY:
                return f"{self.bucket}"
            case Frequency.MONTHLY:
                return f"{year}-{month:02}"
            case Frequency.QUARTERLY:
                return f"{year}-Q{(month + 2) // 3}"
            case Frequency.SEMIANNUAL:
                return f"{year}-S{(month + 5) // 6}"
            case Frequency.ANNUAL:
                return f"{year}"

    @property
    def day(self) -> int:
        """The bucket in days since 1970-01-01."""
        return self.bucket.toordinal() - EPOCH

    def start(self, calendar: Calendar = Calendar.STATISTICAL) -> dt.datetime:
        """When the window begins, in UTC."""
        return _begins(self.frequency, self.bucket, self.slot, calendar)

    def end(self, calendar: Calendar = Calendar.STATISTICAL) -> dt.datetime:
        """When the window ends, exclusive, in UTC: the start of the next one."""
        return _begins(self.frequency, *_step(self, 1), calendar)

    def next(self) -> "Period":
        """Give the period that begins where this one ends; PeriodError after the last of 2099."""
        return Period(self.frequency, *_step(self, 1))

    def previous(self) -> "Period":
        """Give the period that ends where this one begins; PeriodError before the first of 1990."""
        return Period(self.frequency, *_step(self, -1))


def parse(text: str) -> Period:
    """Read one of the exact forms; PeriodError for anything malformed, impossible, unaligned or outside 1990..2099."""
    found = TEXT.fullmatch(text)
    if found is None:
        raise PeriodError(f"found {quote(text)}, allowed is a text like {FORMS}")
    year = int(found[1])
    try:
        if found["time"]:
            bucket = dt.date(year, int(found["month"]), int(found["day"]))
            return _part_of_day(bucket, found["time"], int(found["hours"]))
        if found["day"]:
            return Period(Frequency.DAILY, dt.date(year, int(found["month"]), int(found["day"])))
        if found["month"]:
            return Period(Frequency.MONTHLY, dt.date(year, int(found["month"]), 1))
        if found["quarter"]:
            return Period(Frequency.QUARTERLY, dt.date(year, int(found["quarter"]) * 3 - 2, 1))
        if found["half"]:
            return Period(Frequency.SEMIANNUAL, dt.date(year, int(found["half"]) * 6 - 5, 1))
        return Period(Frequency.ANNUAL, dt.date(year, 1, 1))
    except PeriodError as error:
        raise PeriodError(f"found {quote(text)}: {error}") from None
    except ValueError:
        raise PeriodError(f"found {quote(text)}, which no calendar has; allowed is a text like {FORMS}") from None


def containing(instant: dt.datetime, frequency: Frequency, calendar: Calendar = Calendar.STATISTICAL) -> Period:
    """Find the period whose window holds the aware ``instant``; PeriodError when it is outside 1990..2099."""
    if instant.tzinfo is None:
        raise PeriodError(f"{instant} has no time zone")
    if not FIRST_YEAR - 1 <= instant.year <= LAST_YEAR + 1:  # keeps the conversion to local time from overflowing
        raise PeriodError(f"the year {instant.year} is outside {FIRST_YEAR}..{LAST_YEAR}")
    local = instant.astimezone(LOCAL)
    if not frequency.months:
        return Period(frequency, local.date(), local.hour * frequency.slots // 24)
    month = local.year * 12 + local.month - 1
    if calendar is Calendar.ND09 and local.day >= ND09_FIRST_DAY:
        month += 1
    return Period(frequency, _first_of(month - month % frequency.months))


def _part_of_day(bucket: dt.date, time: str, hours: int) -> Period:
    hour, minute, second = (int(part) for part in time.split(":"))
    if hour > 23 or minute or second or hour % hours:  # noqa: PLR2004 - the hours of a day
        allowed = "a full hour 00..23" if hours == 1 else "00, 06, 12 or 18 o'clock"
        raise PeriodError(f"the window begins at {time}, allowed is {allowed}")
    return Period(Frequency.HOURLY if hours == 1 else Frequency.SIX_HOURLY, bucket, hour // hours)


def _step(period: Period, by: int) -> tuple[dt.date, int]:
    """Move by one period: bucket and slot, also where they leave the years that a Period may have."""
    if period.frequency.months:
        month = period.bucket.year * 12 + period.bucket.month - 1
        return _first_of(month + by * period.frequency.months), 0
    days, slot = divmod(period.slot + by, period.frequency.slots)
    return period.bucket + dt.timedelta(days=days), slot


def _begins(frequency: Frequency, bucket: dt.date, slot: int, calendar: Calendar) -> dt.datetime:
    if frequency.months and calendar is Calendar.ND09:
        bucket = _first_of(bucket.year * 12 + bucket.month - 2).replace(day=ND09_FIRST_DAY)
    hour = slot * 24 // frequency.slots
    return dt.datetime(bucket.year, bucket.month, bucket.day, hour, tzinfo=LOCAL).astimezone(dt.UTC)


def _first_of(month: int) -> dt.date:
    """Give the first day of a month counted from January of the year 0."""
    return dt.date(month // 12, month % 12 + 1, 1)
