"""The reasons KEY_MISMATCH to BAD_NOTE on whole columns, in the order in which they apply.

Rows that an earlier reason has refused are carried along: what later checks make of their leftovers does not matter.
"""

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.codec import STATUSES
from schemas.columns import numbers, valid
from schemas.reasons import Reason
from schemas.rules_tables import CEILING, Bools, Distinct, Floats, Ints, Longs, Periods, Tables, good_submissions
from schemas.spans import WORD, Spans

MISSING = STATUSES.index("M")
FORECAST = STATUSES.index("F")
REVISIONS = 1 << 23
LAST_INSTANT = 4_102_444_799_999  # the last millisecond of 2099, UTC
AHEAD_MS = 300_000  # an agency's clock may run this far ahead of the broker's
NOTE_CHARACTERS = 2_000
BASE_CEILING = 1e11
TICKS = 10_000.0
LONGEST_COMPARED_AT_ONCE = 64  # bytes of a key: within what may be read behind the end of a buffer
LEADING_BYTES = np.array([(1 << 8 * count) - 1 for count in range(WORD + 1)], np.uint64)

Bytes = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """What the judged rows have around them: keys and broker timestamps (ms) by row, the place they were read from."""

    agency: str
    partition: int
    partitions: int
    keys: Spans
    timestamps: Longs


class Columns:
    """The decoded rows of a block as arrays: distinct texts, ordinals in the catalogue, numbers."""

    def __init__(self, tables: Tables, batch: pa.RecordBatch) -> None:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        self.size = batch.num_rows
        self.texts = {
            name: Distinct.of(columns[name]) for name in ("submission", "indicator", "area", "breakdown", "time_period")
        }
        self.note: pa.Array = columns["note"]
        self.observed: pa.Array = columns["observed_at"]

        codes = self.texts["indicator"]
        self.codes: list[str] = codes.texts()
        self.code_ordinals = tables.indicator_ordinals(self.codes)
        self.indicator: Ints = self.code_ordinals[codes.at]

        times = self.texts["time_period"]
        self.periods: Periods = tables.periods(times.texts())
        self.map = self.periods.map.astype(np.int32)[times.at]

        areas = self.texts["area"]
        self.area_id: Ints = tables.area_ids(areas.texts())[areas.at]
        self.area = tables.areas_in(self.map, self.area_id)

        splits = self.texts["breakdown"]
        self.breakdown = tables.breakdowns.ordinals(self.indicator, tables.breakdown_ids(splits.texts())[splits.at])

        self.has_value: Bools = valid(columns["value"])
        self.value = _floats(columns["value"], self.has_value)
        with np.errstate(over="ignore"):
            # The value at its indicator's decimals, as a whole number of units of the last one.
            self.rounded: Floats = np.rint(self.value * tables.scale[self.indicator])
        self.has_base: Bools = valid(columns["base"])
        self.base = _floats(columns["base"], self.has_base)
        self.status = numbers(columns["status"], np.uint8)
        self.missing: Bools = self.status == MISSING
        self.revision = numbers(columns["revision"], np.int32)
        self.observed_at = numbers(columns["observed_at"], np.int64)


class Verdicts:
    """The first reason of each row, 0 where none applies: mark in the order of the reasons."""

    def __init__(self, size: int) -> None:
        self.reasons: Bytes = np.zeros(size, np.uint8)

    def mark(self, reason: Reason, applies: Bools) -> None:
        """Refuse those rows of which ``applies`` (by row) is true and that no earlier reason has refused."""
        if applies.any():
            np.copyto(self.reasons, np.uint8(reason), where=applies & (self.reasons == 0))

    def mark_texts(self, reason: Reason, applies: Bools, at: Ints) -> None:
        """Refuse by distinct text: ``applies`` by text, ``at`` the text of each row."""
        if applies.any():
            self.mark(reason, applies[at])


def first_reasons(tables: Tables, setting: Setting, rows: Columns) -> Bytes:
    """Name the first reason of each row, 0 for an accepted one."""
    verdicts = Verdicts(rows.size)
    _addressed(verdicts, tables, setting, rows)
    _when(verdicts, tables, setting, rows)
    _where(verdicts, tables, rows)
    _figure(verdicts, tables, rows)
    _denominator(verdicts, tables, rows)
    _circumstances(verdicts, setting, rows)
    return verdicts.reasons


def _addressed(verdicts: Verdicts, tables: Tables, setting: Setting, rows: Columns) -> None:
    at = rows.texts["indicator"].at
    verdicts.mark(Reason.KEY_MISMATCH, _differ(setting.keys, rows))
    partitions = tables.partitions(rows.codes, rows.code_ordinals, setting.partitions)
    verdicts.mark_texts(Reason.WRONG_PARTITION, partitions != setting.partition, at)
    verdicts.mark_texts(Reason.UNKNOWN_INDICATOR, rows.code_ordinals == tables.unknown, at)
    verdicts.mark_texts(Reason.NOT_OWNER, ~tables.owned(rows.code_ordinals, setting.agency), at)


