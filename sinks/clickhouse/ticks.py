"""Ticks (int64, ten-thousandths) as Decimal(18, 4) columns and back, without a Python object per figure."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

DECIMAL = pa.decimal128(18, 4)
SCALE = 10_000


def ticks_to_decimal(ticks: npt.NDArray[np.int64], valid: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Make a decimal128(18, 4) array of ``ticks`` [n]; null where ``valid`` [n] is False. Exact."""
    words = np.empty((len(ticks), 2), dtype=np.int64)  # little-endian 128-bit: the low word, then its sign
    words[:, 0] = ticks
    np.right_shift(words[:, 0], 63, out=words[:, 1])
    mask = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(DECIMAL, len(ticks), [mask, pa.py_buffer(words)])


def decimal_to_ticks(figures: pa.Array) -> npt.NDArray[np.int64]:
    """Make ticks [n] of a decimal128(18, 4) array; 0 where it is null. Exact."""
    if figures.type != DECIMAL:
        raise TypeError(f"expected {DECIMAL}, got {figures.type}")
    words = np.frombuffer(figures.buffers()[1], dtype=np.int64)
    low = words[2 * figures.offset : 2 * (figures.offset + len(figures)) : 2].copy()
    if figures.null_count:
        low[np.asarray(figures.is_null())] = 0
    return low
