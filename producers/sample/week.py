"""The believable week: which periods are told, in which places, in the order of telling. Pure: no clock, no chance."""

import datetime as dt
from collections.abc import Iterator

from producers.sample.figures import Figure, Teller
from producers.sample.models import Place
from producers.sample.places import shares, southness
from producers.sample.profiles import profile_of
from producers.sample.statement import Statement
from producers.sample.story import DAY, Group, statements, story
from schemas.catalogue import NATION, AreaMap, Catalogue, Indicator, Regime, Rollup
from schemas.period import LOCAL, Frequency, Period, PeriodError, containing

DEADLINES = {
    Frequency.HOURLY: dt.timedelta(minutes=15),
    Frequency.SIX_HOURLY: dt.timedelta(hours=1),
    Frequency.DAILY: dt.timedelta(hours=8),
}
SLOW_DEADLINE = dt.timedelta(days=5)  # of a month and longer, without a regime that says
LATEST = {Frequency.MONTHLY: 13, Frequency.QUARTERLY: 5, Frequency.SEMIANNUAL: 3, Frequency.ANNUAL: 3}
SEARCH_DAYS = 30  # how far back a working day is looked for; the longest holidays are shorter


def week(catalogue: Catalogue, end: dt.date, days: int, seed: int) -> list[Statement]:
    """Tell the ``days`` local days up to ``end``, and the latest months and longer that had ended by then, in order.

    Of the indicators with ``connected_since``, or of all when there is none. Nothing is told after midnight of ``end``:
    what would have been due later is told, provisionally, just before.
    """
    closing = dt.datetime.combine(end + DAY, dt.time(), LOCAL)
    told: list[Statement] = []
    for indicator in sampled(catalogue):
        for period in periods(catalogue, indicator, end, days):
            for group, figure in groups(catalogue, indicator, period, seed):
                for telling in story(group, closing):
                    told += statements(group, figure, telling)
    told.sort(key=lambda statement: statement.at)  # stable: a group's rows stay together
    return told


def sampled(catalogue: Catalogue) -> tuple[Indicator, ...]:
    """List the connected indicators, or all of a catalogue that has none."""
    return tuple(one for one in catalogue.indicators if one.connected_since is not None) or catalogue.indicators


def periods(catalogue: Catalogue, indicator: Indicator, end: dt.date, days: int) -> Iterator[Period]:
    """Name the indicator's periods of the sample, earliest first."""
    if indicator.frequency.months:
        yield from _latest(indicator, dt.datetime.combine(end + DAY, dt.time(), LOCAL))
        return
    open_days = [day for day in (end - DAY * back for back in range(days)) if is_open(catalogue, indicator, day)]
    if not open_days:
        earlier = (end - DAY * back for back in range(days, days + SEARCH_DAYS))
        open_days = [day for day in earlier if is_open(catalogue, indicator, day)][:1]
    for day in reversed(open_days):
        for slot in range(indicator.frequency.slots):
            yield Period(indicator.frequency, day, slot)


def is_open(catalogue: Catalogue, indicator: Indicator, day: dt.date) -> bool:
    """Say whether the indicator's regime has a window on a local day."""
    regime = catalogue.regime(indicator.regime) if indicator.regime else None
    if regime is None or not regime.working_days:
        return True
    return day.weekday() < 5 and not catalogue.is_holiday(day)  # noqa: PLR2004 - Saturday and Sunday


def groups(catalogue: Catalogue, indicator: Indicator, period: Period, seed: int) -> Iterator[tuple[Group, Figure]]:
    """Give every group of an indicator and period with what is true of it: its provinces, or the nation, or both."""
    chart = catalogue.map_on(period.bucket)
    regime = catalogue.regime(indicator.regime) if indicator.regime else None
    teller = Teller(seed, catalogue, indicator, profile_of(indicator))
    nation = Place(NATION, 1.0, 0.5)
    if indicator.geography != "province" or not chart.provinces:
        yield _group(teller, nation, period, regime, chart), teller.figure(nation, period)
        return
    totals = []
    sizes = shares(chart, indicator.code, teller.profile.spread, seed)
    for position, (area, share) in enumerate(zip(chart.provinces, sizes, strict=True)):
        place = Place(area.code, share, southness(chart, position))
        figure = teller.figure(place, period)
        totals.append(figure.total)
        yield _group(teller, place, period, regime, chart), figure
    if indicator.area_rollup is Rollup.NONE:  # nothing rolls up, so the agency states the nation's figure itself
        mean = teller.clipped(round(sum(totals) / len(totals)))
        base = teller.figure(nation, period).base
        yield _group(teller, nation, period, regime, chart), Figure(mean, (), base)


def _group(teller: Teller, place: Place, period: Period, regime: Regime | None, chart: AreaMap) -> Group:
    indicator = teller.indicator
    deadline = regime.deadline_offset if regime is not None else None
    return Group(
        teller,
        place,
        period,
        period.end(indicator.calendar),
        deadline or DEADLINES.get(indicator.frequency, SLOW_DEADLINE),
        (regime.form_code if regime is not None else "") or indicator.code,
        breaks=chart.ordinal > 0 and period.frequency.months > 0 and period.bucket == chart.valid_from,
    )


def _latest(indicator: Indicator, closing: dt.datetime) -> Iterator[Period]:
    """Name the latest periods whose windows had ended at ``closing``, by the calendar of the indicator's regime."""
    found: list[Period] = []
    try:
        period = containing(closing, indicator.frequency, indicator.calendar)
        while len(found) < LATEST[indicator.frequency]:
            period = period.previous()
            found.append(period)
    except PeriodError:
        pass  # the beginning of time, as far as periods go: fewer are told
    yield from reversed(found)