def _when(verdicts: Verdicts, tables: Tables, setting: Setting, rows: Columns) -> None:
    at, periods = rows.texts["time_period"].at, rows.periods
    verdicts.mark_texts(Reason.BAD_PERIOD, periods.frequency < 0, at)
    verdicts.mark(Reason.WRONG_FREQUENCY, periods.frequency[at] != tables.frequency[rows.indicator])
    if rows.size and periods.starts.max() > setting.timestamps.min():
        starts = periods.starts[tables.calendar[rows.indicator], at]
        verdicts.mark(Reason.FUTURE_PERIOD, (starts > setting.timestamps) & (rows.status != FORECAST))


def _where(verdicts: Verdicts, tables: Tables, rows: Columns) -> None:
    nation = tables.nation[rows.map]
    verdicts.mark(Reason.UNKNOWN_AREA, rows.area < 0)
    verdicts.mark(Reason.AREA_NOT_ALLOWED, rows.area > nation)
    verdicts.mark(Reason.AREA_NOT_ALLOWED, tables.national[rows.indicator] & (rows.area != nation))
    verdicts.mark(Reason.UNKNOWN_BREAKDOWN, rows.breakdown < 0)


def _figure(verdicts: Verdicts, tables: Tables, rows: Columns) -> None:
    verdicts.mark(Reason.VALUE_MISSING, ~rows.has_value & ~rows.missing)
    verdicts.mark(Reason.VALUE_UNEXPECTED, rows.has_value & rows.missing)
    verdicts.mark(Reason.NOT_FINITE, ~np.isfinite(rows.value))
    with np.errstate(invalid="ignore"):
        outside = (rows.value < tables.low[rows.indicator]) | (rows.value > tables.high[rows.indicator])
    if outside.any():
        outside &= rows.has_value
        # The maximum bounds one province: the nation's own sum of a province indicator may exceed it.
        nation = (rows.area_id == tables.nation_id) & tables.sums[rows.indicator]
        outside &= ~(nation & (rows.value >= tables.low[rows.indicator]) & (rows.value < CEILING))
        verdicts.mark(Reason.OUT_OF_RANGE, outside)
    with np.errstate(invalid="ignore"):
        verdicts.mark(Reason.TOO_PRECISE, rows.rounded / tables.scale[rows.indicator] != rows.value)


def _denominator(verdicts: Verdicts, tables: Tables, rows: Columns) -> None:
    needed = tables.needs_base[rows.indicator] & ~rows.missing
    if not needed.any():
        return
    verdicts.mark(Reason.BASE_REQUIRED, needed & ~rows.has_base)
    with np.errstate(over="ignore", invalid="ignore"):
        good = (rows.base > 0) & (rows.base < BASE_CEILING) & (np.rint(rows.base * TICKS) / TICKS == rows.base)
    verdicts.mark(Reason.BAD_BASE, needed & ~good)


def _circumstances(verdicts: Verdicts, setting: Setting, rows: Columns) -> None:
    verdicts.mark(Reason.BAD_REVISION, (rows.revision < 0) | (rows.revision >= REVISIONS))
    submissions = rows.texts["submission"]
    verdicts.mark_texts(Reason.BAD_SUBMISSION, ~good_submissions(submissions.encoded.dictionary), submissions.at)
    verdicts.mark(Reason.BAD_OBSERVED_AT, (rows.observed_at < 0) | (rows.observed_at > LAST_INSTANT))
    # The subtraction can only wrap around in rows that the line above has refused.
    verdicts.mark(Reason.OBSERVED_IN_FUTURE, rows.observed_at - AHEAD_MS > setting.timestamps)
    if rows.note.null_count < rows.size:
        characters = numbers(pc.utf8_length(rows.note), np.int32)
        verdicts.mark(Reason.BAD_NOTE, (characters > NOTE_CHARACTERS) & valid(rows.note))


def _differ(keys: Spans, rows: Columns) -> Bools:
    """Say which keys are not their row's indicator: by length, then word by word, the last of them in part."""
    codes, at = [code.encode() for code in rows.codes], rows.texts["indicator"].at
    lengths = np.array([len(code) for code in codes], np.int64)
    width = WORD * -(-min(int(lengths.max(initial=0)), LONGEST_COMPARED_AT_ONCE) // WORD)
    texts = b"".join(code[:width].ljust(width, b"\0") for code in codes)
    words = np.frombuffer(texts, "<u8").reshape(len(codes), width // WORD)
    differ: Bools = keys.lengths != lengths[at]
    for place in range(width // WORD):
        kept = LEADING_BYTES[np.clip(lengths - WORD * place, 0, WORD)]
        differ |= keys.buffer.words[keys.starts + WORD * place] & kept[at] != words[:, place][at]
    for row in np.flatnonzero(~differ & (lengths > width)[at]).tolist():
        differ[row] = keys[row] != codes[at[row]]
    return differ


def _floats(column: pa.Array, present: Bools) -> Floats:
    values = numbers(column, np.float64)
    if column.null_count:
        return np.where(present, values, 0.0)
    return values
