"""The block transport: Faust's aiokafka driver, handing an agent all that one fetch returned of a partition at once.

Faust keeps the group, rebalances, agents and lifecycle. What it must not do here is decide where reading starts or what
is done: a partition is closed until it is opened at the ledger's next offset, and offsets committed to Kafka are a hint
for lag tools. The class leans on private names of the driver, so the version is asserted.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, cast

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import (
    CorruptRecordException,
    GroupAuthorizationFailedError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.serializers import codecs
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from schemas.errors import Fatal, Retry
from streams.closing import close
from streams.fetches import RawBatch, give_batches

SUPPORTED = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0"}
for _name, _wanted in SUPPORTED.items():
    if version(_name) != _wanted:
        raise ImportError(
            f"{_name} {version(_name)} is installed, {_wanted} is needed: the block transport subclasses its driver."
            " Install deploy/requirements.txt, or port streams/blocks.py and run tests/integration/test_blocks.py."
        )

# A fetch waits for so much, or so long: a small block costs nearly what a large one does.
FETCH_BYTES, FETCH_WAIT_MS = 128 << 10, 70
LACKING = (GroupAuthorizationFailedError, TopicAuthorizationFailedError)  # a right, which no repetition brings
ROOM_SECONDS = 0.02
"""How long a fetch waits at the most while a partition's queue is full: it would not hear that there is room again."""

log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Hooks:
    """What the consumer tells the worker: partitions assigned (closed until opened), all revoked, a fault."""

    assigned: Callable[[frozenset[TP]], None]
    revoked: Callable[[], Awaitable[None]]
    fatal: Callable[[Fatal], Awaitable[None]]


@dataclasses.dataclass(frozen=True, slots=True)
class Fetched:
    """Record batches of one partition from one fetch; ``opening`` tells to which opening they belong.

    They hold the records at the offsets from ``follows`` to ``reaches`` (exclusive), and may hold earlier ones.
    """

    tp: TP
    opening: int
    batches: Sequence[RawBatch]
    follows: int
    """Where the block delivered before this one reaches, or the opening's start: a lost block breaks the chain."""
    reaches: int
    end: int
    """The partition's end as the broker last told it, or the block's own when nothing that follows can be read."""


class Blocks(codecs.Codec):
    """The codec that leaves a block as it is: we decode, so that nothing is acknowledged before it is judged."""

    def _loads(self, s: Any) -> Any:
        return s

    def _dumps(self, obj: Any) -> Any:
        return obj


class Batch(list[RawBatch]):
    """The batches of one fetch of one partition; ``goes_on`` is the position from which the next fetch reads."""

    def __init__(self, batches: Iterable[RawBatch], goes_on: int) -> None:
        super().__init__(batches)
        self.goes_on = goes_on


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread of the aiokafka consumer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fetching = asyncio.Lock()

    async def on_start(self) -> None:
        """Start aiokafka's consumer, and make it leave record batches as they are."""
        await super().on_start()
        give_batches(self._ensure_consumer())

    async def on_thread_stop(self) -> None:
        """Close aiokafka's consumer whole: whoever stops this thread would wait for a minute otherwise."""
        await super(driver.AIOKafkaConsumerThread, self).on_thread_stop()
        if self._consumer is not None:
            await close(self._consumer)

    def close(self) -> None:
        """Leave it to ``on_thread_stop``: at a rebalance while it stops, Faust would only mark it as closed."""

    @property
    def halted(self) -> bool:
        """Tell whether the group's coordination stands still until somebody takes note of an error."""
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001
        return coordinator._pending_exception is not None or coordinator._coordination_task.done()  # noqa: SLF001

    async def go_on(self) -> None:
        """Take note of that error, and join the group anew. Raises KafkaError where that cannot help."""
        coordinator = self._ensure_consumer()._coordinator  # noqa: SLF001
        try:
            coordinator.check_errors()
        except KafkaError as error:
            if isinstance(error, LACKING) or coordinator._coordination_task.done():  # noqa: SLF001
                raise
            log.warning("group_error", what=f"{type(error).__name__}: {error}", remedy="the group is joined anew")
            # As a new member, of the same name: where another has its place by now, Kafka refuses the former for ever.
            coordinator.reset_generation()

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's
        max_records: int | None = None,  # noqa: ARG002 - Faust's
    ) -> dict[TP, Batch]:
        """Fetch, one call after the other, from where that which has arrived at the consumer of blocks ends.

        aiokafka's own position is not to be trusted: a fetch goes on in this thread when nobody waits for it any more
        (a rebalance ends its waiter), or when partitions are opened anew meanwhile, and moves the position past records
        that nobody gets.
        """
        async with self._fetching:
            assignment = _assignment(consumer)
            goes_on = cast("Consumer", self.consumer).goes_on
            for tp, position in goes_on.items():
                if assignment and tp in assignment.tps and assignment.state_value(tp).position != position:
                    consumer.seek(tp, position)
            # Without a limit of records: a fetch is bounded by its bytes, and cut where batches are read.
            found = await super()._fetch_records(consumer, active_partitions, timeout)
            if assignment is None or _assignment(consumer) is not assignment:
                return {}
            fetched = {}
            for tp, expected in goes_on.items():
                position = assignment.state_value(tp).position if tp in assignment.tps else expected
                # A fetch of nothing but aborted transactions moves the position too.
                if tp in found or position != expected:
                    fetched[tp] = Batch(found.get(tp, ()), position)
            return fetched

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Faust ties this to its own transactions; an aborted record must not be delivered to us either.
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - not a parameter of Faust
        # The broker answers a connection's requests in turn: behind an idle fetch of Faust's 1.5 s all others wait.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001 - not a parameter of Faust
        consumer._fetch_min_bytes = FETCH_BYTES  # noqa: SLF001 - not a parameter of Faust
        return consumer


