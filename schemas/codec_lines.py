"""Framed bytes of what we write ourselves: events, and both ways for rejected records and report lines."""

import datetime as dt
import io
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, NamedTuple

import fastavro

from schemas.codec_areas import AreaColumns, encode_areas
from schemas.codec_line_reader import AreaRow, read_line
from schemas.codec_schema import EVENT_ID, HEADER, LINE_ID, MAGIC, REJECTED_ID, STATUSES, bundled

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MILLISECOND = dt.timedelta(milliseconds=1)
INT_BITS, LONG_BITS = 32, 64

NULL = b"\x00"  # the null branch of our unions
PRESENT = b"\x02"  # their other branch
END = b"\x00"  # an empty block ends an array
TICK = Decimal("0.0001")
TICKS = struct.Struct(">cBq")  # the branch, the length 8 as a zigzag varint, the ticks
DOUBLE = struct.Struct("<cd")

AREA_FIELDS = ("area", "value", "min", "max", "areas_reported", "areas_expected", "cells")


class Head(NamedTuple):
    """What a ReportLine says before its areas.

    ``bucket_day`` counts days and ``updated_at_ms`` milliseconds since 1970.
    """

    bucket_day: int
    indicator: str
    breakdown: str
    version: int
    updated_at_ms: int
    status: str
    flags: Sequence[str]


def encode_event(event: Mapping[str, object], schema_id: int = EVENT_ID) -> bytes:
    """Encode an event in our own schema, framed with ``schema_id``; fields with a default may be left out.

    ``value`` and ``base`` are float, int or None, ``observed_at`` an aware datetime or milliseconds. Raises KeyError
    for a missing field, ValueError for what the schema cannot hold, TypeError for another type. Knows no rules.
    """
    status = event.get("status", "A")
    if not isinstance(status, str) or len(status) != 1 or status not in STATUSES:
        raise ValueError(f"status is none of {' '.join(STATUSES)}")
    note = event.get("note")
    return b"".join(
        (
            _frame(schema_id),
            _text("submission", event["submission"]),
            _text("indicator", event["indicator"]),
            _text("area", event["area"]),
            _text("breakdown", event.get("breakdown", "_T")),
            _text("time_period", event["time_period"]),
            _double("value", event.get("value")),
            _double("base", event.get("base")),
            _number("status", STATUSES.index(status), INT_BITS),
            _number("revision", event.get("revision", 0), INT_BITS),
            _number("observed_at", _milliseconds("observed_at", event["observed_at"]), LONG_BITS),
            NULL if note is None else PRESENT + _text("note", note),
        )
    )


def encode_line(
    bucket_day: int,
    indicator: str,
    breakdown: str,
    version: int,
    updated_at_ms: int,
    status: str,
    flags: Sequence[str],
    areas: Sequence[AreaRow],
) -> bytes:
    """Encode a ReportLine.

    ``bucket_day`` counts days and ``updated_at_ms`` milliseconds since 1970; each area is (area, value, min, max,
    areas_reported, areas_expected, cells) with values in ticks or None.
    """
    parts = [_head(Head(bucket_day, indicator, breakdown, version, updated_at_ms, status, flags))]
    if areas:
        parts.append(_number("areas", len(areas), LONG_BITS))
    for area, value, low, high, *counts in areas:
        said = _ticks(value)
        # A province's three figures are one and the same.
        parts += (
            _area(area),
            said,
            said if low == value else _ticks(low),
            said if high == value else _ticks(high),
            _counts(*counts),
        )
    parts.append(END)
    return b"".join(parts)


def encode_lines(heads: Iterable[Head], areas: AreaColumns) -> Iterator[bytes]:
    """Encode ReportLines; the rows of ``areas`` are those of ``heads``, in order."""
    for head, said in zip(heads, encode_areas(areas), strict=True):
        yield _head(head) + said


def _head(head: Head) -> bytes:
    flags = _flags(head.flags) if head.flags else b""
    return b"".join(
        (
            _frame(LINE_ID),
            _bucket(head.bucket_day),
            _name(head.indicator, head.breakdown),
            _instants(head.version, head.updated_at_ms),
            _text("status", head.status),
            flags,
            END,
        )
    )


def _flags(flags: Sequence[str]) -> bytes:
    return b"".join((_number("flags", len(flags), LONG_BITS), *(_text("flags", flag) for flag in flags)))


@lru_cache(1 << 12)
def _bucket(day: int) -> bytes:
    return _number("bucket", day, INT_BITS)


@lru_cache(1 << 12)
def _name(indicator: str, breakdown: str) -> bytes:
    return _text("indicator", indicator) + _text("breakdown", breakdown)


@lru_cache(1 << 12)
def _instants(version: int, updated_at_ms: int) -> bytes:
    return _number("version", version, LONG_BITS) + _number("updated_at", updated_at_ms, LONG_BITS)


