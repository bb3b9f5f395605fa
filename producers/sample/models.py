"""How figures behave: amounts with a week and a season, tides, showers, rush hours, winters, wandering prices.

Pure and seeded. Each model gives what is true, in this fiction, of a subject in a place and a period, in its unit.
"""

import dataclasses
import datetime as dt
import math
from collections.abc import Callable, Mapping

from producers.sample.noise import count, normal, smooth, uniform
from producers.sample.profiles import Model, Profile, Week
from schemas.catalogue import Catalogue, Indicator, Kind
from schemas.period import Frequency, Period

SUNDAY = dt.date(1970, 1, 4)
GROWTH = 0.055  # a year, of every amount, around FLAT_YEAR
FLAT_YEAR = 2026
FEW = 40  # counts below this many are drawn one by one
QUARTERS = (0.09, 0.33, 0.34, 0.24)  # of a day's events, by quarter of the day
HOURS = tuple(1.0 + 0.8 * math.sin(math.pi * (hour - 6) / 12) if 6 <= hour < 22 else 0.25 for hour in range(24))  # noqa: PLR2004 - the hours people are up
TIDE_HOURS = 12.42


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where: an area's code, its share of the nation, and how far south it lies (0 to 1)."""

    code: str
    share: float
    south: float


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """What is told of: an indicator, what is believable of it, the catalogue, and the seed of chance."""

    seed: int
    catalogue: Catalogue
    indicator: Indicator
    profile: Profile


def amount(subject: Subject, place: Place, period: Period) -> float:
    """Give a share of the national size, as active as the day is; counts of few are drawn one by one."""
    profile, indicator, key = subject.profile, subject.indicator, (subject.indicator.code, place.code, period.text)
    mean = profile.size * place.share * _trend(period.bucket) * _season(profile.season, period.bucket)
    if indicator.kind is Kind.FLOW:
        mean *= _activity(subject, period.bucket) if not period.frequency.months else 1.0
        mean *= _share_of_day(period)
    else:
        mean *= 1.0 + profile.swing * smooth(subject.seed, period.bucket.toordinal() / 9.0, indicator.code, place.code)
    if indicator.decimals == 0 and mean < FEW:
        return float(count(mean, subject.seed, *key))
    return max(0.0, mean * (1.0 + profile.swing * 0.6 * normal(subject.seed, *key)))


def water(subject: Subject, place: Place, period: Period) -> float:
    """Give a station's level in metres: high in the uplands, tidal in the deltas, slow to change."""
    hours = _hours(period)
    station = uniform(subject.seed, "station", place.code)
    height = 1.0 + 240.0 * station**4 * (1.0 - 0.8 * place.south)
    tide = 0.9 * place.south**2 * math.cos(math.tau * (hours / TIDE_HOURS + station))
    return height + 0.5 * smooth(subject.seed, hours / 60.0, "water", place.code) + tide


def rain(subject: Subject, place: Place, period: Period) -> float:
    """Give the millimetres of an hour: mostly none, showers that last for hours."""
    hours = _hours(period)
    wet = smooth(subject.seed, hours / 9.0, "wet", place.code)
    drawn = uniform(subject.seed, "shower", place.code, period.text)
    return -3.0 * math.log(1.0 - drawn) * (wet - 0.55) if wet > 0.55 else 0.0  # noqa: PLR2004 - a quarter of all hours


def air(subject: Subject, place: Place, period: Period) -> float:
    """Give an index that is worse in the north, in the rush hours and under still weather."""
    hours = _hours(period)
    clock = hours % 24.0
    rush = 1.0 + 0.25 * math.exp(-((clock - 8.0) ** 2) / 6.0) + 0.3 * math.exp(-((clock - 19.0) ** 2) / 8.0)
    still = 1.0 + subject.profile.swing * 1.6 * smooth(subject.seed, hours / 30.0, "still", place.code)
    chance = 1.0 + 0.05 * normal(subject.seed, "air", place.code, period.text)
    return subject.profile.size * (1.2 - 0.5 * place.south) * rush * still * chance


def heat(subject: Subject, place: Place, period: Period) -> float:
    """Give degrees: the north has a winter, the south hardly any."""
    summer = math.cos(math.tau * (period.bucket.timetuple().tm_yday - 195) / 365.0)
    weather = smooth(subject.seed, period.bucket.toordinal() / 4.0, "weather", place.code)
    chance = normal(subject.seed, "heat", place.code, period.text)
    return 28.5 + 3.5 * place.south + 7.0 * (1.0 - place.south) * summer + 2.2 * weather + 0.5 * chance


def walk(subject: Subject, place: Place, period: Period) -> float:
    """Give a figure that wanders around its size, a little differently in each area."""
    profile, code = subject.profile, subject.indicator.code
    at = _hours(period) / (60.0 * 24.0 if period.frequency.months else 24.0 * 4.0)
    wander = 0.7 * smooth(subject.seed, at, code) + 0.2 * smooth(subject.seed, at, code, place.code)
    return profile.size * (1.0 + profile.swing * (wander + 0.1 * normal(subject.seed, code, place.code, period.text)))


MODELS: Mapping[Model, Callable[[Subject, Place, Period], float]] = {
    Model.AMOUNT: amount,
    Model.WATER: water,
    Model.RAIN: rain,
    Model.AIR: air,
    Model.HEAT: heat,
    Model.WALK: walk,
}


def _activity(subject: Subject, day: dt.date) -> float:
    week = subject.profile.week
    if week is not Week.FLAT and subject.catalogue.is_holiday(day):
        day = SUNDAY
    activity: float = week.value[day.weekday()]
    return activity


def _share_of_day(period: Period) -> float:
    if period.frequency is Frequency.HOURLY:
        return HOURS[period.slot] / sum(HOURS)
    return QUARTERS[period.slot] if period.frequency is Frequency.SIX_HOURLY else 1.0


def _trend(day: dt.date) -> float:
    return float((1.0 + GROWTH) ** (day.year + day.month / 12.0 - FLAT_YEAR - 1.0))


def _season(amplitude: float, day: dt.date) -> float:
    return 1.0 + amplitude * math.cos(math.tau * (day.timetuple().tm_yday - 350) / 365.0)


def _hours(period: Period) -> float:
    return period.bucket.toordinal() * 24.0 + period.slot * 24.0 / period.frequency.slots
