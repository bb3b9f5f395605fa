"""Completeness: which figures were due on a day under the reporting regimes, and which of them are there."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from schemas.catalogue import Catalogue, Regime
from schemas.period import LOCAL, Period, PeriodError, containing

WEEKEND = 5  # date.weekday() of Saturday
ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Duty:
    """One window of one regime, and the indicators it asks for."""

    regime: Regime
    period: Period
    deadline: dt.datetime
    indicators: tuple[str, ...]


def duties(catalogue: Catalogue, day: dt.date) -> list[Duty]:
    """List what is due on a local day: every window whose deadline falls on it, of every regime with indicators.

    A deadline at 00:00 is the end of the day before. A regime of working days has no window on weekends and holidays;
    one without a deadline is never due.
    """
    asked: dict[str, list[str]] = {}
    for indicator in catalogue.indicators:
        if indicator.regime is not None:
            asked.setdefault(indicator.regime, []).append(indicator.code)
    return [
        Duty(regime, period, deadline, tuple(asked[regime.code]))
        for regime in catalogue.regimes
        if regime.code in asked
        for period, deadline in _due(regime, day)
        if not (regime.working_days and _closed(catalogue, period.bucket))
    ]


def completeness(
    catalogue: Catalogue, day: dt.date, due: Sequence[Duty], reported: AbstractSet[tuple[str, str]]
) -> dict[str, object]:
    """Judge duties by the (indicator, time_period) that have a figure in at least one area and breakdown."""
    totals, met = Counter[str](), Counter[str]()
    windows: dict[str, list[dict[str, object]]] = {}
    for duty in due:
        text = duty.period.text
        missing = [code for code in duty.indicators if (code, text) not in reported]
        totals[duty.regime.code] += len(duty.indicators)
        met[duty.regime.code] += len(duty.indicators) - len(missing)
        windows.setdefault(duty.regime.code, []).append(
            {
                "time_period": text,
                "deadline": duty.deadline.astimezone(LOCAL).isoformat(),
                "due": len(duty.indicators),
                "reported": len(duty.indicators) - len(missing),
                "missing": missing,
            }
        )
    regimes = [regime for regime in catalogue.regimes if regime.code in windows]
    return {
        "day": str(day),
        "due": totals.total(),
        "reported": met.total(),
        "regimes": [
            {
                "regime": regime.code,
                "agency": regime.agency,
                "name_vi": regime.name_vi,
                "name_en": regime.name_en,
                "frequency": str(regime.frequency),
                "due": totals[regime.code],
                "reported": met[regime.code],
                "windows": windows[regime.code],
            }
            for regime in regimes
        ],
        "by_agency": {
            agency.code: {
                "due": sum(totals[regime.code] for regime in regimes if regime.agency == agency.code),
                "reported": sum(met[regime.code] for regime in regimes if regime.agency == agency.code),
            }
            for agency in catalogue.agencies
            if any(regime.agency == agency.code for regime in regimes)
        },
    }


def _due(regime: Regime, day: dt.date) -> Iterator[tuple[Period, dt.datetime]]:
    """Give the regime's windows with a deadline after 00:00 of the local day and not after its end."""
    if regime.deadline_offset is None:
        return
    try:
        opens = dt.datetime(day.year, day.month, day.day, tzinfo=LOCAL)
        # The window that holds this instant is the first that ends after it: the first with a deadline after `opens`.
        period = containing(opens - regime.deadline_offset, regime.frequency, regime.calendar)
        while (deadline := period.end(regime.calendar) + regime.deadline_offset) <= opens + ONE_DAY:
            yield period, deadline
            period = period.next()
    except PeriodError:  # before the first period there is, or after the last: nothing is due there
        return


def _closed(catalogue: Catalogue, day: dt.date) -> bool:
    return day.weekday() >= WEEKEND or catalogue.is_holiday(day)
