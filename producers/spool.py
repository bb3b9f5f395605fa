"""The records of a file between its reading and its sending: in memory while they are few, else in a file without name.

A file is judged to its end before anything of it is sent, and may be larger than memory.
"""

import struct
import tempfile
from collections.abc import Iterator
from typing import Self

from producers.judge import Encoded

IN_MEMORY = 16 << 20  # bytes
HEAD = struct.Struct("<qII?")  # row, length of key, length of value, accepted


class Spool:
    """Records in the order in which they were put in. A context manager: what it holds is gone afterwards."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by __exit__
        self._count = 0

    def append(self, one: Encoded) -> None:
        """Put a record in."""
        self._file.write(HEAD.pack(one.row, len(one.key), len(one.value), one.accepted) + one.key + one.value)
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Encoded]:
        """Give the records back; not while more are put in."""
        self._file.seek(0)
        for _ in range(self._count):
            row, key, value, accepted = HEAD.unpack(self._file.read(HEAD.size))
            yield Encoded(row, self._file.read(key), self._file.read(value), accepted)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
