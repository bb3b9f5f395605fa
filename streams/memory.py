"""Memory goes back to the system soon after it is free: left alone, a worker keeps three times what it holds.

Blocks and flushes take and leave tens of megabytes at a time, on several threads. glibc keeps an arena a thread, raises
the size from which it maps memory of its own up to 32 MB as such sizes are freed, and keeps what lies between blocks
still in use; Arrow's own allocator keeps segments for later. Measured on a shuffled replay: a seventh less at the peak,
a third less between flushes, for 3 % more CPU.
"""

import ctypes
import importlib.abc
import sys
from collections.abc import Callable

import pyarrow as pa

# From malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
OPTIONS = {ARENA_MAX: 2, MMAP_THRESHOLD: 1 << 20, TRIM_THRESHOLD: 4 << 20}


def _of_glibc(name: str) -> Callable[..., int]:
    """Find one of glibc's own functions; another C library does without."""
    try:
        return getattr(ctypes.CDLL(None), name)  # type: ignore[no-any-return]
    except (AttributeError, OSError, TypeError):
        return lambda *_: 0


class _NoPandas(importlib.abc.MetaPathFinder):
    """Says that pandas is not installed."""

    def find_spec(self, name: str, *_: object) -> None:
        """Leave every other module to whoever is asked next."""
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not needed", name=name)


def _without_pandas() -> None:
    """Make Arrow do without pandas: it would load it, 36 MB, to see whether what becomes an array is one of its."""
    refusing = _NoPandas()
    sys.meta_path.insert(0, refusing)
    try:
        pa.array([])  # it looks for pandas once, with the first array
    finally:
        sys.meta_path.remove(refusing)


def keep_little() -> None:
    """Set the allocators of this process up, before it has threads."""
    _without_pandas()
    pa.set_memory_pool(pa.system_memory_pool())
    option = _of_glibc("mallopt")
    for parameter, value in OPTIONS.items():
        option(parameter, value)


def give_back() -> None:
    """Return to the system what is free between blocks still in use; takes some milliseconds."""
    _of_glibc("malloc_trim")(0)
