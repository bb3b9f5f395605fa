"""Why a record is refused: one enum of stable texts, in the order in which they apply."""

import dataclasses
import enum


class Reason(enum.IntEnum):
    """The first that applies, in this order, is the verdict. Names are stable: outside systems match on them."""

    TOMBSTONE = 1
    SHORT_FRAME = 2
    BAD_MAGIC = 3
    UNKNOWN_SCHEMA = 4
    UNDECODABLE = 5
    BAD_TEXT = 6
    TRAILING_BYTES = 7
    KEY_MISMATCH = 8
    WRONG_PARTITION = 9
    UNKNOWN_INDICATOR = 10
    NOT_OWNER = 11
    BAD_PERIOD = 12
    WRONG_FREQUENCY = 13
    FUTURE_PERIOD = 14
    UNKNOWN_AREA = 15
    AREA_NOT_ALLOWED = 16
    UNKNOWN_BREAKDOWN = 17
    VALUE_MISSING = 18
    VALUE_UNEXPECTED = 19
    NOT_FINITE = 20
    OUT_OF_RANGE = 21
    TOO_PRECISE = 22
    BASE_REQUIRED = 23
    BAD_BASE = 24
    BAD_REVISION = 25
    BAD_SUBMISSION = 26
    BAD_OBSERVED_AT = 27
    OBSERVED_IN_FUTURE = 28
    BAD_NOTE = 29


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """The verdict on one refused record of a block.

    ``position`` counts from 0 in the block. ``field`` is the Avro field at fault, or ``key`` or ``value``; ``detail``
    says what was found (at most 80 characters of it), what is allowed and the remedy. ``schema_id`` is None when the
    frame holds none; ``indicator`` and ``submission`` are empty when unreadable.
    """

    position: int
    reason: Reason
    field: str
    detail: str
    schema_id: int | None = None
    indicator: str = ""
    submission: str = ""


def quote(found: object) -> str:
    """Quote what was found for a ``detail``: printable, and never more than 80 characters of it."""
    text = str(found)
    shown = text if len(text) <= 80 else text[:79] + "…"  # noqa: PLR2004
    return ascii(shown) if not shown.isprintable() else f"'{shown}'"
