"""The sentences of ``detail``: what was found, what is allowed, the remedy."""

import dataclasses
import datetime as dt
from collections.abc import Callable

from schemas.catalogue import Catalogue, Indicator
from schemas.partition import partition_for
from schemas.period import PeriodError, parse
from schemas.reasons import Reason, quote

SHOWN_BYTES = 320  # enough bytes for the 80 characters that a quotation may have


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """One refused record and where it lay. ``timestamp`` (the broker's) and ``observed_at`` in ms since 1970, UTC."""

    agency: str
    partition: int
    partitions: int
    timestamp: int
    key: bytes | None
    submission: str
    indicator: str
    area: str
    breakdown: str
    time_period: str
    value: float | None
    base: float | None
    revision: int
    observed_at: int
    note_characters: int


def explain(reason: Reason, found: Found, catalogue: Catalogue) -> tuple[str, str]:
    """Give the field at fault and the sentence."""
    field, sentence = SENTENCES[reason]
    return field, sentence(found, catalogue)


def _indicator(found: Found, catalogue: Catalogue) -> Indicator:
    return catalogue.by_code[found.indicator]  # the reasons that ask come after UNKNOWN_INDICATOR


def _key_mismatch(found: Found, _: Catalogue) -> str:
    key = "no key" if found.key is None else quote(found.key[:SHOWN_BYTES].decode("utf-8", "replace"))
    return f"found {key}, allowed is the record's indicator: set the key to the indicator's code in UTF-8"


def _wrong_partition(found: Found, _: Catalogue) -> str:
    right = partition_for(found.key or b"", found.partitions)
    return (
        f"found in partition {found.partition}, this key belongs to partition {right} of {found.partitions}: "
        "set the client's partitioner to murmur2 (librdkafka: partitioner=murmur2_random)"
    )


def _unknown_indicator(found: Found, _: Catalogue) -> str:
    return f"found {quote(found.indicator)}, which is not in the catalogue: use a code of /v1/indicators"


def _not_owner(found: Found, catalogue: Catalogue) -> str:
    owner = _indicator(found, catalogue).agency
    return (
        f"{quote(found.indicator)} belongs to {owner}, not to {found.agency}: only {owner} may say it, on its own topic"
    )


def _bad_period(found: Found, _: Catalogue) -> str:
    try:
        parse(found.time_period)
    except PeriodError as error:
        return str(error)
    raise AssertionError(found.time_period)  # the rules refused it with the same function


def _wrong_frequency(found: Found, catalogue: Catalogue) -> str:
    wanted = _indicator(found, catalogue).frequency
    return (
        f"found {quote(found.time_period)}, a period that is {parse(found.time_period).frequency}: "
        f"{found.indicator} is {wanted}, send periods of that frequency"
    )


def _future_period(found: Found, catalogue: Catalogue) -> str:
    begins = parse(found.time_period).start(_indicator(found, catalogue).calendar)
    return (
        f"found {quote(found.time_period)}, which begins at {begins:%Y-%m-%dT%H:%M:%SZ}, after the record's timestamp "
        f"{_instant(found.timestamp)}: wait until it has begun, or mark a forecast with status F"
    )


def _unknown_area(found: Found, _: Catalogue) -> str:
    bucket = parse(found.time_period).bucket
    return f"found {quote(found.area)}, allowed is VN or a province of the map in force on {bucket}"


def _area_not_allowed(found: Found, catalogue: Catalogue) -> str:
    indicator = _indicator(found, catalogue)
    if indicator.geography == "nation":
        return f"found {quote(found.area)}, but {indicator.code} is reported for the nation only: send area VN"
    return f"found the region {quote(found.area)}, allowed is VN or a province: regions are added up here"


def _unknown_breakdown(found: Found, catalogue: Catalogue) -> str:
    allowed = _indicator(found, catalogue).breakdowns
    some = ", ".join(allowed[:8]) + (", …" if len(allowed) > 8 else "")  # noqa: PLR2004 - a sentence, not a list
    return f"found {quote(found.breakdown)}, allowed for {found.indicator} is one of {some}"


def _value_missing(_found: Found, _: Catalogue) -> str:
    return "found null, allowed is a number: send the value, or status M when nothing was reported"


def _value_unexpected(found: Found, _: Catalogue) -> str:
    return f"found {found.value!r} with status M, which means not reported: send null, or another status"


