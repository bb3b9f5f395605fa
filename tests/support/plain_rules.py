"""The reasons KEY_MISMATCH to BAD_NOTE said record by record in plain Python, from the contract's words alone."""

import dataclasses
import datetime as dt
import math
import re
from collections.abc import Mapping

from schemas.catalogue import Catalogue
from schemas.partition import partition_for
from schemas.period import PeriodError, parse

MINUTES_5 = 5 * 60 * 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One record as it lay in its topic; ``event`` holds the fields, ``status`` as its symbol."""

    agency: str
    partition: int
    partitions: int
    offset: int
    timestamp: int
    key: bytes | None
    event: Mapping[str, object]


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """What an accepted record says, in the catalogue's ordinals and in ten-thousandths."""

    indicator: int
    breakdown: int
    map: int
    area: int
    slot: int
    day: int
    ticks: int
    base: int
    status: str
    revision: int
    version: int


def verdict(record: Record, catalogue: Catalogue) -> tuple[str, str] | Statement:  # noqa: C901, PLR0911, PLR0912
    """Give the first reason with its field, or what the record states."""
    event = record.event
    code, area = str(event["indicator"]), str(event["area"])
    value, base, status = event["value"], event["base"], event["status"]

    if record.key != code.encode():
        return "KEY_MISMATCH", "key"
    if partition_for(record.key, record.partitions) != record.partition:
        return "WRONG_PARTITION", "key"
    indicator = next((known for known in catalogue.indicators if known.code == code), None)
    if indicator is None:
        return "UNKNOWN_INDICATOR", "indicator"
    if indicator.agency != record.agency:
        return "NOT_OWNER", "indicator"

    try:
        period = parse(str(event["time_period"]))
    except PeriodError:
        return "BAD_PERIOD", "time_period"
    if period.frequency != indicator.frequency:
        return "WRONG_FREQUENCY", "time_period"
    if _ms(period.start(indicator.calendar)) > record.timestamp and status != "F":
        return "FUTURE_PERIOD", "time_period"

    map_ = catalogue.map_on(period.bucket)
    levels = {known.code: known.level for known in map_.areas}
    if area not in levels:
        return "UNKNOWN_AREA", "area"
    if levels[area] == "region" or (levels[area] == "province" and indicator.geography == "nation"):
        return "AREA_NOT_ALLOWED", "area"
    if event["breakdown"] not in indicator.breakdowns:
        return "UNKNOWN_BREAKDOWN", "breakdown"

    if value is None and status != "M":
        return "VALUE_MISSING", "value"
    if value is not None:
        assert isinstance(value, float)
        if status == "M":
            return "VALUE_UNEXPECTED", "value"
        if not math.isfinite(value):
            return "NOT_FINITE", "value"
        own_sum = area == "VN" and indicator.geography == "province" and indicator.area_rollup == "sum"
        if (
            abs(value) >= 10**10
            or (indicator.min is not None and value < indicator.min)
            or (indicator.max is not None and value > indicator.max and not own_sum)
        ):
            return "OUT_OF_RANGE", "value"
        if not _has_decimals(value, indicator.decimals):
            return "TOO_PRECISE", "value"
    needs_base = status != "M" and (indicator.kind == "ratio" or indicator.area_rollup == "weighted_mean")
    if needs_base:
        if base is None:
            return "BASE_REQUIRED", "base"
        assert isinstance(base, float)
        if not math.isfinite(base) or base <= 0 or base >= 10**11 or not _has_decimals(base, 4):
            return "BAD_BASE", "base"

    revision, observed_at, note = event["revision"], event["observed_at"], event["note"]
    assert isinstance(revision, int)
    assert isinstance(observed_at, int)
    if not 0 <= revision < 2**23:
        return "BAD_REVISION", "revision"
    if not re.fullmatch("[A-Za-z0-9._-]{1,64}", str(event["submission"])):
        return "BAD_SUBMISSION", "submission"
    if not 0 <= observed_at < _ms(dt.datetime(2100, 1, 1, tzinfo=dt.UTC)):
        return "BAD_OBSERVED_AT", "observed_at"
    if observed_at > record.timestamp + MINUTES_5:
        return "OBSERVED_IN_FUTURE", "observed_at"
    if note is not None and len(str(note)) > 2000:
        return "BAD_NOTE", "note"

    codes = [known.code for known in map_.areas]
    return Statement(
        indicator=indicator.ordinal,
        breakdown=indicator.breakdowns.index(str(event["breakdown"])),
        map=map_.ordinal,
        area=codes.index(area),
        slot=period.slot,
        day=(period.bucket - dt.date(1970, 1, 1)).days,
        ticks=0 if value is None else _ticks(value, indicator.decimals),
        base=_ticks(base, 4) if needs_base else 0,
        status=str(status),
        revision=revision,
        version=(revision << 40) + record.offset + 1,
    )


def _has_decimals(number: float, decimals: int) -> bool:
    return bool(round(number * 10**decimals) / 10**decimals == number)


def _ticks(number: object, decimals: int) -> int:
    assert isinstance(number, float)
    return int(round(number * 10**decimals) * 10 ** (4 - decimals))


def _ms(instant: dt.datetime) -> int:
    return (instant - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
