"""Arrow columns as numpy arrays: views of the buffers, offsets honoured.

Not by ``to_numpy`` and ``pa.array``: their first call imports pandas, which takes seconds in a fresh process.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Number = TypeVar("Number", bound=np.generic)

ARROW_TYPES = {
    np.dtype(np.uint8): pa.uint8(),
    np.dtype(np.int32): pa.int32(),
    np.dtype(np.uint32): pa.uint32(),
    np.dtype(np.int64): pa.int64(),
    np.dtype(np.uint64): pa.uint64(),
    np.dtype(np.float64): pa.float64(),
}


def numbers(column: pa.Array, dtype: type[Number]) -> npt.NDArray[Number]:
    """View a fixed-width column as ``dtype`` of the same width, read-only; what lies in null rows is undefined."""
    if len(column) == 0:
        return np.empty(0, dtype)
    width = np.dtype(dtype).itemsize
    return np.frombuffer(column.buffers()[1], dtype, count=len(column), offset=column.offset * width)


def bits(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Unpack a boolean column; what lies in null rows is undefined."""
    return _unpack(column.buffers()[1], column.offset, len(column))


def valid(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Say for each row whether it holds something, that is, is not null."""
    if column.null_count == 0:
        return np.ones(len(column), np.bool_)
    mask = column.buffers()[0]
    if mask is None:  # a column of Arrow's null type
        return np.zeros(len(column), np.bool_)
    return _unpack(mask, column.offset, len(column))


def arrow(
    values: npt.NDArray[np.generic], kind: pa.DataType | None = None, present: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Give a numpy array to Arrow without a copy, as its own type or a ``kind`` of its width; null if not present."""
    values = np.ascontiguousarray(values)
    mask = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(kind or ARROW_TYPES[values.dtype], len(values), [mask, pa.py_buffer(values)])


def strings(texts: Sequence[str]) -> pa.Array:
    """Give a few texts to Arrow; no nulls."""
    return byte_strings([text.encode() for text in texts], pa.string())


def byte_strings(texts: Sequence[bytes], kind: pa.DataType | None = None) -> pa.Array:
    """Give bytes to Arrow, as binary or as the string type ``kind``; no nulls, less than 2 GiB in all."""
    ends = np.cumsum([0, *map(len, texts)], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(kind or pa.binary(), len(texts), buffers)


def _unpack(buffer: pa.Buffer, offset: int, count: int) -> npt.NDArray[np.bool_]:
    first = offset // 8
    packed = np.frombuffer(buffer, np.uint8)[first : (offset + count + 7) // 8] if count else np.empty(0, np.uint8)
    return np.unpackbits(packed, bitorder="little")[offset % 8 : offset % 8 + count].view(np.bool_)