class Consumer(driver.Consumer):
    """A consumer of blocks whose partitions are opened from outside."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._openings: dict[TP, int] = {}
        self._delivered: dict[TP, int] = {}
        self.goes_on: dict[TP, int] = {}
        """From where the next fetch of an open partition reads; the thread looks at it before it fetches."""
        self._opened = 0
        self._fetchable = asyncio.Event()

    @property
    def hooks(self) -> Hooks:
        """What the worker wants to be told."""
        return cast("Transport", self.transport).hooks

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Leave every assigned partition closed and ask for it to be opened; Kafka's committed offsets are not read."""
        self.shut()
        return {}

    def shut(self) -> None:
        """Close every assigned partition and ask for it to be opened anew from the ledger."""
        assigned = frozenset(self.assignment())
        self._close()
        self.pause_partitions(assigned)
        self.hooks.assigned(assigned)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Close everything before another worker may open it; the group rebalances eagerly, so all are revoked."""
        self._close()
        await self.hooks.revoked()
        await super().on_partitions_revoked(revoked)

    def _close(self) -> None:
        self._openings.clear()
        self.goes_on = {}

    def reserve(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Give the openings to come their numbers, so that whoever takes the blocks can be ready for the first."""
        return {tp: number for number, tp in enumerate(tps, self._opened + 1)}

    async def open(self, start: Mapping[TP, int], openings: Mapping[TP, int]) -> None:
        """Begin to deliver partitions at the given offsets, under the numbers reserved for them. Raises Retry."""
        with _mapped_errors("to be read from a given offset"):
            await self.seek_wait(start)
        # Only now, so that what was fetched from an older position can never count as part of this opening.
        self._opened += len(openings)
        self._openings.update(openings)
        self._delivered.update(start)
        self.goes_on = self.goes_on | dict(start)
        self.resume_partitions(start)
        self._fetchable.set()

    def on_buffer_drop(self, tp: TP) -> None:
        """Hear from Faust that the queue of a partition has room again."""
        super().on_buffer_drop(tp)
        self._fetchable.set()

    async def ends(self, tps: Sequence[TP]) -> tuple[Mapping[TP, int], Mapping[TP, int]]:
        """Ask the broker for the first offsets of partitions, and for where what can be read ends. Raises Retry."""
        with _mapped_errors("for the ends of its logs"):
            begins, ends = await self.earliest_offsets(*tps), await self.highwaters(*tps)
        return begins, {tp: self._readable(tp, end) for tp, end in ends.items()}

    def _readable(self, tp: TP, end: int) -> int:
        """Give the end without the markers and aborted records there that were passed: nobody can read them."""
        return self._delivered[tp] if tp in self._openings and self.goes_on[tp] >= end else end

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109 - Faust's
        """Yield one message a partition and fetch; its value is ``Fetched``."""
        await self._go_on()
        active = self._get_active_partitions()
        if not active:
            self._fetchable.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._fetchable.wait(), timeout)
            return
        if not active.issuperset(self._openings):
            timeout = ROOM_SECONDS
        before = dict(self._openings)
        for tp, batch in (await self._next(timeout)).items():
            opening = self._openings.get(tp)
            # What began before the partition was opened may come from anywhere: it is read again.
            if opening is None or before.get(tp) != opening:
                continue
            if self.goes_on[tp] != batch.goes_on:
                self.goes_on = self.goes_on | {tp: batch.goes_on}
            if not batch:
                continue
            follows = self._delivered[tp]
            self._delivered[tp] = batch.goes_on
            stable = self._thread._ensure_consumer().last_stable_offset(tp)  # noqa: SLF001
            end = self._readable(tp, stable or batch.goes_on)
            # By it, Faust drops messages that it takes to be read already. It would drop the first of an opening when
            # one of a former opening, further on, was only taken by an agent after that one was opened.
            self._read_offset.pop(tp, None)
            yield (
                tp,
                ConsumerMessage(
                    tp.topic,
                    tp.partition,
                    follows,
                    0.0,  # records have timestamps, and nobody asks the message that holds them
                    0,
                    [],
                    None,
                    Fetched(tp, opening, batch, follows, batch.goes_on, end),  # type: ignore[arg-type]
                    None,
                    0,
                    0,
                    tp,
                    generation_id=self.app.consumer_generation_id,
                ),
            )

    async def _next(self, timeout: float) -> dict[TP, Batch]:  # noqa: ASYNC109 - Faust's
        """Fetch; nothing comes of it where what comes next is an opening, or a fault that stops the worker."""
        try:
            records, _ = await self._wait_next_records(timeout)
        except NoOffsetForPartitionError:
            pass  # told of an assigned partition before it was opened; the ledger says where it starts
        except OffsetOutOfRangeError as error:
            await self.hooks.fatal(_out_of_range(error))
        except CorruptRecordException as error:
            await self.hooks.fatal(_corrupt(error))
        except KafkaError as error:
            # One that halts the group's coordination is told to whoever waits, too; the next call sees to it.
            if not cast("ConsumerThread", self._thread).halted:
                await self.hooks.fatal(_refused(error))
        else:
            return cast("dict[TP, Batch]", records or {})
        return {}

    async def _go_on(self) -> None:
        thread = cast("ConsumerThread", self._thread)
        if thread.halted:
            try:
                await thread.call_thread(thread.go_on)
            except KafkaError as error:
                await self.hooks.fatal(_refused(error))

    async def commit_hint(self, reached: Mapping[TP, tuple[int, int]]) -> None:
        """Commit offsets to Kafka, for lag tools, where the opening given with each is the latest. Raises Retry."""
        held = {
            TopicPartition(*tp): OffsetAndMetadata(offset, "")
            for tp, (offset, opening) in reached.items()
            if self._openings.get(tp) == opening
        }
        if held:
            thread = self._thread
            with _mapped_errors("to note how far the worker is"):
                # Not by Faust's own commit, which crashes the app when it fails.
                await thread.call_thread(thread._ensure_consumer().commit, held)  # noqa: SLF001

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Keep Faust's livelock detector quiet: it watches acknowledgements, which are not used here."""


