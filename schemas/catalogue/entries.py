"""The entries of the catalogue: what one row of each file says."""

import dataclasses
import datetime as dt
import enum
import re
from collections.abc import Mapping
from types import MappingProxyType

from schemas.period import Calendar, Frequency

CODE = re.compile(r"[A-Za-z0-9._-]{1,32}")
NATION = "VN"
TOTAL = "_T"


class Kind(enum.StrEnum):
    """How an indicator adds over time: a flow sums its slots, every other kind takes the last one with a value."""

    FLOW = "flow"
    STOCK = "stock"
    LEVEL = "level"
    RATIO = "ratio"
    INDEX = "index"
    CUMULATIVE = "cumulative"


class Rollup(enum.StrEnum):
    """How provinces make a region or the nation."""

    SUM = "sum"
    MEAN = "mean"
    WEIGHTED_MEAN = "weighted_mean"
    NONE = "none"


class Level(enum.StrEnum):
    """What an area is."""

    NATION = "nation"
    REGION = "region"
    PROVINCE = "province"


@dataclasses.dataclass(frozen=True, slots=True)
class Agency:
    """Who reports. ``partitions`` is the number of partitions of its topic of events."""

    code: str
    qcvn_code: str
    name_vi: str
    name_en: str
    kind: str
    standardised: bool
    notes: str
    partitions: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Indicator:
    """A figure that one agency reports. ``ordinal`` is its place in the file, from 0.

    ``min`` and ``max`` bound one observation; ``min_ticks`` and ``max_ticks`` are the least and the greatest
    ten-thousandths within them. ``breakdowns`` begins with ``_T``; the place in it is a breakdown's ordinal.
    """

    ordinal: int
    code: str
    agency: str
    domain: str
    name_vi: str
    name_en: str
    kind: Kind
    area_rollup: Rollup
    unit: str
    decimals: int
    min_ticks: int | None
    max_ticks: int | None
    min: float | None
    max: float | None
    frequency: Frequency
    geography: str
    breakdowns: tuple[str, ...]
    channel: str
    connected_since: dt.date | None
    regime: str | None
    calendar: Calendar
    basis: str
    # Ordinals of the breakdowns of each dimension, in the order of the file; ``_T`` belongs to none.
    dimensions: Mapping[str, tuple[int, ...]] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[str, tuple[int, ...]] = {}
        for ordinal, breakdown in enumerate(self.breakdowns[1:], 1):
            dimension = breakdown.partition(":")[0]
            found[dimension] = (*found.get(dimension, ()), ordinal)
        object.__setattr__(self, "dimensions", MappingProxyType(found))

    @property
    def needs_base(self) -> bool:
        """Whether a statement needs a denominator."""
        return self.kind is Kind.RATIO or self.area_rollup is Rollup.WEIGHTED_MEAN


@dataclasses.dataclass(frozen=True, slots=True)
class Area:
    """An area while it exists: from ``valid_from`` until before ``valid_to``, None being open.

    A code alone does not identify a province: some bear another name after a merger.
    """

    code: str
    level: Level
    parent: str
    name_vi: str
    name_en: str
    valid_from: dt.date | None
    valid_to: dt.date | None

    def in_force(self, start: dt.date, end: dt.date) -> bool:
        """Whether it exists at any time from ``start`` until before ``end``."""
        return (self.valid_from or dt.date.min) < end and start < (self.valid_to or dt.date.max)


@dataclasses.dataclass(frozen=True, slots=True)
class Regime:
    """A duty to report: which windows, to whom, until when.

    ``deadline_offset`` counts from the exclusive end of the window; None when none is fixed.
    """

    code: str
    agency: str
    name_vi: str
    name_en: str
    legal_basis: str
    frequency: Frequency
    calendar: Calendar
    window_rule: str
    deadline_offset: dt.timedelta | None
    receives: tuple[str, ...]
    method: str
    form_code: str
    basis: str

    @property
    def working_days(self) -> bool:
        """Whether weekends and public holidays have no window."""
        return self.window_rule.partition(";")[0].strip() == "working_days"


@dataclasses.dataclass(frozen=True, slots=True)
class Holiday:
    """A day on which offices are closed, besides weekends."""

    day: dt.date
    name_vi: str
    name_en: str


@dataclasses.dataclass(frozen=True, slots=True)
class Coverage:
    """What a public source said about the system's coverage on a day; None is what it left unsaid."""

    day: dt.date
    indicators_total: int | None
    electronic: int | None
    connected: int | None
    direct_entry: int | None
    agencies_connected: int | None
    regimes_connected: int | None
    source: str
    note: str
