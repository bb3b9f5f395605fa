"""The block transport on a real broker: every record is delivered once an opening, whatever a fetch was doing then."""

import asyncio
import contextlib
import dataclasses
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

import faust
import pytest
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError
from aiokafka.protocol.group import SyncGroupRequest
from confluent_kafka import Producer
from faust.types import TP

from deploy import topics as broker
from deploy.local.kafka import Broker
from schemas.errors import Fatal
from schemas.topics import TopicSpec
from streams.app import App
from streams.blocks import Blocks, Consumer, ConsumerThread, Fetched, Hooks, Transport
from streams.record_batches import read
from tests.support.kafka import running_kafka

WITHIN = 30.0
RECORDS = 50


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_kafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@dataclasses.dataclass
class Reading:
    """A consumer of partitions that keeps every block it is given; one of them is read, once the test opens it."""

    app: faust.App
    tp: TP
    blocks: list[Fetched] = dataclasses.field(default_factory=list)
    assigned: int = 0
    """How often it was assigned."""
    fatals: list[Fatal] = dataclasses.field(default_factory=list)
    """Why it stopped."""

    @property
    def consumer(self) -> Consumer:
        return cast("Consumer", self.app.consumer)

    async def open(self, offset: int) -> int:
        """Open the partition at ``offset``; answers the number of the opening."""
        openings = self.consumer.reserve([self.tp])
        await self.consumer.open({self.tp: offset}, openings)
        return openings[self.tp]

    def fetching(self) -> bool:
        """Tell whether a fetch is under way in the consumer's thread."""
        return cast("ConsumerThread", self.consumer._thread)._fetching.locked()

    def offsets(self, opening: int) -> list[int]:
        """Give the offsets delivered in an opening, in order."""
        pieces = (read(self.tp.topic, b.batches, b.follows, RECORDS) for b in self.blocks if b.opening == opening)
        return [offset for records in itertools.chain(*pieces) for offset in records.offsets.tolist()]


async def until(ready: Callable[[], bool], what: str) -> None:
    deadline = asyncio.get_running_loop().time() + WITHIN
    while not ready():
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def reading(kafka: Broker, topic: str, partitions: int = 1) -> AsyncIterator[Reading]:
    """Run a Faust app that reads a topic, all of it closed until it is opened; two of one topic share their name."""
    broker.ensure(kafka.bootstrap, [TopicSpec(topic, partitions, {})])
    app = App(
        f"group-{topic}",
        broker=f"kafka://{kafka.bootstrap}",
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        consumer_auto_offset_reset="none",
        consumer_group_instance_id="one",
    )
    found = Reading(app, TP(topic, 0))

    def assigned(tps: frozenset[TP]) -> None:
        found.assigned += bool(tps)

    async def revoked() -> None:
        """Nothing is held."""

    async def fail(fatal: Fatal) -> None:
        """Do nothing more, as the worker's own does."""
        found.fatals.append(fatal)
        await asyncio.Event().wait()

    app.transport = Transport(app.conf.broker_consumer, app, app.loop)
    app.transport.hooks = Hooks(assigned, revoked, fail)

    @app.agent(app.topic(topic, key_type=bytes, value_type=None, value_serializer=Blocks(), acks=False))
    async def keep(blocks: Any) -> None:
        async for block in blocks:
            found.blocks.append(block)

    await app.start()
    try:
        await until(lambda: found.assigned > 0, "an assignment")
        yield found
        assert found.fatals == []
    finally:
        await app.stop()


def publish(kafka: Broker, topic: str, count: int = RECORDS) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "acks": "all"})
    for number in range(count):
        producer.produce(topic, f"{number}".encode(), partition=0)
    assert producer.flush(WITHIN) == 0


def test_an_opening_while_a_fetch_waits_for_records_is_given_every_record(kafka: Broker) -> None:
    async def scene() -> None:
        async with reading(kafka, "overtaken") as found:
            publish(kafka, "overtaken")
            first = await found.open(0)
            await until(lambda: len(found.offsets(first)) == RECORDS, "the first opening")
            for _ in range(5):
                await until(found.fetching, "the fetch that waits for what comes next to be under way")
                found.consumer.shut()
                opening = await found.open(0)
                await until(lambda opening=opening: len(found.offsets(opening)) >= RECORDS, "the records once more")  # type: ignore[misc]
                assert found.offsets(opening) == list(range(RECORDS))

    asyncio.run(scene())


def test_a_fetch_that_nobody_waits_for_any_more_takes_no_record_away(kafka: Broker) -> None:
    async def scene() -> None:
        async with reading(kafka, "abandoned") as found:
            opening = await found.open(0)
            for round_ in range(1, 4):
                await until(found.fetching, "a fetch to be under way")
                # As at a rebalance: whoever waits for the fetch is ended, the fetch itself goes on in its thread.
                await found.app._stop_fetcher()
                await found.app._fetcher.maybe_start()
                publish(kafka, "abandoned")
                await until(lambda round_=round_: len(found.offsets(opening)) >= round_ * RECORDS, "all records")  # type: ignore[misc]
                assert found.offsets(opening) == list(range(round_ * RECORDS))

    asyncio.run(scene())


