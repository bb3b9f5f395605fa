"""The documents of the HTTP interface, as /openapi.json describes them. Figures have the indicator's decimals."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Figure = float | int
Status = Literal["A", "B", "E", "F", "I", "M", "P"]


class AreaTotal(BaseModel):
    """What a line amounts to in one area: a province, a region (R…) or the nation (VN)."""

    area: str
    value: Figure | None = Field(description="null when nothing is reported")
    min: Figure | None = Field(description="least of the values that entered")
    max: Figure | None = Field(description="greatest of the values that entered")
    areas_reported: int
    areas_expected: int
    cells: int = Field(description="latest statements with a value")


class ReportLine(BaseModel):
    """A line: one bucket of one indicator and breakdown. Value, status and counts are VN's."""

    indicator: str
    bucket: str = Field(description="date under which the period is aggregated", examples=["2026-11-01"])
    time_period: str = Field(description="SDMX text; the day for hourly and six-hourly", examples=["2026-11"])
    breakdown: str = Field(examples=["_T", "sex:F"])
    value: Figure | None
    unit: str
    status: Status
    flags: list[Literal["SUM_MISMATCH", "NOT_MONOTONE"]]
    version: int = Field(description="the highest version of a line counts")
    updated_at: str = Field(examples=["2026-11-23T05:00:00.250Z"])
    areas_reported: int
    areas_expected: int
    areas: list[AreaTotal]


class DailyReport(BaseModel):
    """Per indicator the newest bucket on or before the day."""

    day: str
    as_of: str | None = Field(description="as asked for; else how new the newest line is, null without lines")
    cursor: int = Field(description="offset after which /v1/daily/stream continues; -1 before the first")
    lines: list[ReportLine]
    missing: list[str] = Field(description="indicators without any bucket on or before the day")


class IndicatorEntry(BaseModel):
    """An indicator as the catalogue describes it."""

    code: str
    agency: str
    domain: str
    name_vi: str
    name_en: str
    kind: str
    area_rollup: str
    unit: str
    decimals: int
    min: Figure | None
    max: Figure | None
    frequency: str
    geography: str
    breakdowns: list[str]
    channel: str
    connected_since: str | None
    regime: str | None
    calendar: str


class Indicators(BaseModel):
    """The catalogue's indicators, in its order."""

    indicators: list[IndicatorEntry]


class Observation(BaseModel):
    """One accepted statement; nothing is ever overwritten, the highest version of a cell counts."""

    agency: str
    indicator: str
    area: str
    breakdown: str
    time_period: str
    bucket: str
    value: Figure | None
    base: Figure | None
    status: Status
    revision: int
    note: str | None
    submission: str
    observed_at: str
    received_at: str
    topic: str
    partition: int
    offset: int
    version: int
    replay_of: str


class Observations(BaseModel):
    """Statements in the order of indicator, bucket, area, breakdown, period and version."""

    observations: list[Observation]
    next: str | None = Field(description="address of the next page; null on the last")


class RejectedRecord(BaseModel):
    """A refused record, and whether a corrected replay of it was accepted since."""

    topic: str
    partition: int
    offset: int
    reason: str
    field: str
    detail: str
    indicator: str
    received_at: str
    closed: bool


class Submission(BaseModel):
    """What became of an agency's submission so far."""

    agency: str
    submission: str
    accepted: int
    rejected: list[RejectedRecord]


class Counts(BaseModel):
    """Numbers of indicators; to_connect is what of the electronic ones is not connected."""

    total: int
    electronic: int
    direct_entry: int
    connected: int
    live: int
    to_connect: int


class AgencyCounts(Counts):
    """The numbers of one agency."""

    name_vi: str
    name_en: str


class Coverage(Counts):
    """The numbers of all agencies, and of each by its code."""

    by_agency: dict[str, AgencyCounts]


class Window(BaseModel):
    """One window that was due, and the indicators that have no figure for it."""

    time_period: str
    deadline: str
    due: int
    reported: int
    missing: list[str]


class RegimeCompleteness(BaseModel):
    """The windows of one regime that were due on the day."""

    regime: str
    agency: str
    name_vi: str
    name_en: str
    frequency: str
    due: int
    reported: int
    windows: list[Window]


class DueReported(BaseModel):
    """How many figures were due, and how many are there."""

    due: int
    reported: int


class Completeness(DueReported):
    """What was due on the day under the reporting regimes. A figure is an indicator in a window."""

    day: str
    regimes: list[RegimeCompleteness]
    by_agency: dict[str, DueReported]


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Both sides answer."""

    ready: Literal[True]
    cursor: int


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["about:blank"])
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, Any]] | None = Field(default=None, description="the parameters at fault, with status 422")
