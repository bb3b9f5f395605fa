"""The lines of which gris.daily holds anything, read from its keys alone."""

import datetime as dt

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import Retry
from schemas.topics import DAILY
from sinks.clickhouse.tail import LineKey
from streams.closing import close
from streams.flags import EPOCH

PLACE = TopicPartition(DAILY, 0)
ANSWER_MS = 10_000


async def announced(bootstrap: str) -> dict[bytes, LineKey]:
    """Read the topic from its start to its end as it is now: each key once, with what it names. Raises Retry."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, isolation_level="read_committed")
    keys: set[bytes] = set()
    try:
        await consumer.start()
        consumer.assign([PLACE])
        await consumer.seek_to_beginning(PLACE)
        end = (await consumer.end_offsets([PLACE]))[PLACE]
        read = -1
        while (position := await consumer.position(PLACE)) < end:
            if position == read:  # the consumer itself tries again for ever, and says nothing
                raise Retry(f"Kafka at {bootstrap} gave nothing of {DAILY} for {ANSWER_MS // 1000} s; is it running?")
            read = position
            for records in (await consumer.getmany(timeout_ms=ANSWER_MS)).values():
                keys.update(record.key for record in records if record.key is not None)
    except (KafkaError, TimeoutError) as error:
        raise Retry(f"Kafka at {bootstrap} did not give {DAILY} ({type(error).__name__}).") from error
    finally:
        await close(consumer)
    return {key: _named(key) for key in keys}


def _named(key: bytes) -> LineKey:
    bucket, indicator, breakdown = key.decode().split("|")
    return (dt.date.fromisoformat(bucket) - EPOCH).days, indicator, breakdown
