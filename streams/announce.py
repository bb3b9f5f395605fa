"""Messages to gris.rejected and gris.daily: transactions of one partition, fenced by the partition's owner.

The transactional id is the event partition's place. Whoever opens a partition fences it first, so that a worker that
wakes up after its partitions moved (a zombie) can add no older line behind a newer one.
"""

import asyncio
import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation, KafkaError, MessageSizeTooLargeError, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.types import TP

from schemas.errors import Fatal, GrisError, Retry
from schemas.topics import DAILY, REJECTED
from streams.report import Encoding, Line
from streams.together import all_of

MAX_REQUEST = 24 << 20
MAX_MESSAGE = MAX_REQUEST - 1024  # the batch around it counts
# How long a worker that dies inside a transaction can hold back readers of gris.daily.
TRANSACTION_MS = 10_000
BATCH_BYTES = 1 << 20
# A transaction of more batches might not be through before the broker gives it up.
BATCHES = 8
# Of a small flush both topics, so that the broker hears of both in one request and gets both in another.
AT_ONCE = 2


class Fenced(GrisError):
    """Another worker opened the partition: what this one holds of it is void."""


@dataclasses.dataclass(frozen=True, slots=True)
class Messages:
    """What one flush of one partition says; all of it can be gone through again."""

    rejects: Sequence[Line]
    lines: Sequence[Line] | Encoding


class Announcing(Protocol):
    """What a worker asks of whoever announces."""

    async def fence(self, tps: Iterable[TP]) -> None:
        """Become the only one who may announce these partitions, and no others. Raises Retry."""

    def release(self) -> None:
        """Give up what was ours."""

    async def send(self, messages: Mapping[TP, Messages]) -> None:
        """Publish, and wait until it is safe. Raises Retry, Fenced, Fatal."""

    async def close(self) -> None:
        """Let go of all connections."""


class Silence:
    """Announces nothing, and so fences nobody: for a rebuild beside the worker whose tables are in use."""

    async def fence(self, tps: Iterable[TP]) -> None:
        """Leave the partitions to whoever announces them."""

    def release(self) -> None:
        """Do nothing."""

    async def send(self, messages: Mapping[TP, Messages]) -> None:
        """Say nothing."""

    async def close(self) -> None:
        """Do nothing."""


