"""The fast path: whole blocks of events to columns, and only those records about which nothing can be doubted.

All others (hostile, broken, or merely unusual) are the reference's to judge, one by one.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.codec_buffer import Walk
from schemas.codec_plan import NOT_OURS, Field, Plan
from schemas.codec_reference import Row
from schemas.codec_schema import STATUSES
from schemas.spans import Buffer, Flags, Ints

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
    texts = [field.column for field in how.fields if field.kind == "string"]
    places = np.empty((len(starts), 2 * len(texts)), np.int32)
    filled: list[Flags | None] = []
    numbers: dict[str, tuple[npt.NDArray[Any], Flags | None]] = {}
    for field in how.fields:
        present = _presence(walk, field)
        if field.kind == "string":
            length = walk.length(present)
            places[:, 2 * len(filled)] = walk.at
            walk.skip(length)
            places[:, 2 * len(filled) + 1] = walk.at
            filled.append(present)
        else:
            values = _read_values(walk, field, present)
            if field.column is not None:
                numbers[field.column] = values, present
    sure = (walk.flawed == 0) & (walk.at == stops)
    kept = slice(None) if sure.all() else np.flatnonzero(sure)
    taken = _take_texts(buffer, places[kept], [None if each is None else each[kept] for each in filled])
    columns = dict(zip(texts, taken, strict=True))
    for name, (values, present) in numbers.items():
        kind = EVENT_COLUMNS.field(name).type
        columns[name] = _array(kind, values[kept], None if present is None else present[kept])
    count = len(places[kept])
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


def _presence(walk: Walk, field: Field) -> Flags | None:
    """Tell which records have the field; None when all have."""
    if field.null is None:
        return None
    present = walk.index(2) != field.null
    return None if present.all() else present


def _read_values(walk: Walk, field: Field, present: Flags | None) -> npt.NDArray[Any]:
    """Step over the field, and give its values if it is of a kind that may be ours."""
    match field.kind:
        case "double":
            return walk.double(present)
        case "int":
            return walk.int32(present)
        case "long":
            return walk.int64(present)
        case "enum":
            values = field.symbols[walk.index(field.count, present)]
            walk.flawed |= values == NOT_OURS
            return values
        case "boolean":
            walk.flawed |= walk.byte(present) > 1
        case "float":
            walk.skip_fixed(4, present)
        case _:
            walk.skip(walk.length(present))
    return walk.at


def _take_texts(buffer: Buffer, places: npt.NDArray[np.int32], filled: list[Flags | None]) -> list[pa.Array]:
    """Copy texts out of the buffer, a string array for each of the k text fields.

    ``places``: (n, 2k), where each text begins and stops; ``filled``: which records have it, None for all. The buffer
    itself serves as one array of strings, in which texts and what lies between them alternate: the texts of the first
    record are the elements 0, 2 … 2k-2, and element 2k-1 is the way to the next record. Arrow then takes every 2k-th
    element, without Python and without an index of bytes.
    """
    count, width = places.shape
    if count == 0:
        return [pa.nulls(0, pa.string()) for _ in filled]
    whole = pa.Array.from_buffers(
        pa.string(), count * width - 1, [None, pa.py_buffer(places), pa.py_buffer(buffer.raw)]
    )
    every = np.arange(0, count * width, width, dtype=np.int32)
    return [
        pa.nulls(count, pa.string())
        if present is not None and not present.any()
        else whole.take(_array(pa.int32(), every + 2 * at, present))
        for at, present in enumerate(filled)
    ]


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


def _array(kind: pa.DataType, values: npt.NDArray[Any], present: Flags | None) -> pa.Array:
    """Wrap numbers as an Arrow array (pa.array would import pandas, which takes seconds)."""
    if present is not None and not present.any():
        return pa.nulls(len(values), kind)
    exact = np.ascontiguousarray(values, kind.to_pandas_dtype())
    valid = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(exact)])


def _default(column: pa.Field, how: Plan, count: int) -> pa.Array:
    value = how.defaults[column.name]
    if value is None:
        return pa.nulls(count, column.type)
    return pa.repeat(pa.scalar(STATUSES.index(value) if column.name == "status" else value, column.type), count)
