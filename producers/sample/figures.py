"""The figures of an indicator in whole numbers of its last decimal ("units"), so that parts add up exactly."""

import dataclasses
import math
from collections.abc import Sequence

from producers.sample.models import FEW, MODELS, Place, Subject, amount
from producers.sample.noise import normal, uniform
from schemas.catalogue import Kind, Rollup
from schemas.period import Period

DECIMALS_OF_TICKS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """A total and its parts in the order of ``indicator.breakdowns[1:]``, in units; the base of a ratio, or None.

    ``parts`` is empty when the indicator has none, or when its bounds let no split stand.
    """

    total: int
    parts: tuple[int, ...]
    base: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Teller(Subject):
    """Knows every figure of an indicator."""

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
        if not breakdowns or self.indicator.area_rollup is not Rollup.SUM:
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
