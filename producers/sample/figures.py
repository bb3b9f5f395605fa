"""The figures themselves: what is true, in this fiction, of an indicator in an area and a period.

Pure and seeded; whole numbers of the indicator's last decimal ("units"), so that parts add up exactly.
"""

import dataclasses
import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence

from producers.sample.noise import count, normal, smooth, uniform
from producers.sample.profiles import Model, Profile, Week
from schemas.catalogue import Catalogue, Indicator, Kind
from schemas.period import Frequency, Period

SUNDAY = dt.date(1970, 1, 4)
GROWTH = 0.055  # a year, of every amount, around FLAT_YEAR
FLAT_YEAR = 2026
FEW = 40  # counts below this many are drawn one by one
HALF_DAYS = (0.09, 0.33, 0.34, 0.24)  # of a day's events, by quarter of the day
HOURS = tuple(1.0 + 0.8 * math.sin(math.pi * (hour - 6) / 12) if 6 <= hour < 22 else 0.25 for hour in range(24))  # noqa: PLR2004 - the hours people are up
TIDE_HOURS = 12.42
DECIMALS_OF_TICKS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where: an area's code, its share of the nation, and how far south it lies (0 to 1)."""

    code: str
    share: float
    south: float


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """A total and its parts in the order of ``indicator.breakdowns[1:]``, in units; the base of a ratio, or None.

    ``parts`` is empty when the indicator has none, or when its bounds let no split stand.
    """

    total: int
    parts: tuple[int, ...]
    base: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Teller:
    """Knows every figure of an indicator."""

    seed: int
    catalogue: Catalogue
    indicator: Indicator
    profile: Profile

    @property
    def scale(self) -> int:
        """How many units make 1."""
        return int(10**self.indicator.decimals)

    def figure(self, place: Place, period: Period) -> Figure:
        """Tell what is true in a place and a period."""
        if self.indicator.kind is Kind.CUMULATIVE:
            return self._since_january(place, period)
        value = MODELS[self.profile.model](self, place, period)
        return self._figure(self.clipped(round(value * self.scale)), place, period)

    def clipped(self, units: int) -> int:
        """Bring a figure within the indicator's bounds."""
        low, high = self.bounds
        return min(max(units, low), high)

    @property
    def bounds(self) -> tuple[int, int]:
        """Give the least and the greatest units that one observation may hold."""
        step = 10 ** (DECIMALS_OF_TICKS - self.indicator.decimals)
        low, high = self.indicator.min_ticks, self.indicator.max_ticks
        least = -(10**10 - 1) * self.scale if low is None else -(-low // step)
        return least, (10**10 - 1) * self.scale if high is None else high // step

    def divided(self, total: int, parts: Sequence[int]) -> tuple[int, ...]:
        """Divide another total in the proportions of ``parts``, dimension by dimension, exactly."""
        found = list(parts)
        for ordinals in self.indicator.dimensions.values() if parts else ():
            shares = _apportion(total, [float(parts[ordinal - 1]) for ordinal in ordinals])
            for ordinal, share in zip(ordinals, shares, strict=True):
                found[ordinal - 1] = share
        return tuple(found)

    def _since_january(self, place: Place, period: Period) -> Figure:
        """Add up from the start of the year, so that the figure never falls and its parts add up."""
        months = period.frequency.months
        if not months:
            day = period.bucket.timetuple().tm_yday + period.slot / period.frequency.slots
            per_day = (
                self.profile.size * place.share * 12.0 / 365.0 * (0.9 + 0.2 * uniform(self.seed, *self._key(place)))
            )
            return self._figure(self.clipped(round(per_day * day * self.scale)), place, period)
        total, parts = 0, [0] * (len(self.indicator.breakdowns) - 1)
        step = Period(period.frequency, period.bucket.replace(month=1))
        while step <= period:
            value = amount(self, place, step) * months
            added = self._figure(max(0, round(value * self.scale)), place, step)
            total += added.total
            parts = [before + more for before, more in zip(parts, added.parts, strict=False)]
            step = step.next()
        low, high = self.bounds
        return Figure(min(max(total, low), high), tuple(parts) if low <= total <= high else (), None)

    def _figure(self, total: int, place: Place, period: Period) -> Figure:
        base = None
        if self.indicator.needs_base:
            drawn = normal(self.seed, "base", *self._key(place), period.text)
            base = float(max(1, round(self.profile.base * max(place.share, 0.001) * (1.0 + 0.04 * drawn))))
        return Figure(total, self._parts(total, place, period), base)

    def _parts(self, total: int, place: Place, period: Period) -> tuple[int, ...]:
        breakdowns = self.indicator.breakdowns[1:]
        if not breakdowns or self.indicator.area_rollup != "sum":
            return ()
        key = (*self._key(place), period.text)
        found = [0] * len(breakdowns)
        for ordinals in self.indicator.dimensions.values():
            codes = [self.indicator.breakdowns[ordinal].partition(":")[2] for ordinal in ordinals]
            usual = [self.profile.parts.get(code, 1.0 / len(codes)) for code in codes]
            if self.scale == 1 and 0 <= total < FEW:
                shares = _one_by_one(total, usual, self.seed, key)
            else:
                chance = [0.12 * normal(self.seed, "part", code, *key) for code in codes]
                shares = _apportion(total, [part * max(0.2, 1.0 + by) for part, by in zip(usual, chance, strict=True)])
            for ordinal, share in zip(ordinals, shares, strict=True):
                found[ordinal - 1] = share
        low, high = self.bounds
        return tuple(found) if all(low <= part <= high for part in found) else ()

    def _key(self, place: Place) -> tuple[str, str]:
        return self.indicator.code, place.code


def amount(teller: Teller, place: Place, period: Period) -> float:
    """Give a share of the national size, as active as the day is; counts of few are drawn one by one."""
    profile, indicator, key = teller.profile, teller.indicator, (teller.indicator.code, place.code, period.text)
    mean = profile.size * place.share * _trend(period.bucket) * _season(profile.season, period.bucket)
    if indicator.kind is Kind.FLOW:
        mean *= _activity(teller, period.bucket) if not period.frequency.months else 1.0
        mean *= _share_of_day(period)
    else:
        mean *= 1.0 + profile.swing * smooth(teller.seed, period.bucket.toordinal() / 9.0, indicator.code, place.code)
    if indicator.decimals == 0 and mean < FEW:
        return float(count(mean, teller.seed, *key))
    return max(0.0, mean * (1.0 + profile.swing * 0.6 * normal(teller.seed, *key)))


def water(teller: Teller, place: Place, period: Period) -> float:
    """Give a station's level in metres: high in the uplands, tidal in the deltas, slow to change."""
    hours = _hours(period)
    station = uniform(teller.seed, "station", place.code)
    height = 1.0 + 240.0 * station**4 * (1.0 - 0.8 * place.south)
    tide = 0.9 * place.south**2 * math.cos(math.tau * (hours / TIDE_HOURS + station))
    return height + 0.5 * smooth(teller.seed, hours / 60.0, "water", place.code) + tide


def rain(teller: Teller, place: Place, period: Period) -> float:
    """Give the millimetres of an hour: mostly none, showers that last for hours."""
    hours = _hours(period)
    wet = smooth(teller.seed, hours / 9.0, "wet", place.code)
    drawn = uniform(teller.seed, "shower", place.code, period.text)
    return -3.0 * math.log(1.0 - drawn) * (wet - 0.55) if wet > 0.55 else 0.0  # noqa: PLR2004 - a quarter of all hours


def air(teller: Teller, place: Place, period: Period) -> float:
    """Give an index that is worse in the north, in the rush hours and under still weather."""
    hours = _hours(period)
    clock = hours % 24.0
    rush = 1.0 + 0.25 * math.exp(-((clock - 8.0) ** 2) / 6.0) + 0.3 * math.exp(-((clock - 19.0) ** 2) / 8.0)
    still = 1.0 + teller.profile.swing * 1.6 * smooth(teller.seed, hours / 30.0, "still", place.code)
    chance = 1.0 + 0.05 * normal(teller.seed, "air", place.code, period.text)
    return teller.profile.size * (1.2 - 0.5 * place.south) * rush * still * chance


def heat(teller: Teller, place: Place, period: Period) -> float:
    """Give degrees: the north has a winter, the south hardly any."""
    summer = math.cos(math.tau * (period.bucket.timetuple().tm_yday - 195) / 365.0)
    weather = smooth(teller.seed, period.bucket.toordinal() / 4.0, "weather", place.code)
    chance = normal(teller.seed, "heat", place.code, period.text)
    return 28.5 + 3.5 * place.south + 7.0 * (1.0 - place.south) * summer + 2.2 * weather + 0.5 * chance


def walk(teller: Teller, place: Place, period: Period) -> float:
    """Give a figure that wanders around its size, a little differently in each area."""
    profile, code = teller.profile, teller.indicator.code
    at = _hours(period) / (60.0 * 24.0 if period.frequency.months else 24.0 * 4.0)
    wander = 0.7 * smooth(teller.seed, at, code) + 0.2 * smooth(teller.seed, at, code, place.code)
    return profile.size * (1.0 + profile.swing * (wander + 0.1 * normal(teller.seed, code, place.code, period.text)))


MODELS: Mapping[Model, Callable[[Teller, Place, Period], float]] = {
    Model.AMOUNT: amount,
    Model.WATER: water,
    Model.RAIN: rain,
    Model.AIR: air,
    Model.HEAT: heat,
    Model.WALK: walk,
}


def _activity(teller: Teller, day: dt.date) -> float:
    week = teller.profile.week
    if week is not Week.FLAT and teller.catalogue.is_holiday(day):
        day = SUNDAY
    activity: float = week.value[day.weekday()]
    return activity


def _share_of_day(period: Period) -> float:
    if period.frequency is Frequency.HOURLY:
        return HOURS[period.slot] / sum(HOURS)
    return HALF_DAYS[period.slot] if period.frequency is Frequency.SIX_HOURLY else 1.0


def _trend(day: dt.date) -> float:
    return float((1.0 + GROWTH) ** (day.year + day.month / 12.0 - FLAT_YEAR - 1.0))


def _season(amplitude: float, day: dt.date) -> float:
    return 1.0 + amplitude * math.cos(math.tau * (day.timetuple().tm_yday - 350) / 365.0)


def _hours(period: Period) -> float:
    return period.bucket.toordinal() * 24.0 + period.slot * 24.0 / period.frequency.slots


def _apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Divide a whole number by weights, exactly: floors, and what is left to the largest remainders."""
    whole = sum(weights)
    if whole <= 0.0:
        return [total, *[0] * (len(weights) - 1)]
    exact = [total * weight / whole for weight in weights]
    floors = [math.floor(share) for share in exact]
    order = sorted(range(len(weights)), key=lambda at: floors[at] - exact[at])
    for at in order[: total - sum(floors)]:
        floors[at] += 1
    floors[order[0]] += total - sum(floors)  # of a huge total whose shares floats cannot hold to the unit
    return floors


def _one_by_one(total: int, weights: Sequence[float], seed: int, key: Sequence[str]) -> list[int]:
    found = [0] * len(weights)
    whole = sum(weights)
    for unit in range(total):
        left = uniform(seed, "one", unit, *key) * whole
        at = 0
        while at < len(weights) - 1 and left >= weights[at]:
            left -= weights[at]
            at += 1
        found[at] += 1
    return found
