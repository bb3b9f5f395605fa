"""The believable week: who says what, when; corrections, late and missing figures included. Pure: no clock, no chance.

A *story* is what becomes of one group of cells (an indicator's total and parts in one area and period): first told
within the regime's deadline, perhaps late, perhaps never, perhaps corrected, confirmed, withdrawn.
"""

import dataclasses
import datetime as dt
import enum
import re
from collections.abc import Iterator

from producers.sample.figures import Figure, Place, Teller
from producers.sample.noise import pick, uniform
from producers.sample.places import shares, southness
from producers.sample.profiles import profile_of
from producers.sample.statement import Statement, milliseconds
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
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)


class Fate(enum.Enum):
    """What sets a story apart; the value says of how many in a thousand."""

    SILENT = 6
    MISSING = 4
    WITHDRAWN = 1
    CORRECTED = 15
    TOTAL_ONLY = 2
    LATE = 20
    PLAIN = 952  # told once, in time, and confirmed where that is the custom


# A figure of the nation itself is always there: the report shows every indicator.
FOR_NATION = frozenset({Fate.CORRECTED, Fate.TOTAL_ONLY, Fate.PLAIN})

CORRECTIONS = (
    "Điều chỉnh sau đối chiếu số liệu",
    "Sửa lỗi nhập liệu",
    "Bổ sung báo cáo của đơn vị nộp chậm",
    "Cập nhật theo số liệu của đơn vị cơ sở",
)
NO_FIGURE = ("Chưa có số liệu", "Trạm mất tín hiệu", "Đường truyền gián đoạn")
NOTE_IMPUTED = "Giá trị ước từ các đơn vị lân cận"
NOTE_WITHDRAWN = "Rút số liệu để rà soát"
NOTE_AGAIN = "Báo cáo lại sau rà soát"
NOTE_TOTAL_ONLY = "Điều chỉnh tổng số, chi tiết gửi sau"
NOTE_NEW_MAP = "Theo địa giới mới"


@dataclasses.dataclass(frozen=True, slots=True)
class Telling:
    """One chapter of a story: ``off`` is how far the first figure was from the truth, relatively."""

    at: dt.datetime
    revision: int
    status: str
    off: float = 0.0
    note: str | None = None
    total_only: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """An indicator in one place and period, the calendar's window and the deadline of its report."""

    teller: Teller
    place: Place
    period: Period
    window_end: dt.datetime
    deadline: dt.timedelta
    form: str
    breaks: bool  # whether this is the first period of a new map


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


def story(group: Group, closing: dt.datetime) -> Iterator[Telling]:
    """Tell what becomes of a group until ``closing``, earliest first."""
    seed, key = group.teller.seed, (group.teller.indicator.code, group.place.code, group.period.text)
    pace = uniform(seed, "pace", *key)
    fate = _fate(uniform(seed, "fate", *key))
    if group.place.code == NATION and fate not in FOR_NATION:
        fate = Fate.PLAIN
    if fate is Fate.SILENT:
        return
    chapters = list(_chapters(group, fate, pace, key))
    first = chapters[0]
    if fate is not Fate.LATE and first.at > closing:
        chapters[0] = dataclasses.replace(
            first, at=closing - MINUTE - 20 * MINUTE * pace, status="P" if first.status == "A" else first.status
        )
    yield from (chapter for chapter in chapters if chapter.at < closing)


def _fate(drawn: float) -> Fate:
    left = drawn * 1_000.0
    for fate in Fate:
        if left < fate.value:
            return fate
        left -= fate.value
    return Fate.PLAIN


def _chapters(group: Group, fate: Fate, pace: float, key: tuple[str, ...]) -> Iterator[Telling]:
    seed, profile = group.teller.seed, group.teller.profile
    first_at = group.window_end + group.deadline * (0.15 + 0.8 * pace)
    if fate is Fate.LATE:
        first_at = group.window_end + group.deadline * 1.5 + (6 * HOUR if group.deadline < HOUR else 2 * DAY) * pace
    later = first_at + (DAY if group.deadline <= DAY else 8 * DAY) * (0.6 + 0.5 * pace)
    if fate is Fate.MISSING:
        yield Telling(first_at, 0, "M", note=pick(NO_FIGURE, seed, "why", *key))
        yield Telling(later, 1, "I", note=NOTE_IMPUTED)
        return
    wrong = (0.02 + 0.06 * pace) * (1.0 if uniform(seed, "sign", *key) < 0.5 else -1.0)  # noqa: PLR2004 - a coin
    off = wrong if fate in {Fate.CORRECTED, Fate.TOTAL_ONLY} else 0.0
    first = "B" if group.breaks else profile.first
    yield Telling(first_at, 0, first, off, NOTE_NEW_MAP if group.breaks else None)
    if fate is Fate.WITHDRAWN:
        yield Telling(later, 1, "M", note=NOTE_WITHDRAWN)
        yield Telling(later + DAY, 2, "A", note=NOTE_AGAIN)
    elif fate is Fate.TOTAL_ONLY and group.teller.indicator.dimensions:
        yield Telling(later, 1, "A", note=NOTE_TOTAL_ONLY, total_only=True)
    elif off:
        yield Telling(later, 1, "A", note=pick(CORRECTIONS, seed, "why", *key))
    elif profile.confirmed:
        yield Telling(later, 1, "A")


def statements(group: Group, figure: Figure, telling: Telling) -> Iterator[Statement]:
    """Write a chapter as statements: the total, then each part."""
    teller, indicator = group.teller, group.teller.indicator
    at = milliseconds(telling.at) // 1_000 * 1_000  # to the second, as files write it
    total, parts = figure.total, figure.parts
    if telling.off:
        moved = round(total * telling.off) or (1 if telling.off > 0 or total <= 0 else -1)
        total = teller.clipped(total + moved)
        parts = teller.divided(total, parts)
    cells = [("_T", total)]
    if parts and not telling.total_only:
        cells += zip(indicator.breakdowns[1:], parts, strict=True)
    missing = telling.status == "M"
    for breakdown, units in cells:
        yield Statement(
            at=at,
            agency=indicator.agency,
            submission=_reference(group, telling.revision),
            indicator=indicator.code,
            area=group.place.code,
            breakdown=breakdown,
            time_period=group.period.text,
            value=None if missing else units / teller.scale,
            base=None if missing else figure.base,
            status=telling.status,
            revision=telling.revision,
            observed_at=at,
            note=telling.note,
        )


def _reference(group: Group, revision: int) -> str:
    """Name the report: form, period, and which correction."""
    period = group.period.text[:13]  # an hour's text without its minutes and duration; others are shorter
    text = f"{group.form}-{period}" + (f"-R{revision}" if revision else "")
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)[-64:]


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