class Transport(driver.Transport):
    """Faust's aiokafka transport with block consumers."""

    Consumer = Consumer
    hooks: Hooks


def _assignment(consumer: AIOKafkaConsumer) -> Any:
    subscription = consumer._subscription.subscription  # noqa: SLF001
    return subscription and subscription.assignment


@contextlib.contextmanager
def _mapped_errors(asked: str) -> Iterator[None]:
    try:
        yield
    except (KafkaError, TimeoutError) as error:
        raise Retry(f"Kafka did not answer when asked {asked} ({type(error).__name__}).") from error


def _out_of_range(error: OffsetOutOfRangeError) -> Fatal:
    return Fatal(
        f"The log of a partition does not hold the offset to be read next ({error}): it was truncated, expired or made"
        " again while the worker ran. Nothing is reset by itself: restore the topic, or rebuild into fresh tables."
    )


def _refused(error: KafkaError) -> Fatal:
    remedy = (
        "Give its user the rights to read the event topics and the consumer group, and start it again."
        if isinstance(error, LACKING)
        else "Start it again; if it stops here once more, please report it."
    )
    return Fatal(f"Kafka does not let this worker read on ({type(error).__name__}: {error}). {remedy}")


def _corrupt(error: CorruptRecordException) -> Fatal:
    return Fatal(
        f"A record batch is not what was written ({error.args[0] if error.args else 'no more is known'}). Nothing of it"
        " was taken. Start the worker again; if it stops here once more, the broker's disk is at fault: let the"
        " partition be led by another replica, or restore it."
    )
