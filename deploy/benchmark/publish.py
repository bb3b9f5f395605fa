"""Publish a workload as fast as a client can: by librdkafka where it is installed, else by our own publisher."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from deploy import topics
from deploy.benchmark.workload import CHUNK, TOPICS, Workload
from producers.publisher import Message as Record
from producers.publisher import Publisher
from producers.settings import PublisherSettings
from schemas.errors import Fatal, Retry

LIBRDKAFKA = "confluent_kafka"
ANSWER_SECONDS = 120


def publish(workload: Workload, bootstrap: str, tell: Callable[[int], None]) -> str:
    """Publish all of it and return when the broker has it; ``tell`` hears how many were handed over so far.

    Answers the name of the client that did it. Raises Retry or Fatal when the broker does not hold every record.
    """
    by_librdkafka = has_librdkafka()
    _by_librdkafka(workload, bootstrap, tell) if by_librdkafka else _by_publisher(workload, bootstrap, tell)
    held = dict.fromkeys(TOPICS, 0)
    for (topic, _), end in topics.ends(bootstrap, TOPICS).items():
        held[topic] += end
    if list(held.values()) != workload.expected.records:
        raise Fatal(
            f"The broker holds {sum(held.values()):,} records of {workload.events:,}: its log is not ours alone."
        )
    return LIBRDKAFKA if by_librdkafka else "kafka-python"


def has_librdkafka() -> bool:
    """Tell whether it is installed."""
    return find_spec(LIBRDKAFKA) is not None


def librdkafka(bootstrap: str, linger_ms: int, **options: object) -> Any:
    """Make a producer of it, as an agency's: every record once and in order, on the partition of its key."""
    from confluent_kafka import Producer  # noqa: PLC0415 - not always installed

    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "log_level": 3,  # errors: a broker that has just started makes it wait, which is no news
            "compression.type": "lz4",  # as our own publisher does
            "linger.ms": linger_ms,
            **options,
        }
    )


def _by_librdkafka(workload: Workload, bootstrap: str, tell: Callable[[int], None]) -> None:
    room = {"queue.buffering.max.messages": 4 * CHUNK, "queue.buffering.max.kbytes": 1_000_000}
    producer = librdkafka(bootstrap, 50, **{"batch.size": 1_000_000}, **room)
    done = 0
    for chunk in workload.chunks():
        while len(producer) > CHUNK:
            producer.poll(0.05)
        for topic, messages in chunk.items():
            batch = [{"key": key, "value": value} for key, value in messages]
            if producer.produce_batch(topic, batch) != len(batch):
                raise Fatal(f"The client did not take every record for {topic}.")
        done += sum(map(len, chunk.values()))
        tell(done)
    if left := producer.flush(ANSWER_SECONDS):
        raise Retry(f"The broker at {bootstrap} had not taken {left:,} records after {ANSWER_SECONDS} s.")


def _by_publisher(workload: Workload, bootstrap: str, tell: Callable[[int], None]) -> None:
    done = 0
    with Publisher(PublisherSettings(kafka=bootstrap, schema_id=1), deadline=ANSWER_SECONDS) as publisher:
        for chunk in workload.chunks():
            records = [
                Record(topic, key, value, done)  # type: ignore[arg-type]  # a tombstone is what we want to send
                for topic, messages in chunk.items()
                for key, value in messages
            ]
            receipt = publisher.publish(records)
            if receipt.failures:
                raise receipt.failures[0].error
            done += len(records)
            tell(done)
