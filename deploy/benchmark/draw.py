"""What is said, in which order: a seeded stream of figures, corrections and mistakes, drawn in columns. Pure."""

import dataclasses
import datetime as dt
import enum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from deploy.benchmark.catalogue import AGENCIES, FIGURES, INDICATORS, PROVINCES

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

STATUSES = "ABEFIMP"
MISSING = STATUSES.index("M")
HOUR_CELLS = len(AGENCIES) * INDICATORS * len(PROVINCES)  # 12,600 figures an hour, 2,116,800 a week
DAY_CELLS = 24 * HOUR_CELLS
SHUFFLED_DAYS = 400
SCATTER = 73_856_093  # prime, and no factor of the number of cells: every cell is met once before any comes again

MISTAKES = 0.01
CORRECTIONS = 0.05
WITHDRAWN = 0.05  # of the corrections
# By status: normal, provisional and estimated figures.
SAID = np.array([STATUSES.index(status) for status in "APE"])
SAID_CHANCE = (0.7, 0.25, 0.05)

SCALE = np.array([10**figure.decimals for figure in FIGURES])
LOW = np.array([figure.low for figure in FIGURES])
HIGH = np.array([figure.high for figure in FIGURES])
BASED = np.array([figure.needs_base for figure in FIGURES])
MOST_BASE = 10_000


class Mistake(enum.IntEnum):
    """What is wrong with a record; the names are those of the reasons for which it must be refused."""

    NONE = 0
    TOMBSTONE = 1
    SHORT_FRAME = 2
    UNKNOWN_SCHEMA = 3
    UNDECODABLE = 4
    TRAILING_BYTES = 5
    KEY_MISMATCH = 6
    UNKNOWN_INDICATOR = 7
    BAD_PERIOD = 8
    FUTURE_PERIOD = 9
    UNKNOWN_AREA = 10
    VALUE_MISSING = 11
    OUT_OF_RANGE = 12
    TOO_PRECISE = 13
    BAD_REVISION = 14


@dataclasses.dataclass(frozen=True, slots=True)
class Drawn:
    """A run of records by column, in the order in which they are published. All arrays have one length."""

    agency: Ints
    serial: Ints  # of the indicator in FIGURES
    area: Ints  # in PROVINCES
    hour: Ints  # since the first hour of the stream
    units: Ints  # the value in the last decimal of its indicator; of no account where status is M
    base: Ints  # whole units, at least 1; of no account where the indicator needs none
    status: Ints  # in STATUSES
    revision: Ints
    late_ms: Ints  # how long after the hour's end it was recorded
    mistake: Ints  # a Mistake

    @property
    def missing(self) -> Bools:
        """Where a figure is withdrawn."""
        return np.equal(self.status, MISSING)


class Stream(Protocol):
    """A stream of a known number of records; ``hours`` bounds the hours that occur, counted from ``first``."""

    first: dt.datetime
    hours: int

    def draw(self, count: int) -> Drawn:
        """Draw the next ``count`` records."""
        ...


class Week:
    """Hour after hour, every agency reports its indicators in all provinces; corrections come in between.

    Half of the corrections concern the last 24 hours, the others any hour before.
    """

    first = dt.datetime(2025, 1, 6, tzinfo=dt.UTC)  # the local hour's name; a Monday

    def __init__(self, events: int, seed: int) -> None:
        self.hours = events // HOUR_CELLS + 1
        self._numbers = np.random.default_rng(seed)
        self._figures = 0

    def draw(self, count: int) -> Drawn:
        """Draw the next records: 94 % new figures, 5 % corrections, 1 % mistakes."""
        roll = self._numbers
        chance = roll.random(count)
        mistaken = chance < MISTAKES
        corrects = ~mistaken & (chance < MISTAKES + CORRECTIONS)
        figure = self._figures + np.cumsum(~(mistaken | corrects))
        self._figures = int(figure[-1])
        latest = np.maximum(figure - 1, 0)
        span = np.where(roll.random(count) < 0.5, np.minimum(latest, DAY_CELLS), latest)  # noqa: PLR2004 - half
        earlier = latest - (roll.random(count) * span).astype(np.int64)
        cell = np.where(corrects, earlier, latest)
        return _said(roll, cell, corrects, mistaken)


class Shuffled:
    """Any hour of 400 days at any time, each cell twice on average: a backfill out of order, the worst for a cache."""

    first = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    hours = SHUFFLED_DAYS * 24

    def __init__(self, events: int, seed: int) -> None:
        self._numbers = np.random.default_rng(seed)
        self._pool = max(events // 2, 1)

    def draw(self, count: int) -> Drawn:
        """Draw the next records, of which 5 % have a revision and 1 % a mistake."""
        roll = self._numbers
        chance = roll.random(count)
        mistaken = chance < MISTAKES
        corrects = ~mistaken & (chance < MISTAKES + CORRECTIONS)
        cell = roll.integers(0, self._pool, count) * SCATTER % (HOUR_CELLS * self.hours)
        return _said(roll, cell, corrects, mistaken)


def _said(roll: np.random.Generator, cell: Ints, corrects: Bools, mistaken: Bools) -> Drawn:
    """Say something about cells, numbered hour by hour, agency by agency, indicator by indicator, by province."""
    count = len(cell)
    hour, rest = np.divmod(cell, HOUR_CELLS)
    agency, rest = np.divmod(rest, INDICATORS * len(PROVINCES))
    serial, area = np.divmod(rest, len(PROVINCES))
    units = LOW[serial] * SCALE[serial]
    units += (roll.random(count) * ((HIGH[serial] - LOW[serial]) * SCALE[serial] + 1)).astype(np.int64)
    status = roll.choice(SAID, size=count, p=SAID_CHANCE)
    return Drawn(
        agency=agency,
        serial=serial,
        area=area,
        hour=hour,
        units=units,
        base=roll.integers(1, MOST_BASE + 1, count),
        status=np.where(corrects & (roll.random(count) < WITHDRAWN), MISSING, status),
        revision=np.where(corrects, roll.integers(1, 4, count), 0),
        late_ms=roll.integers(0, 1_800_000, count),
        mistake=np.where(mistaken, roll.integers(1, len(Mistake), count), Mistake.NONE),
    )
