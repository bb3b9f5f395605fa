"""The fast path: whole blocks of events to columns, and only those records about which nothing can be doubted.

All others (hostile, broken, or merely unusual) are the reference's to judge, one by one.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.codec_buffer import Buffer, Flags, Ints, Walk
from schemas.codec_plan import NOT_OURS, Field, Plan
from schemas.codec_reference import Row
from schemas.codec_schema import STATUSES

# One row per event. Text is valid UTF-8; value, base and note are null where the event says null (NaN is a value);
# status is the index in STATUSES; observed_at is the raw long in milliseconds.
EVENT_COLUMNS = pa.schema(
    [
        pa.field("submission", pa.string(), nullable=False),
        pa.field("indicator", pa.string(), nullable=False),
        pa.field("area", pa.string(), nullable=False),
        pa.field("breakdown", pa.string(), nullable=False),
        pa.field("time_period", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("base", pa.float64()),
        pa.field("status", pa.uint8(), nullable=False),
        pa.field("revision", pa.int32(), nullable=False),
        pa.field("observed_at", pa.int64(), nullable=False),
        pa.field("note", pa.string()),
    ]
)

ASCII = 0x80


@dataclasses.dataclass(frozen=True, slots=True)
class Columns:
    """``sure``: bool per record asked for; ``batch``: the sure records in their order, as EVENT_COLUMNS."""

    sure: Flags
    batch: pa.RecordBatch


def read(buffer: Buffer, starts: Ints, stops: Ints, how: Plan) -> Columns:
    """Read the records whose bodies lie from ``starts`` to ``stops`` (int64) of the buffer."""
    walk = Walk(buffer, starts)
    texts: list[_Text] = []
    found: dict[str, _Numbers] = {}
    for field in how.fields:
        present = None if field.null is None else walk.index(2) != field.null
        if present is not None and present.all():
            present = None
        if field.kind == "string":
            length = walk.length(present)
            begin = walk.at.copy()
            walk.skip(length)
            texts.append(_Text(field.column, begin, walk.at.copy(), present))
        else:
            values = _values(walk, field, present)
            if field.column is not None:
                found[field.column] = _Numbers(values, present)
    sure = walk.sure & (walk.at == stops)
    kept = slice(None) if sure.all() else np.flatnonzero(sure)
    count = len(starts) if isinstance(kept, slice) else len(kept)
    taken = _take_texts(buffer, texts, kept, count)
    columns = {text.column: column for text, column in zip(texts, taken, strict=True)}
    columns |= {name: _numbers(EVENT_COLUMNS.field(name).type, each, kept, count) for name, each in found.items()}
    batch = pa.record_batch(
        [columns[each.name] if each.name in columns else _default(each, how, count) for each in EVENT_COLUMNS],
        schema=EVENT_COLUMNS,
    )
    return _without_bad_texts(Columns(sure, batch), taken)


def columns_of(rows: Sequence[Row]) -> pa.RecordBatch:
    """Put rows of the reference into columns, in their order."""
    statuses = [STATUSES.index(row["status"]) for row in rows]
    return pa.record_batch(
        [
            pa.array(statuses if each.name == "status" else [row[each.name] for row in rows], each.type)
            for each in EVENT_COLUMNS
        ],
        schema=EVENT_COLUMNS,
    )


def take(batch: pa.RecordBatch, rows: Ints) -> pa.RecordBatch:
    """Take rows by their int64 indices."""
    return batch.take(_array(pa.int64(), rows, None))


@dataclasses.dataclass(frozen=True, slots=True)
class _Text:
    """Where a text field of all records begins and stops; ``present`` is None when none of them is null."""

    column: str | None
    begins: Ints
    stops: Ints
    present: Flags | None


@dataclasses.dataclass(frozen=True, slots=True)
class _Numbers:
    values: npt.NDArray[Any]
    present: Flags | None


def _values(walk: Walk, field: Field, present: Flags | None) -> npt.NDArray[Any]:
    match field.kind:
        case "double":
            return walk.double(present)
        case "int":
            return walk.int32(present)
        case "long":
            return walk.int64(present)
        case "enum":
            # An enum without symbols has no valid index: the extra entry stands for all that does not exist.
            symbols = np.append(field.symbols, np.uint8(NOT_OURS))
            values = symbols[walk.index(len(field.symbols), present)]
            if field.column is not None:
                walk.sure &= values != NOT_OURS
            return values
        case "boolean":
            values = walk.byte(present)
            walk.sure &= values <= 1
            return values
        case "float":
            walk.skip(4 if present is None else 4 * present.astype(np.int64))
        case _:
            walk.skip(walk.length(present))
    return walk.at  # a kind that is only ever skipped


def _take_texts(buffer: Buffer, texts: list[_Text], kept: slice | Ints, count: int) -> list[pa.Array]:
    """Copy the texts of the kept records out of the buffer, a string array for each field.

    The buffer itself serves as one array of strings, in which texts and what lies between them alternate: the k texts
    of the first record are the elements 0, 2 … 2k-2, and element 2k-1 is the way to the next record. Arrow then takes
    every (2k)-th element, without Python and without an index of bytes.
    """
    width = 2 * len(texts)
    offsets = np.empty((count, width), np.int32)
    for at, text in enumerate(texts):
        offsets[:, 2 * at] = text.begins[kept]
        offsets[:, 2 * at + 1] = text.stops[kept]
    if count == 0:
        return [pa.array([], pa.string()) for _ in texts]
    whole = pa.Array.from_buffers(
        pa.string(), count * width - 1, [None, pa.py_buffer(offsets), pa.py_buffer(buffer.raw)]
    )
    taken = []
    for at, text in enumerate(texts):
        present = None if text.present is None else text.present[kept]
        if present is not None and not present.any():
            taken.append(pa.nulls(count, pa.string()))
            continue
        places = np.arange(2 * at, count * width, width, dtype=np.int64)
        taken.append(whole.take(_array(pa.int64(), places, present)))
    return taken


def _without_bad_texts(columns: Columns, texts: list[pa.Array]) -> Columns:
    """Leave out the records of which a text, kept or skipped, is not UTF-8."""
    bad: set[int] = set()
    for text in texts:
        raw = text.buffers()[2]
        if raw is None or np.frombuffer(raw, np.uint8).max(initial=0) < ASCII:
            continue
        try:
            text.validate(full=True)
        except pa.ArrowInvalid:
            bad.update(_not_utf8(text))
    if not bad:
        return columns
    good = np.setdiff1d(np.arange(columns.batch.num_rows), np.fromiter(bad, np.int64, len(bad)))
    sure = np.zeros_like(columns.sure)
    sure[np.flatnonzero(columns.sure)[good]] = True
    return Columns(sure, take(columns.batch, good))


def _not_utf8(text: pa.Array) -> Iterator[int]:
    for row, raw in enumerate(text.view(pa.binary()).to_pylist()):
        try:
            (raw or b"").decode()
        except UnicodeDecodeError:
            yield row


def _numbers(kind: pa.DataType, numbers: _Numbers, kept: slice | Ints, count: int) -> pa.Array:
    present = None if numbers.present is None else numbers.present[kept]
    if present is not None and not present.any():
        return pa.nulls(count, kind)
    values = numbers.values[kept]
    return _array(kind, values.astype(np.int32) if kind == pa.int32() else values, present)


def _array(kind: pa.DataType, values: npt.NDArray[Any], present: Flags | None) -> pa.Array:
    """Wrap numbers as an Arrow array (pa.array would import pandas, which takes seconds)."""
    valid = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(np.ascontiguousarray(values))])


def _default(column: pa.Field, how: Plan, count: int) -> pa.Array:
    value = how.defaults[column.name]
    if value is None:
        return pa.nulls(count, column.type)
    return pa.repeat(pa.scalar(STATUSES.index(value) if column.name == "status" else value, column.type), count)
