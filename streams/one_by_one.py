"""The records of one batch, one after the other: slow, and in no more memory than the longest of them takes.

The broker limits a batch as it is sent, compressed (max.message.bytes): 16 MiB of compressed zeros are gigabytes. A
record longer than `LONGEST` can only have come so: no client could have sent it plainly, and gris.rejected could not
take it. Its value is cut there, and its key left out, so that it is refused like any other that is cut short.

Source: Apache Kafka, "Message Format", record batch v2.
"""

import dataclasses
import io
from collections.abc import Iterator
from typing import IO

from schemas.topics import LONGEST
from streams.headers import read_replay_of
from streams.inflate import BROKEN, PIECE, opened

RECORDS_AT = 61
ATTRIBUTES_AT = 22  # the byte of them that is in use
CODECS = 0x07
LOG_APPEND_TIME = 0x08

__all__ = ["BROKEN", "Record", "one_by_one"]


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One record; ``timestamp`` in ms since 1970.

    ``replay_of`` is the ``<partition>:<offset>`` that its header names, ``size`` how many bytes it takes in its batch.
    """

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    replay_of: str
    size: int


def one_by_one(raw: memoryview) -> Iterator[Record]:
    """Read the records of a batch of the current format. Raises one of `BROKEN` for what is no batch."""
    codec, packed = raw[ATTRIBUTES_AT] & CODECS, raw[RECORDS_AT:]
    stream: IO[bytes] = io.BufferedReader(opened(codec, packed), PIECE) if codec else io.BytesIO(packed)  # type: ignore[type-var]
    base = int.from_bytes(raw[:8], signed=True)
    appended = raw[ATTRIBUTES_AT] & LOG_APPEND_TIME
    first, last = int.from_bytes(raw[27:35], signed=True), int.from_bytes(raw[35:43], signed=True)
    count = int.from_bytes(raw[57:61], signed=True)
    for _ in range(count):
        size = _number(stream)
        body = _Body(stream, size)
        body.number()  # attributes: none are in use
        delta = body.number()
        offset = base + body.number()
        key, key_is_whole = body.text()
        value, value_is_whole = body.text()
        fits = key_is_whole and value_is_whole
        replay_of = body.replay_of() if fits else body.skip()
        yield Record(offset, last if appended else first + delta, key if fits else None, value, replay_of, size)
    if count < 0 or stream.read(1):
        raise ValueError(f"there is more behind the {count} records that it says it has")


class _Body:
    """The bytes of one record, of which no more than `LONGEST` are ever held of a text."""

    def __init__(self, stream: IO[bytes], length: int) -> None:
        self._stream = stream
        self._left = length

    def take(self, count: int) -> bytes:
        """Read exactly ``count`` bytes, `LONGEST` at the most."""
        if not 0 <= count <= min(self._left, LONGEST):
            raise EOFError
        found = self._stream.read(count)
        while len(found) < count:  # a stream may give less than it has
            more = self._stream.read(count - len(found))
            if not more:
                raise EOFError
            found += more
        self._left -= count
        return found

    def number(self) -> int:
        """Read a zigzag varint."""
        raw = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            raw |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the continuation bit
                return (raw >> 1) ^ -(raw & 1)
        raise ValueError("a number takes more than 10 bytes")

    def text(self) -> tuple[bytes | None, bool]:
        """Read bytes behind their length, no more than `LONGEST`: (bytes or None, whether these are all)."""
        length = self.number()
        if length < 0:
            return None, True
        found = self.take(min(length, LONGEST))
        self._skip(length - len(found))
        return found, length <= LONGEST

    def replay_of(self) -> str:
        """Read the headers, with which the record ends: all of them or, when they are too long together, none."""
        if self._left > LONGEST:
            return self.skip()
        count = self.number()
        return read_replay_of(self.take(self._left), 0, count)

    def skip(self) -> str:
        """Step over what is left of the record, whatever its headers name."""
        self._skip(self._left)
        return ""

    def _skip(self, count: int) -> None:
        while count > 0:
            count -= len(self.take(min(count, PIECE)))


def _number(stream: IO[bytes]) -> int:
    return _Body(stream, 10).number()
