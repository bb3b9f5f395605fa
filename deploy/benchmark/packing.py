"""Drawn records as the bytes an agency's client would send, packed in columns: nothing here knows the codec.

The fields of these records have fixed widths, so that records alike in what they leave out are the rows of one array.
"""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from deploy.benchmark.catalogue import AGENCIES, FIGURES, PROVINCES, code_of
from deploy.benchmark.draw import BASED, HIGH, LOW, SCALE, Drawn, Ints, Mistake

Bytes = npt.NDArray[np.uint8]
Message = tuple[bytes, bytes | None]  # key and value

LOCAL = dt.timedelta(hours=7)
HOUR_MS = 3_600_000
FRAME = b"\x00\x00\x00\x00\x01"
STRANGE_FRAME = b"\x00\x00\x00\x03\xe7"
NULL = b"\x00"
SOME = 2  # the branch of a union that is not null, as Avro writes 1
OBSERVED_BYTES = 6  # of a varint of milliseconds between 1971 and 2039
NOTES = ("", "late report", "typing error", "báo cáo bổ sung")  # by revision; the first is null
FINER = 2.0**-8  # finer than the decimals of any indicator
NOWHERE = "99"
NEVER = "2025-01-06T25:00:00/PT1H"
FAR = "2099-01-06T05:00:00/PT1H"


class Packer:
    """Packs the records of a stream of ``hours`` beginning at the local hour ``first``."""

    def __init__(self, first: dt.datetime, hours: int) -> None:
        times = [first + dt.timedelta(hours=hour) for hour in range(hours)]
        self._first_ms = int((first - LOCAL).timestamp() * 1000)
        # The submission is the agency's report of that hour.
        self._agencies = _table([f"{code.upper()}-" for code in AGENCIES])
        self._reports = _table([f"{time:%Y%m%d%H}" for time in times])
        self._periods = _table([_text(f"{time:%Y-%m-%dT%H}:00:00/PT1H") for time in times] + [_text(NEVER), _text(FAR)])
        self._never, self._far = hours, hours + 1
        serials = range(len(FIGURES) + 1)  # one more than there are, for a mistake
        self._keys = [code_of(agency, serial).encode() for agency in range(len(AGENCIES)) for serial in serials]
        self._codes = _table([_text(key.decode()) for key in self._keys])
        self._areas = _table([_text(area) for area in (*PROVINCES, NOWHERE)])

    def pack(self, drawn: Drawn) -> list[Message]:
        """Give key and value of each record."""
        mistake = drawn.mistake
        serial = np.where(mistake == Mistake.UNKNOWN_INDICATOR, len(FIGURES), drawn.serial)
        code = drawn.agency * (len(FIGURES) + 1) + serial
        values = self._values(drawn, code)
        keys = [self._keys[at] for at in code.tolist()]
        for at in np.flatnonzero(mistake).tolist():
            keys[at], values[at] = _spoiled(Mistake(mistake[at]), keys[at], values[at] or b"")
        return list(zip(keys, values, strict=True))

    def _values(self, drawn: Drawn, code: Ints) -> list[bytes | None]:
        mistake = drawn.mistake
        units = np.where(mistake == Mistake.OUT_OF_RANGE, (HIGH[drawn.serial] + 1) * SCALE[drawn.serial], drawn.units)
        value = units / SCALE[drawn.serial]
        fine = mistake == Mistake.TOO_PRECISE
        value[fine] = LOW[drawn.serial[fine]] + FINER
        period = np.select(
            [mistake == Mistake.BAD_PERIOD, mistake == Mistake.FUTURE_PERIOD], [self._never, self._far], drawn.hour
        )
        area = np.where(mistake == Mistake.UNKNOWN_AREA, len(PROVINCES), drawn.area)
        absent = drawn.missing | (mistake == Mistake.VALUE_MISSING)
        revision = np.where(mistake == Mistake.BAD_REVISION, -1, drawn.revision)
        observed = _varints(self._first_ms + HOUR_MS * (drawn.hour + 1) + drawn.late_ms)
        submission = bytes([2 * (self._agencies.shape[1] + self._reports.shape[1])])
        note = np.where(drawn.revision < len(NOTES), drawn.revision, 0)

        packed: list[bytes | None] = [None] * len(code)
        layout = absent * 8 + BASED[drawn.serial] * 4 + note
        for kind in np.unique(layout).tolist():
            at = np.flatnonzero(layout == kind)
            rows = _rows(
                len(at),
                FRAME + submission,
                self._agencies[drawn.agency[at]],
                self._reports[drawn.hour[at]],
                self._codes[code[at]],
                self._areas[area[at]],
                _text("_T"),
                self._periods[period[at]],
                NULL if kind & 8 else _doubles(value[at]),
                _doubles(drawn.base[at]) if kind & 4 else NULL,
                (2 * drawn.status[at, None]).astype(np.uint8),
                # Zigzag: -1 is written as 1.
                np.where(revision[at, None] < 0, 1, 2 * revision[at, None]).astype(np.uint8),
                observed[at],
                bytes([SOME]) + _text(NOTES[kind & 3]) if kind & 3 else NULL,
            )
            for position, row in zip(at.tolist(), _cut(rows), strict=True):
                packed[position] = row
        return packed


def _spoiled(mistake: Mistake, key: bytes, value: bytes) -> tuple[bytes, bytes | None]:
    """Spoil what is not a matter of a field."""
    spoiled: bytes | None = value
    match mistake:
        case Mistake.TOMBSTONE:
            spoiled = None
        case Mistake.SHORT_FRAME:
            spoiled = value[:2]
        case Mistake.UNKNOWN_SCHEMA:
            spoiled = STRANGE_FRAME + value[len(FRAME) :]
        case Mistake.UNDECODABLE:
            spoiled = value[:-OBSERVED_BYTES]
        case Mistake.TRAILING_BYTES:
            spoiled = value + b"\n"
        case Mistake.KEY_MISMATCH:
            key = key.lower()
    return key, spoiled


def _text(text: str) -> bytes:
    raw = text.encode()
    return bytes([2 * len(raw)]) + raw


def _table(texts: Sequence[str | bytes]) -> Bytes:
    """Put texts of one width into the rows of a table."""
    raw = [text.encode() if isinstance(text, str) else text for text in texts]
    return np.frombuffer(b"".join(raw), np.uint8).reshape(len(raw), -1)


def _doubles(values: npt.NDArray[np.generic]) -> Bytes:
    """Write unions of null and double, none of them null."""
    rows = np.full((len(values), 9), SOME, np.uint8)
    rows[:, 1:] = values.astype("<f8").view(np.uint8).reshape(-1, 8)
    return rows


def _varints(numbers: Ints) -> Bytes:
    """Write positive longs that take OBSERVED_BYTES bytes each."""
    groups = (numbers[:, None] << 1) >> (7 * np.arange(OBSERVED_BYTES))
    rows = (groups & 0x7F).astype(np.uint8)
    rows[:, :-1] |= 0x80
    return rows


def _rows(count: int, *parts: bytes | Bytes) -> Bytes:
    """Lay parts side by side; bytes are the same in every row."""
    whole = [
        part if isinstance(part, np.ndarray) else np.broadcast_to(np.frombuffer(part, np.uint8), (count, len(part)))
        for part in parts
    ]
    return np.concatenate(whole, axis=1)


def _cut(rows: Bytes) -> list[bytes]:
    width = rows.shape[1]
    raw = rows.tobytes()
    return [raw[start : start + width] for start in range(0, len(raw), width)]
