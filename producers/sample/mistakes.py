"""A handful of mistakes, one of each common kind, which the worker refuses.

Made so that whoever adds up the files by hand without knowing of them still gets the report's totals: a wrong row comes
just before the right row of the same cell (the later in the log wins), or stands where nothing adds up.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from producers.sample.noise import uniform
from producers.sample.statement import Statement, milliseconds
from schemas.catalogue import NATION, Catalogue, Indicator, Rollup
from schemas.period import Frequency, Period, parse
from schemas.reasons import Reason

TYPED_YEAR = 2099  # the last year that a period may name: in the future, whenever the sample is published
LATE_IN_THE_CENTURY = milliseconds(dt.datetime(2099, 6, 1, tzinfo=dt.UTC))
BEFORE = 1  # ms before the right row, in the order of publishing

Change = dict[str, object]
Wrong = Callable[[Statement, Indicator, Catalogue], Change | None]


def with_mistakes(catalogue: Catalogue, told: Sequence[Statement], seed: int) -> list[Statement]:
    """Add the mistakes to statements in order; a kind that the catalogue gives no occasion for is left out."""
    recent = told[-len(told) // 2 :]
    used: set[str] = set()
    wrong: list[Statement] = []
    for reason, change in KINDS:
        found = next(_made(catalogue, recent, reason, change, seed, used), None)
        if found is not None:
            wrong.append(found)
            used.add(found.indicator)
    return sorted([*told, *wrong], key=lambda statement: statement.at)


def _made(
    catalogue: Catalogue, told: Sequence[Statement], reason: Reason, change: Wrong, seed: int, used: set[str]
) -> Iterator[Statement]:
    """Try rows from a place by chance onwards; of indicators without a mistake so far first, then of any."""
    start = int(uniform(seed, "mistake", reason.name) * len(told)) if told else 0
    turned = [*told[start:], *told[:start]]
    for fresh in (True, False):
        for statement in turned:
            # The first report of a total, so that the right row that follows is the same cell and revision.
            if statement.breakdown != "_T" or statement.revision or statement.value is None:
                continue
            if (statement.indicator not in used) is not fresh:
                continue
            changed = change(statement, catalogue.by_code[statement.indicator], catalogue)
            if changed is not None:
                yield dataclasses.replace(statement, at=statement.at - BEFORE, mistake=reason, **changed)  # type: ignore[arg-type]


def _adds_up(indicator: Indicator) -> bool:
    return indicator.geography == "province" and indicator.area_rollup is not Rollup.NONE


def unknown_indicator(_: Statement, indicator: Indicator, catalogue: Catalogue) -> Change | None:
    """Type the letter O for the first zero of the code."""
    code = indicator.code.replace("0", "O", 1)
    return {"indicator": code} if code != indicator.code and catalogue.indicator(code) is None else None


def not_owner(statement: Statement, indicator: Indicator, catalogue: Catalogue) -> Change | None:
    """Report another agency's indicator."""
    foreign = (one for one in catalogue.indicators if one.agency != indicator.agency)
    other = next((one.code for one in foreign if one.connected_since is None), None)
    return None if other is None or statement.area != NATION else {"indicator": other}


def bad_period(statement: Statement, indicator: Indicator, _: Catalogue) -> Change | None:
    """Write the day as people say it."""
    if indicator.frequency is not Frequency.DAILY:
        return None
    return {"time_period": f"{parse(statement.time_period).bucket:%d/%m/%Y}"}


def wrong_frequency(statement: Statement, indicator: Indicator, _: Catalogue) -> Change | None:
    """Report a day's figure for its month."""
    return {"time_period": statement.time_period[:7]} if indicator.frequency is Frequency.DAILY else None


def future_period(statement: Statement, indicator: Indicator, _: Catalogue) -> Change | None:
    """Type another year."""
    if indicator.frequency is not Frequency.DAILY:
        return None
    day = parse(statement.time_period).bucket
    return {"time_period": Period(Frequency.DAILY, dt.date(TYPED_YEAR, day.month, min(day.day, 28))).text}


