"""Give back to the system what a large flush leaves free: glibc keeps what lies between blocks still in use."""

import ctypes
from collections.abc import Callable

import pyarrow as pa


def _trimmer() -> Callable[[int], int]:
    """Find glibc's malloc_trim; another C library does without."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda _: 0


_trim = _trimmer()


def give_back() -> None:
    """Return free memory to the system; takes some milliseconds."""
    pa.default_memory_pool().release_unused()
    _trim(0)
