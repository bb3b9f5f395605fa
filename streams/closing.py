"""Closing aiokafka's consumers whole."""

import asyncio

from aiokafka import AIOKafkaConsumer


async def close(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer.

    Its own way out cancels its requests and awaits them: one that has not begun, or waits to be repeated, ends the way
    out by CancelledError before connections are closed, and whoever stops it takes himself to be cancelled.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        if task and task.cancelling() > before:
            raise
        await consumer._client.close()  # noqa: SLF001 - what is left of its way out
