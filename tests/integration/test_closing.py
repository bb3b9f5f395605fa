"""A consumer that is closed while requests of its own wait closes its connections, and nobody takes it for a cancel."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer

from deploy import topics
from schemas.catalogue import load
from schemas.topics import DAILY, specs
from sinks.feed.lines import LineReader
from streams.closing import close

SECONDS = 60.0
Opened = Callable[[str], AbstractAsyncContextManager[AIOKafkaConsumer]]


@asynccontextmanager
async def of_the_feed(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    async with LineReader.opened(bootstrap) as reader:
        yield reader._consumer


@asynccontextmanager
async def of_a_worker(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    try:
        await consumer.start()
        await consumer.topics()  # it connects when it is asked
        yield consumer
    finally:
        await close(consumer)


@pytest.mark.parametrize("opened", [of_the_feed, of_a_worker])
def test_a_request_that_waits_to_be_repeated_leaves_no_connection_open(kafka_bootstrap: str, opened: Opened) -> None:
    topics.ensure(kafka_bootstrap, [spec for spec in specs(load()) if spec.name == DAILY])

    async def scene() -> None:
        async with asyncio.timeout(SECONDS), opened(kafka_bootstrap) as consumer:
            consumer._fetcher._pending_tasks.add(asyncio.ensure_future(asyncio.sleep(SECONDS)))
            connections = list(consumer._client._conns.values())
            assert any(connection.connected() for connection in connections)
        assert not any(connection.connected() for connection in connections)

    asyncio.run(scene())


@pytest.mark.parametrize("opened", [of_the_feed, of_a_worker])
def test_whoever_is_cancelled_himself_is_cancelled(kafka_bootstrap: str, opened: Opened) -> None:
    topics.ensure(kafka_bootstrap, [spec for spec in specs(load()) if spec.name == DAILY])

    async def scene() -> None:
        reading = asyncio.Event()

        async def read() -> None:
            async with opened(kafka_bootstrap):
                reading.set()
                await asyncio.sleep(SECONDS)

        task = asyncio.ensure_future(read())
        async with asyncio.timeout(SECONDS):
            await reading.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(scene())
