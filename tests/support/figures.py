"""The small catalogue by position: numpy tables for drawing, names and packed bytes for writing."""

import datetime as dt
import functools

import numpy as np
import numpy.typing as npt

from schemas.partition import partition_for
from tests.support.small_catalogue import BOUNDARY, FIGURES, NEW_PROVINCES, OLD_PROVINCES, PARTITIONS
from tests.support.wire import number, text, varint

Ints = npt.NDArray[np.int64]
Place = tuple[str, int]  # topic, partition

EPOCH = dt.date(1970, 1, 1).toordinal()
CHANGE = BOUNDARY.toordinal() - EPOCH
MONTHS = {"monthly": 1, "quarterly": 3, "semiannual": 6, "annual": 12}
WEIGHTS = {"hourly": 20, "six_hourly": 6, "daily": 4, "monthly": 2}
NOTES = (None, "corrected", "Đính chính số liệu tháng trước", "n" * 2_000, "đ" * 2_000, "")
IGNORED_BASES = (None, 7.0, -1.0, float("nan"), 1e300)

EVENTS = "gris.events."

CHANCE = np.array([WEIGHTS.get(figure.frequency, 1) for figure in FIGURES], np.float64)
CHANCE /= CHANCE.sum()
STEP = np.array([MONTHS.get(figure.frequency, 0) for figure in FIGURES])
SLOTS = np.array([{"hourly": 24, "six_hourly": 4}.get(figure.frequency, 1) for figure in FIGURES])
BREAKDOWNS = np.array([1 + len(figure.breakdowns) for figure in FIGURES])
SCALE = np.array([10**figure.decimals for figure in FIGURES])
LOW = np.array([figure.low or 0 for figure in FIGURES])
HIGH = np.array([1_000_000 if figure.high is None else figure.high for figure in FIGURES])
NATION_ONLY = np.array([figure.geography == "nation" for figure in FIGURES])
MAY_EXCEED = np.array([figure.geography == "province" and figure.rollup == "sum" for figure in FIGURES])
KEYS = tuple(figure.code.encode() for figure in FIGURES)
HOMES: tuple[Place, ...] = tuple(
    (f"{EVENTS}{figure.agency}", partition_for(figure.code.encode(), PARTITIONS[figure.agency])) for figure in FIGURES
)
TOPICS = tuple(f"{EVENTS}{agency}" for agency in PARTITIONS)
NOTE_BYTES = tuple(b"\x00" if note is None else b"\x02" + text(note) for note in NOTES)
BASE_BYTES = tuple(map(number, IGNORED_BASES))


def begin(day: Ints, months: Ints) -> Ints:
    """Name the first day of the period of ``months`` months that holds ``day``; of 0 months, the day itself."""
    month = day.astype("M8[D]").astype("M8[M]").astype(np.int64)
    first = (month - month % np.maximum(months, 1)).astype("M8[M]").astype("M8[D]").astype(np.int64)
    return np.where(months == 0, day, first)


@functools.cache
def period_text(frequency: str, bucket: int, slot: int) -> str:
    """Write the SDMX text of a period."""
    day = dt.date.fromordinal(bucket + EPOCH)
    return {
        "hourly": f"{day}T{slot:02}:00:00/PT1H",
        "six_hourly": f"{day}T{6 * slot % 24:02}:00:00/PT6H",
        "daily": f"{day}",
        "monthly": f"{day:%Y-%m}",
        "quarterly": f"{day.year}-Q{(day.month + 2) // 3}",
        "semiannual": f"{day.year}-S{(day.month + 5) // 6}",
        "annual": f"{day.year}",
    }[frequency]


def area_code(bucket: int, position: int) -> str:
    """Name an area by its position among the provinces of the map in force; VN comes after them."""
    return (*(OLD_PROVINCES if bucket < CHANGE else NEW_PROVINCES), "VN")[position]


@functools.cache
def cell_bytes(at: int, new_map: bool, area: int, breakdown: int) -> bytes:
    """Pack indicator, area and breakdown."""
    names = (FIGURES[at].code, area_code(CHANGE if new_map else 0, area), ("_T", *FIGURES[at].breakdowns)[breakdown])
    return b"".join(map(text, names))


@functools.cache
def period_bytes(at: int, bucket: int, slot: int) -> bytes:
    """Pack a period in the frequency of figure ``at``."""
    return text(period_text(FIGURES[at].frequency, bucket, slot))


@functools.cache
def submission_bytes(at: int, today: int, report: int) -> bytes:
    """Pack the agency's reference of the report of a day."""
    return text(f"{FIGURES[at].agency}_{dt.date.fromordinal(today + EPOCH)}.R-{report}")


@functools.cache
def observed_bytes(today: int, minute: int) -> bytes:
    """Pack when the agency recorded it."""
    return varint(today * 86_400_000 + minute * 60_000)


def base_bytes(at: int, ticks: int, loose: int) -> bytes:
    """Pack a denominator, where none is needed mostly null and sometimes one that must be ignored."""
    if FIGURES[at].needs_base:
        return number(ticks / 10_000)
    return BASE_BYTES[loose % 97] if loose % 97 < len(BASE_BYTES) else BASE_BYTES[0]