def _not_finite(found: Found, _: Catalogue) -> str:
    return f"found {found.value!r}, allowed is a finite number: send null with status M when there is no figure"


def _out_of_range(found: Found, catalogue: Catalogue) -> str:
    indicator = _indicator(found, catalogue)
    low = "-10^10 (exclusive)" if indicator.min is None else f"{indicator.min:.15g}"
    high = "10^10 (exclusive)" if indicator.max is None else f"{indicator.max:.15g}"
    if found.area == "VN" and indicator.geography == "province" and indicator.area_rollup == "sum":
        high = "10^10 (exclusive)"
    allowed = f"allowed for {indicator.code} is {low} to {high}"
    return f"found {found.value!r}, {allowed}: check the figure and its unit ({indicator.unit})"


def _too_precise(found: Found, catalogue: Catalogue) -> str:
    decimals = _indicator(found, catalogue).decimals
    allowed = f"allowed are at most {decimals} decimals" if decimals else "allowed is a whole number"
    return f"found {found.value!r}, {allowed}: round before sending"


def _base_required(found: Found, _: Catalogue) -> str:
    return f"found null, but the values of {found.indicator} are weighted by their base: send the denominator"


def _bad_base(found: Found, _: Catalogue) -> str:
    return f"found {found.base!r}, allowed is a number above 0 and below 10^11 with at most 4 decimals"


def _bad_revision(found: Found, _: Catalogue) -> str:
    return f"found {found.revision}, allowed is 0 to 8388607: count the corrections of this figure from 0"


def _bad_submission(found: Found, _: Catalogue) -> str:
    return f"found {quote(found.submission)}, allowed are 1 to 64 characters of A-Z a-z 0-9 . _ -"


def _bad_observed_at(found: Found, _: Catalogue) -> str:
    return f"found {found.observed_at}, allowed are milliseconds since 1970-01-01T00:00Z up to the end of 2099"


def _observed_in_future(found: Found, _: Catalogue) -> str:
    return (
        f"found {_instant(found.observed_at)}, allowed is up to 5 minutes after the record's timestamp "
        f"{_instant(found.timestamp)}: send UTC and check the clock"
    )


def _bad_note(found: Found, _: Catalogue) -> str:
    return f"found {found.note_characters} characters, allowed are 2000: shorten the note"


def _instant(ms: int) -> str:
    try:
        return f"{dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=ms):%Y-%m-%dT%H:%M:%S.%fZ}"
    except OverflowError:  # a timestamp that no calendar has: say the number
        return f"{ms} ms"


SENTENCES: dict[Reason, tuple[str, Callable[[Found, Catalogue], str]]] = {
    Reason.KEY_MISMATCH: ("key", _key_mismatch),
    Reason.WRONG_PARTITION: ("key", _wrong_partition),
    Reason.UNKNOWN_INDICATOR: ("indicator", _unknown_indicator),
    Reason.NOT_OWNER: ("indicator", _not_owner),
    Reason.BAD_PERIOD: ("time_period", _bad_period),
    Reason.WRONG_FREQUENCY: ("time_period", _wrong_frequency),
    Reason.FUTURE_PERIOD: ("time_period", _future_period),
    Reason.UNKNOWN_AREA: ("area", _unknown_area),
    Reason.AREA_NOT_ALLOWED: ("area", _area_not_allowed),
    Reason.UNKNOWN_BREAKDOWN: ("breakdown", _unknown_breakdown),
    Reason.VALUE_MISSING: ("value", _value_missing),
    Reason.VALUE_UNEXPECTED: ("value", _value_unexpected),
    Reason.NOT_FINITE: ("value", _not_finite),
    Reason.OUT_OF_RANGE: ("value", _out_of_range),
    Reason.TOO_PRECISE: ("value", _too_precise),
    Reason.BASE_REQUIRED: ("base", _base_required),
    Reason.BAD_BASE: ("base", _bad_base),
    Reason.BAD_REVISION: ("revision", _bad_revision),
    Reason.BAD_SUBMISSION: ("submission", _bad_submission),
    Reason.BAD_OBSERVED_AT: ("observed_at", _bad_observed_at),
    Reason.OBSERVED_IN_FUTURE: ("observed_at", _observed_in_future),
    Reason.BAD_NOTE: ("note", _bad_note),
}