def unknown_area(statement: Statement, indicator: Indicator, catalogue: Catalogue) -> Change | None:
    """Use the code of a province that is no more."""
    if _adds_up(indicator) or indicator.geography != "province" or statement.area == NATION:
        return None
    chart = catalogue.map_on(parse(statement.time_period).bucket)
    gone = (area.code for other in catalogue.maps for area in other.provinces if area.code not in chart.position)
    return {"area": next(gone, "00") if "00" not in chart.position else "--"}


def area_not_allowed(statement: Statement, indicator: Indicator, catalogue: Catalogue) -> Change | None:
    """Report a region."""
    chart = catalogue.map_on(parse(statement.time_period).bucket)
    if not chart.regions or indicator.geography != "province" or _adds_up(indicator):
        return None
    return {"area": chart.regions[0].code}


def unknown_breakdown(_: Statement, indicator: Indicator, __: Catalogue) -> Change | None:
    """Break down by what the catalogue does not have."""
    return {"breakdown": "sex:X"} if "sex:X" not in indicator.breakdowns else None


def value_missing(_: Statement, __: Indicator, ___: Catalogue) -> Change:
    """Leave the figure out without saying that it is missing."""
    return {"value": None, "status": "A"}


def value_unexpected(_: Statement, __: Indicator, ___: Catalogue) -> Change:
    """Say that a figure is missing, and give it."""
    return {"status": "M"}


def out_of_range(statement: Statement, indicator: Indicator, _: Catalogue) -> Change | None:
    """Report in another unit: a million times as much."""
    value = (statement.value or 1.0) * 1e6
    return (
        {"value": value} if indicator.max is not None and value > indicator.max and statement.area != NATION else None
    )


def too_precise(statement: Statement, indicator: Indicator, _: Catalogue) -> Change | None:
    """Give one decimal more than the indicator has."""
    step = 0.5 / 10**indicator.decimals
    inside = indicator.max is None or (statement.value or 0.0) + step < indicator.max
    return {"value": (statement.value or 0.0) + step} if inside and not indicator.needs_base else None


def base_required(_: Statement, indicator: Indicator, __: Catalogue) -> Change | None:
    """Report a ratio without what it is a share of."""
    return {"base": None} if indicator.needs_base else None


def bad_revision(_: Statement, __: Indicator, ___: Catalogue) -> Change:
    """Count a correction downwards."""
    return {"revision": -1}


def bad_submission(statement: Statement, _: Indicator, __: Catalogue) -> Change:
    """Name the report with a slash, as on paper."""
    return {"submission": f"{statement.submission[:40]}/BC"}


def observed_in_future(_: Statement, __: Indicator, ___: Catalogue) -> Change:
    """Let a clock run decades ahead."""
    return {"observed_at": LATE_IN_THE_CENTURY}


KINDS: tuple[tuple[Reason, Wrong], ...] = (
    (Reason.UNKNOWN_INDICATOR, unknown_indicator),
    (Reason.NOT_OWNER, not_owner),
    (Reason.BASE_REQUIRED, base_required),
    (Reason.BAD_PERIOD, bad_period),
    (Reason.WRONG_FREQUENCY, wrong_frequency),
    (Reason.FUTURE_PERIOD, future_period),
    (Reason.UNKNOWN_AREA, unknown_area),
    (Reason.AREA_NOT_ALLOWED, area_not_allowed),
    (Reason.UNKNOWN_BREAKDOWN, unknown_breakdown),
    (Reason.VALUE_MISSING, value_missing),
    (Reason.VALUE_UNEXPECTED, value_unexpected),
    (Reason.OUT_OF_RANGE, out_of_range),
    (Reason.TOO_PRECISE, too_precise),
    (Reason.BAD_REVISION, bad_revision),
    (Reason.BAD_SUBMISSION, bad_submission),
    (Reason.OBSERVED_IN_FUTURE, observed_in_future),
)
