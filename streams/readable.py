"""Where what can be read of a log ends: before markers, what was aborted, and transactions that are not decided yet."""

import asyncio
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import Retry
from streams.closing import close
from streams.fetches import give_batches

WINDOW = 64  # offsets: behind an agency's last transaction there are one or two markers
WIDER = 8
POLL_MS = 50
ANSWER_SECONDS = 30.0

Place = tuple[str, int]
"""Topic and partition."""


async def readable_ends(bootstrap: str, read: Mapping[Place, int]) -> dict[Place, int]:
    """Tell of each log the offset behind its last record that can be read now.

    ``read`` gives the offset from which on one is looked for; where there is none, it is the answer. Batches are
    neither unpacked nor all looked at: it begins at the end. Raises Retry.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, isolation_level="read_committed", check_crcs=False
    )
    places = [TopicPartition(*place) for place in read]
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await consumer.start()
            give_batches(consumer)
            begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
            return {
                (tp.topic, tp.partition): await _behind_last(consumer, tp, max(read[tp], begins[tp]), ends[tp])
                if ends[tp] > read[tp]
                else read[tp]
                for tp in places
            }
    except (KafkaError, TimeoutError, OSError) as error:
        raise Retry(
            f"The Kafka broker at {bootstrap} did not tell what of its logs can be read ({type(error).__name__})."
        ) from error
    finally:
        await close(consumer)


async def _behind_last(consumer: AIOKafkaConsumer, tp: TopicPartition, since: int, end: int) -> int:
    """Look for the last batch that is delivered, in ever wider windows from the end back to ``since``."""
    consumer.assign([tp])
    low, width, last = end, WINDOW, since
    while last == since and low > since:
        high, low, width = low, max(since, low - width), width * WIDER
        consumer.seek(tp, low)
        while await consumer.position(tp) < high:
            for batch in (await consumer.getmany(tp, timeout_ms=POLL_MS)).get(tp, ()):
                last = max(last, batch.offset + 1)
    return last
