"""Record batches as the broker keeps them, unpacked within bounds: what a few kilobytes turn into may fill any memory.

The broker limits a batch as it is sent, compressed (max.message.bytes), and aiokafka unpacks it whole: 16 MiB of
compressed zeros are gigabytes. So a compressed batch is unpacked here, to `LONGEST` bytes at once; a longer one is read
as a stream, record by record, which is slow and takes no more memory than its longest record. A record that is itself
longer than `LONGEST` can only have come compressed: no client could have sent it plainly, and gris.rejected could not
take it. Its value is cut there, and its key left out, so that it is refused like any other that is cut short.

Source: Apache Kafka, "Message Format", record batch v2.
"""

import dataclasses
import io
from collections.abc import Iterator
from typing import IO, Any

import structlog
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from schemas.topics import LONGEST
from streams.inflate import BROKEN, PIECE, opened, whole

LENGTH_AT, HEAD = 8, 12  # a batch's base offset, then the length of what follows
MAGIC_AT, ATTRIBUTES_AT, RECORDS_AT = 16, 21, 61
CODECS = 0x07
LOG_APPEND_TIME = 0x08

log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One record, with the names that aiokafka gives its own; ``timestamp`` in ms since 1970."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


class Batches:
    """What one fetch brought of a partition: as aiokafka's MemoryRecords, but no batch unpacks beyond bounds."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._batches = MemoryRecords(raw)
        self._at = 0

    def size_in_bytes(self) -> int:
        """Count the bytes that were fetched."""
        return int(self._batches.size_in_bytes())

    def has_next(self) -> bool:
        """Whether there is another whole batch."""
        return bool(self._batches.has_next())

    def next_batch(self) -> Any:
        """Give the next batch."""
        batch = self._batches.next_batch()
        start = self._at
        self._at += HEAD + int.from_bytes(self._raw[start + LENGTH_AT : start + HEAD], "big", signed=True)
        if self._raw[start + MAGIC_AT] < 2 or batch.is_control_batch:  # noqa: PLR2004 - the format with headers
            return batch
        return Bounded(batch, memoryview(self._raw)[start : self._at])


class Bounded:
    """A batch of records, which is iterated once. All else it is asked for is aiokafka's to answer."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        """Yield the records in order. Raises CorruptRecordException for what is no batch.

        After a fault that aiokafka finds and we do not (a header's name that is no text), the records before it are
        yielded once more; aiokafka passes over offsets it has had.
        """
        try:
            yield from self._records()
        except BROKEN as error:
            raise CorruptRecordException(f"a batch of records cannot be unpacked ({type(error).__name__})") from error

    def _records(self) -> Iterator[Any]:
        codec, packed = self._raw[ATTRIBUTES_AT + 1] & CODECS, self._raw[RECORDS_AT:]
        batch = _uncompressed(self._raw, whole(codec, packed, LONGEST)) if codec else self._batch
        if batch is not None:
            try:
                yield from batch
            except (CorruptRecordException, ValueError, MemoryError) as error:
                log.info("batch_read_again", offset=self._batch.base_offset, why=type(error).__name__)
            else:
                return
        stream = opened(codec, packed) if codec else io.BytesIO(packed)
        yield from _streamed(io.BufferedReader(stream, PIECE), self._raw)  # type: ignore[type-var]


def _uncompressed(raw: memoryview, plain: bytes | None) -> Any:
    """Make the same batch without compression, None of None; its checksum was that of the compressed bytes."""
    if plain is None:
        return None
    head = bytearray(raw[:RECORDS_AT])
    head[ATTRIBUTES_AT + 1] &= ~CODECS & 0xFF
    head[LENGTH_AT:HEAD] = (RECORDS_AT - HEAD + len(plain)).to_bytes(4)
    return DefaultRecordBatch(bytes(head + plain))


def _streamed(stream: IO[bytes], raw: memoryview) -> Iterator[Record]:
    """Read the records of the batch ``raw`` one by one from their plain bytes."""
    base = int.from_bytes(raw[:8], signed=True)
    appended = raw[ATTRIBUTES_AT + 1] & LOG_APPEND_TIME
    first, last = int.from_bytes(raw[27:35], signed=True), int.from_bytes(raw[35:43], signed=True)
    for _ in range(int.from_bytes(raw[57:61], signed=True)):
        body = _Body(stream, _number(stream))
        body.take(1)  # attributes: none are in use
        delta = body.number()
        offset = base + body.number()
        key, key_is_whole = body.text()
        value, value_is_whole = body.text()
        fits = key_is_whole and value_is_whole
        headers = [] if not fits else body.headers()
        body.end()
        yield Record(
            offset, last if appended else first + delta, int(bool(appended)), key if fits else None, value, headers
        )


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

    def headers(self) -> list[tuple[str, bytes | None]]:
        """Read the headers, all of them or, when they are too long together, none."""
        if self._left > LONGEST:
            return []
        found = []
        for _ in range(self.number()):
            name = self.take(self.number()).decode("utf-8", "replace")
            found.append((name, self.text()[0]))
        return found

    def end(self) -> None:
        """Step over what is left of the record."""
        self._skip(self._left)

    def _skip(self, count: int) -> None:
        while count > 0:
            count -= len(self.take(min(count, PIECE)))


def _number(stream: IO[bytes]) -> int:
    return _Body(stream, 10).number()
