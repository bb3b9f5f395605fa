"""Reads report lines off their Avro bytes, in a third of fastavro's time: the feed does little else all day.

All that the schema allows is read; what is written as ours is takes a few operations a row.
"""

import struct
from typing import Any

from schemas.codec_schema import HEADER

AreaRow = tuple[str, int | None, int | None, int | None, int, int, int]

FIGURES = struct.Struct(">HqHqHq")  # value, min and max, each there and of eight bytes
THERE = 0x0210  # the branch that is not null, and a length of 8
NOT_SMALL = 0x81  # set in the byte of a number that is negative or goes on in the next byte
MOST_SHIFT = 63


def read_line(framed: bytes) -> dict[str, Any]:
    """Read a framed ReportLine; ``bucket`` and ``updated_at`` as numbers, ``areas`` as AreaRows with ticks.

    Raises ValueError for bytes that do not follow the schema; what comes after the line is not looked at.
    """
    try:
        return _line(framed)
    except IndexError as error:
        raise ValueError("the record does not follow the schema of a line: it is cut short") from error


def _line(data: bytes) -> dict[str, Any]:
    line: dict[str, Any] = {}
    line["bucket"], at = _number(data, HEADER)
    line["indicator"], at = _text(data, at)
    line["breakdown"], at = _text(data, at)
    line["version"], at = _number(data, at)
    line["updated_at"], at = _number(data, at)
    line["status"], at = _text(data, at)
    flags: list[str] = []
    count, at = _block(data, at)
    while count:
        for _ in range(count):
            flag, at = _text(data, at)
            flags.append(flag)
        count, at = _block(data, at)
    line["flags"] = flags
    areas: list[AreaRow] = []
    count, at = _block(data, at)
    while count:
        at = _rows(data, at, count, areas)
        count, at = _block(data, at)
    line["areas"] = areas
    return line


def _rows(data: bytes, at: int, count: int, rows: list[AreaRow]) -> int:
    """Read so many rows into ``rows``; give where they end."""
    last_with_figures = len(data) - FIGURES.size
    value: int | None
    low: int | None
    high: int | None
    for _ in range(count):
        area, at = _text(data, at)
        first = second = third = 0
        if at <= last_with_figures:
            first, value, second, low, third, high = FIGURES.unpack_from(data, at)
        if first == second == third == THERE:
            at += FIGURES.size
        else:
            value, at = _ticks(data, at)
            low, at = _ticks(data, at)
            high, at = _ticks(data, at)
        if (data[at] | data[at + 1] | data[at + 2]) & NOT_SMALL:
            reported, at = _number(data, at)
            expected, at = _number(data, at)
            cells, at = _number(data, at)
        else:
            reported, expected, cells = data[at] >> 1, data[at + 1] >> 1, data[at + 2] >> 1
            at += 3
        rows.append((area, value, low, high, reported, expected, cells))
    return at


def _block(data: bytes, at: int) -> tuple[int, int]:
    """Read how many items of an array follow; a negative count is followed by their size."""
    count, at = _number(data, at)
    if count < 0:
        _, at = _number(data, at)
    return abs(count), at


def _ticks(data: bytes, at: int) -> tuple[int | None, int]:
    branch, at = _number(data, at)
    if branch == 0:
        return None, at
    if branch != 1:
        raise ValueError(f"the record does not follow the schema of a line: branch {branch} of 0 and 1")
    raw, at = _bytes(data, at)
    return int.from_bytes(raw, signed=True), at


def _text(data: bytes, at: int) -> tuple[str, int]:
    raw, at = _bytes(data, at)
    return raw.decode(), at


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size = data[at]
    if size & NOT_SMALL:
        size, at = _number(data, at)
    else:
        size, at = size >> 1, at + 1
    end = at + size
    if size < 0 or end > len(data):
        raise ValueError(f"the record does not follow the schema of a line: {size} bytes are not there")
    return data[at:end], end


def _number(data: bytes, at: int) -> tuple[int, int]:
    raw = shift = 0
    while (byte := data[at]) >= 0x80:  # noqa: PLR2004 - the bit that says that there is more
        raw |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if shift > MOST_SHIFT:
            raise ValueError("the record does not follow the schema of a line: a number has more than 64 bits")
    raw |= byte << shift
    return (raw >> 1) ^ -(raw & 1), at + 1
