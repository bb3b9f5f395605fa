"""The story of a group of cells: what is told of it, when, and how it is set right. Pure: no clock, no chance.

A group is an indicator's total and parts in one area and period. It is first told within the regime's deadline, perhaps
late, perhaps never, and perhaps corrected, confirmed, withdrawn.
"""

import dataclasses
import datetime as dt
import enum
import re
from collections.abc import Iterator

from producers.sample.figures import Figure, Teller
from producers.sample.models import Place
from producers.sample.noise import pick, uniform
from producers.sample.statement import Statement, milliseconds
from schemas.catalogue import NATION
from schemas.period import Period

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