@lru_cache(1 << 14)
def _area(code: str) -> bytes:
    return _text("area", code)


@lru_cache(1 << 16)
def _counts(reported: int, expected: int, cells: int) -> bytes:
    return b"".join(
        (
            _number("areas_reported", reported, INT_BITS),
            _number("areas_expected", expected, INT_BITS),
            _number("cells", cells, INT_BITS),
        )
    )


def _ticks(value: int | None) -> bytes:
    return NULL if value is None else TICKS.pack(PRESENT, 16, value)


def decode_line(framed: bytes) -> dict[str, Any]:
    """Decode a ReportLine: ``bucket`` a date, ``updated_at`` aware, values Decimal or None. Raises ValueError."""
    line = decode_line_in_ticks(framed)
    line["updated_at"] = _instant(line["updated_at"])
    line["bucket"] = EPOCH.date() + dt.timedelta(days=line["bucket"])
    line["areas"] = [
        dict(zip(AREA_FIELDS, (area, _decimal(value), _decimal(low), _decimal(high), *counts), strict=True))
        for area, value, low, high, *counts in line["areas"]
    ]
    return line


def decode_line_in_ticks(framed: bytes) -> dict[str, Any]:
    """Decode a ReportLine as it was encoded, at a tenth of the cost.

    ``bucket`` counts days and ``updated_at`` milliseconds since 1970; ``areas`` are AreaRows. Raises ValueError.
    """
    _check_frame(LINE_ID, framed)
    return read_line(framed)


def encode_rejected(record: Mapping[str, object]) -> bytes:
    """Encode a RejectedEvent.

    ``received_at`` is an aware datetime or milliseconds, ``raw`` bytes (empty for a tombstone).
    """
    written = io.BytesIO()
    written.write(_frame(REJECTED_ID))
    row = {**record, "received_at": _milliseconds("received_at", record["received_at"])}
    fastavro.schemaless_writer(written, _schema(REJECTED_ID), row)
    return written.getvalue()


def decode_rejected(framed: bytes) -> dict[str, Any]:
    """Decode a RejectedEvent; ``received_at`` is aware. Raises ValueError."""
    record = _decode(REJECTED_ID, framed)
    record["received_at"] = _instant(record["received_at"])
    return record


def _decode(schema_id: int, framed: bytes) -> dict[str, Any]:
    _check_frame(schema_id, framed)
    body = io.BytesIO(framed[HEADER:])
    try:
        record: Any = fastavro.schemaless_reader(body, _schema(schema_id), None)
    except (EOFError, LookupError, OverflowError) as error:
        raise ValueError(f"the record does not follow schema {schema_id}: {type(error).__name__}") from error
    return dict(record)


def _check_frame(schema_id: int, framed: bytes) -> None:
    if framed[:HEADER] != _frame(schema_id):
        raise ValueError(f"the record is not framed with schema id {schema_id}; is this the right topic?")


def _decimal(ticks: int | None) -> Decimal | None:
    return None if ticks is None else ticks * TICK


def _instant(milliseconds: int) -> dt.datetime:
    try:
        return EPOCH + milliseconds * MILLISECOND
    except OverflowError as error:
        raise ValueError(f"{milliseconds} ms since 1970 is no instant") from error


@cache
def _schema(schema_id: int) -> dict[str, Any]:
    return bundled(schema_id).schema


@cache
def _frame(schema_id: int) -> bytes:
    return bytes((MAGIC,)) + schema_id.to_bytes(HEADER - 1)


def _text(field: str, text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"{field} is a {type(text).__name__}, not a text")
    raw = text.encode()
    return _varint(2 * len(raw)) + raw


def _double(field: str, value: object) -> bytes:
    if value is None:
        return NULL
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{field} is a {type(value).__name__}, not a float or None")
    return DOUBLE.pack(PRESENT, value)


def _number(field: str, value: object, bits: int) -> bytes:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{field} is a {type(value).__name__}, not an int")
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise ValueError(f"{field} does not fit {bits} bits")
    return _varint(2 * value if value >= 0 else -2 * value - 1)


def _varint(raw: int) -> bytes:
    if raw < len(_ONE_BYTE):
        return _ONE_BYTE[raw]
    groups = bytearray()
    while raw >= len(_ONE_BYTE):
        groups.append(raw & 0x7F | 0x80)
        raw >>= 7
    groups.append(raw)
    return bytes(groups)


_ONE_BYTE = [bytes((raw,)) for raw in range(0x80)]


def _milliseconds(field: str, moment: object) -> int:
    if isinstance(moment, dt.datetime):
        if moment.tzinfo is None:
            raise ValueError(f"{field} has no time zone; give an aware datetime")
        return (moment - EPOCH) // MILLISECOND
    if isinstance(moment, bool) or not isinstance(moment, int):
        raise TypeError(f"{field} is a {type(moment).__name__}, not an aware datetime or milliseconds")
    return moment
