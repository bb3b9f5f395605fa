"""One row of the sample: what an agency says, and when it says it."""

import dataclasses
import datetime as dt

from schemas.reasons import Reason

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


def milliseconds(instant: dt.datetime) -> int:
    """Count milliseconds from 1970 to an aware instant."""
    return (instant - EPOCH) // _MILLISECOND


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """A statement as the event's fields have it; ``observed_at`` in ms since 1970.

    ``at`` (ms) is when it is published: the order of the sample. ``mistake`` is the reason for which the rules refuse
    it, None for a good one.
    """

    at: int
    agency: str
    submission: str
    indicator: str
    area: str
    breakdown: str
    time_period: str
    value: float | None
    base: float | None
    status: str
    revision: int
    observed_at: int
    note: str | None
    mistake: Reason | None = None

    def event(self) -> dict[str, object]:
        """Give the event's fields for the codec."""
        return {name: getattr(self, name) for name in FIELDS}


FIELDS = (
    "submission",
    "indicator",
    "area",
    "breakdown",
    "time_period",
    "value",
    "base",
    "status",
    "revision",
    "observed_at",
    "note",
)