class Announcer:
    """A transactional producer for each open partition, made anew after a failure."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._producers: dict[TP, AIOKafkaProducer] = {}
        self._ours: frozenset[TP] = frozenset()

    async def fence(self, tps: Iterable[TP]) -> None:
        """Become the only one who may announce these partitions, and no others. Raises Retry."""
        await self.close()
        self._ours = frozenset(tps)
        await all_of(self._producer(tp) for tp in self._ours)

    def release(self) -> None:
        """Make no producer anew for what was ours: it would fence the worker that has it now."""
        self._ours = frozenset()

    async def send(self, messages: Mapping[TP, Messages]) -> None:
        """Publish in order and wait until all in-sync replicas have it.

        Raises Retry when the broker does not answer (sending again repeats equal messages), Fenced when another worker
        took over, Fatal when a message does not fit the topic.
        """
        await all_of(self._send(tp, said) for tp, said in messages.items() if said.rejects or said.lines)

    async def _send(self, tp: TP, said: Messages) -> None:
        pending: list[asyncio.Future[Any]] = []
        try:
            producer = await self._producer(tp)
            packing = await asyncio.to_thread(_Packing, producer, said)
            while not packing.done:
                async with producer.transaction():
                    for _ in range(BATCHES // AT_ONCE):
                        for topic, batch in await asyncio.to_thread(packing.some, AT_ONCE):
                            pending.append(await producer.send_batch(batch, topic, partition=0))
                    await asyncio.gather(*pending)
                pending.clear()
        except MessageSizeTooLargeError as error:
            raise Fatal(
                f"A message does not fit: set max.message.bytes of {REJECTED} and {DAILY} to {MAX_REQUEST} or more."
            ) from error
        except (KafkaError, IllegalOperation, AssertionError) as error:
            cause = self._cause(tp, error)
            await self._drop(tp)
            if isinstance(cause, ProducerFenced):
                raise Fenced(f"Another worker announces partition {tp.partition} of {tp.topic} now.") from cause
            if isinstance(cause, KafkaError):
                raise self._retry(cause) from cause
            raise
        finally:
            for acknowledgement in pending:
                acknowledgement.add_done_callback(_noticed)  # asyncio complains of failures that nobody looked at

    async def _producer(self, tp: TP) -> AIOKafkaProducer:
        producer = self._producers.get(tp)
        if producer is None:
            if tp not in self._ours:
                raise Fenced(f"Partition {tp.partition} of {tp.topic} was revoked.")
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                client_id=f"{self._client_id}-{tp.topic}-{tp.partition}",
                transactional_id=f"gris-{tp.topic}-{tp.partition}",
                transaction_timeout_ms=TRANSACTION_MS,
                acks="all",
                max_request_size=MAX_REQUEST,
                max_batch_size=BATCH_BYTES,
            )
            self._producers[tp] = producer
            try:
                await producer.start()
                # An empty transaction: it waits for the producer id, whose new epoch is what fences.
                await producer.begin_transaction()
                await producer.commit_transaction()
            except KafkaError as error:
                await self._drop(tp)
                raise self._retry(error) from error
        return producer

    def _cause(self, tp: TP, error: Exception) -> BaseException:
        """Tell why a transaction failed.

        When the broker ends it between two calls of ours, aiokafka only says, or asserts, that there is none; what the
        broker said is kept with the transaction.
        """
        producer = self._producers.get(tp)
        transaction = producer and producer._txn_manager.wait_for_transaction_end()  # noqa: SLF001 - not told otherwise
        ended = transaction.exception() if transaction and transaction.done() and not transaction.cancelled() else None
        return error if isinstance(error, KafkaError) or ended is None else ended

    async def _drop(self, tp: TP) -> None:
        producer = self._producers.pop(tp, None)
        if producer is None:
            return
        try:
            await producer.stop()
        except KafkaError:
            # A producer that failed may fail again while it closes; the next one starts fresh.
            return

    async def close(self) -> None:
        """Let go of all connections; what was not acknowledged is sent again by whoever waits for it."""
        await asyncio.gather(*(self._drop(tp) for tp in list(self._producers)))

    def _retry(self, error: KafkaError) -> Retry:
        return Retry(f"Kafka at {self._bootstrap} does not take messages ({type(error).__name__}).")


class _Packing:
    """Puts messages into batches, one after the other: what is encoded only when it is asked for is never all there."""

    def __init__(self, producer: AIOKafkaProducer, said: Messages) -> None:
        self._producer = producer
        self._left = itertools.chain(
            ((REJECTED, line) for line in said.rejects), ((DAILY, line) for line in said.lines)
        )
        self._next = next(self._left, None)

    @property
    def done(self) -> bool:
        """Whether every message is in a batch."""
        return self._next is None

    def some(self, most: int) -> list[tuple[str, BatchBuilder]]:
        """Fill the next batches, ``most`` at most."""
        filled: list[tuple[str, BatchBuilder]] = []
        while self._next is not None and len(filled) < most:
            filled.append(self._fill(self._next[0]))
        return filled

    def _fill(self, topic: str) -> tuple[str, BatchBuilder]:
        batch = self._producer.create_batch()
        while self._next is not None and self._next[0] == topic:
            line = self._next[1]
            if len(line.key) + len(line.value) > MAX_MESSAGE:
                raise MessageSizeTooLargeError
            if batch.append(timestamp=None, key=line.key, value=line.value) is None:
                break
            self._next = next(self._left, None)
        batch.close()
        return topic, batch


def _noticed(acknowledgement: "asyncio.Future[Any]") -> None:
    if not acknowledgement.cancelled():
        acknowledgement.exception()
