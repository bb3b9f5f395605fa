"""The reader of gris.daily: the one place of the feed that knows aiokafka.

It reads partition 0 alone, in no group, and commits nothing: where it stands is the caller's business.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple, Self

import aiokafka
from aiokafka import errors

from schemas.errors import GrisError, Retry
from schemas.topics import DAILY

PARTITION = aiokafka.TopicPartition(DAILY, 0)
FETCH_BYTES = 1 << 20  # a larger record still comes, alone
REQUEST_MS = 5_000
ANSWER_SECONDS = 6.0


class Record(NamedTuple):
    """One record of gris.daily; a null key or value is empty."""

    offset: int
    key: bytes
    value: bytes


class Bounds(NamedTuple):
    """Which offsets the log has: from ``start`` up to ``end``, exclusive, of committed records."""

    start: int
    end: int


class LogGoneError(GrisError):
    """The log does not have the offset that was to be read next: it was cut or made anew."""


class LineReader:
    """A position in gris.daily. Every method raises Retry when the broker does not answer."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            client_id="gris-feed",
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",  # an aborted line was never said
            auto_offset_reset="none",  # the default would silently begin elsewhere
            fetch_max_wait_ms=200,
            max_partition_fetch_bytes=FETCH_BYTES,
            request_timeout_ms=REQUEST_MS,
            retry_backoff_ms=100,
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, bootstrap: str) -> AsyncIterator[Self]:
        """Connect, and close at the end; the position is the log's start until ``seek``."""
        reader = cls(bootstrap)
        try:
            await reader._start()
            yield reader
        finally:
            await reader._close()

    async def bounds(self) -> Bounds:
        """Ask the broker which offsets there are."""
        with self._answered():
            async with asyncio.timeout(ANSWER_SECONDS):
                start = await self._consumer.beginning_offsets([PARTITION])
                end = await self._consumer.end_offsets([PARTITION])
        return Bounds(start[PARTITION], end[PARTITION])

    def seek(self, offset: int) -> None:
        """Read from ``offset`` next."""
        self._consumer.seek(PARTITION, offset)

    async def read(self, wait: float) -> list[Record]:
        """Give what has come, in order, after waiting ``wait`` seconds at most.

        Raises LogGoneError when the log does not have the position.
        """
        with self._answered():
            found = await self._consumer.getmany(PARTITION, timeout_ms=round(wait * 1000))
        return [Record(record.offset, record.key or b"", record.value or b"") for record in found.get(PARTITION, ())]

    async def position(self) -> int:
        """Give the next offset to read: past everything read, and past what no reader is shown (control records)."""
        position: int = await self._consumer.position(PARTITION)
        return position

    async def _start(self) -> None:
        with self._answered():
            await self._consumer.start()
            if DAILY not in await self._consumer.topics():
                raise Retry(f"The topic {DAILY} does not exist at {self._bootstrap}; make the topics with `gris up`.")
            self._consumer.assign([PARTITION])

    async def _close(self) -> None:
        """Stop the consumer whole.

        Its own way out cancels its requests and awaits them: one that has not begun, or waits to be repeated, ends the
        way out by CancelledError before connections are closed, and who follows the log takes himself to be cancelled.
        """
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        try:
            await self._consumer.stop()
        except asyncio.CancelledError:
            if task and task.cancelling() > before:
                raise
            await self._consumer._client.close()  # noqa: SLF001 - what is left of its way out

    @contextlib.contextmanager
    def _answered(self) -> Iterator[None]:
        try:
            yield
        except errors.OffsetOutOfRangeError as error:
            raise LogGoneError(f"{DAILY} no longer has the offset that comes next.") from error
        except (errors.KafkaError, TimeoutError, OSError) as error:
            raise Retry(
                f"Kafka at {self._bootstrap} does not answer ({type(error).__name__}); see GRIS_KAFKA."
            ) from error