@pytest.mark.parametrize("partitions", [1, 2])
def test_a_partition_whose_queue_has_room_again_is_fetched_whatever_the_fetch_before_waits_for(
    kafka: Broker, partitions: int
) -> None:
    async def scene() -> None:
        async with reading(kafka, f"roomy-{partitions}", partitions) as found:
            await found.open(0)
            others = [TP(found.tp.topic, number) for number in range(1, partitions)]
            await found.consumer.open(dict.fromkeys(others, 0), found.consumer.reserve(others))
            await found.app._stop_fetcher()
            publish(kafka, found.tp.topic)
            found.consumer.on_buffer_full(found.tp)
            waits = asyncio.ensure_future(fetch(found.consumer))
            await asyncio.sleep(0)  # its first step: by then it has chosen what to fetch
            found.consumer.on_buffer_drop(found.tp)
            fetched = await asyncio.wait_for(waits, WITHIN)
            fetched = fetched or await asyncio.wait_for(fetch(found.consumer), WITHIN)
            assert [tp for tp, _ in fetched] == [found.tp]

    asyncio.run(scene())


@pytest.mark.parametrize("opened", [True, False])
def test_an_error_that_halts_the_group_s_coordination_is_followed_by_joining_anew(kafka: Broker, opened: bool) -> None:
    topic = f"halted-{opened}"

    async def scene() -> None:
        async with reading(kafka, topic) as found:
            if opened:
                await found.open(0)
            publish(kafka, topic)
            before = found.assigned
            await fail_heartbeats(found.consumer, KafkaError("a code that nobody knows"))
            await until(lambda: found.assigned > before, "another assignment")
            opening = await found.open(0)
            await until(lambda: len(found.offsets(opening)) == RECORDS, "the records")

    asyncio.run(scene())


def test_a_place_that_is_taken_while_it_is_given_is_taken_back(kafka: Broker) -> None:
    """Kafka then answers with a code that aiokafka does not know, for as long as the same member asks."""

    async def scene() -> None:
        async with reading(kafka, "taken") as first:
            given, taken = asyncio.Event(), asyncio.Event()
            await hold_assignment(first.consumer, given, taken)
            await asyncio.wait_for(given.wait(), WITHIN)
            before = first.assigned
            async with reading(kafka, "taken") as second:
                taken.set()
                await until(lambda: first.assigned > before, "the first to be assigned it again")
                await until(lambda: second.assigned > 1, "the second to take it back")

    asyncio.run(scene())


def test_a_right_that_is_lacking_is_told_with_the_remedy(kafka: Broker) -> None:
    async def scene() -> None:
        async with reading(kafka, "forbidden") as found:
            await found.open(0)
            await fail_heartbeats(found.consumer, GroupAuthorizationFailedError("gris"))
            await until(lambda: bool(found.fatals), "a fault")
            fatal = found.fatals.pop()
            assert "GroupAuthorizationFailedError" in str(fatal)
            assert "rights to read" in str(fatal)

    asyncio.run(scene())


def test_a_request_that_is_cancelled_before_it_has_begun_leaves_no_connection_open(kafka: Broker) -> None:
    async def scene() -> None:
        async with reading(kafka, "left") as found:
            await found.open(0)
            thread = cast("ConsumerThread", found.consumer._thread)
            consumer = thread._ensure_consumer()

            async def request() -> None:
                consumer._fetcher._pending_tasks.add(asyncio.ensure_future(asyncio.sleep(WITHIN)))

            await thread.call_thread(request)
            connections = list(consumer._client._conns.values())
            assert any(connection.connected() for connection in connections)
        assert not any(connection.connected() for connection in connections)
        assert thread._shutdown.is_set(), "who stops it waits for this, for a minute"

    asyncio.run(scene())


def test_a_rebalance_while_it_stops_leaves_no_connection_open(kafka: Broker) -> None:
    async def scene() -> None:
        async with reading(kafka, "stopping") as found:
            await found.open(0)
            consumer = cast("ConsumerThread", found.consumer._thread)._ensure_consumer()
            connections = list(consumer._client._conns.values())
            assert any(connection.connected() for connection in connections)
            found.app._on_rebalance_when_stopped()
        assert not any(connection.connected() for connection in connections)

    asyncio.run(scene())


async def hold_assignment(consumer: Consumer, given: asyncio.Event, taken: asyncio.Event) -> None:
    """Let the consumer join anew, tell it by ``given``, and have it ask for its assignment once it is ``taken``."""
    thread = cast("ConsumerThread", consumer._thread)
    coordinator = thread._ensure_consumer()._coordinator
    send, loop = coordinator._send_req, asyncio.get_running_loop()

    async def sent(request: Any) -> Any:
        if isinstance(request, SyncGroupRequest):
            coordinator._send_req = send
            loop.call_soon_threadsafe(given.set)
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(taken.wait(), loop))
        return await send(request)

    async def rejoin() -> None:
        coordinator._send_req = sent
        coordinator.reset_generation()

    await thread.call_thread(rejoin)


async def fail_heartbeats(consumer: Consumer, error: KafkaError) -> None:
    """Let the consumer's heartbeats end with an error, as when the broker answers with it."""
    thread = cast("ConsumerThread", consumer._thread)
    coordinator = thread._ensure_consumer()._coordinator

    async def failing() -> None:
        raise error

    async def fail() -> None:
        coordinator._heartbeat_task.cancel()
        coordinator._heartbeat_task = asyncio.ensure_future(failing())
        coordinator.request_rejoin()  # it looks at its tasks when it wakes

    await thread.call_thread(fail)


async def fetch(consumer: Consumer) -> list[tuple[TP, Any]]:
    return [message async for message in consumer.getmany(timeout=10 * WITHIN)]
