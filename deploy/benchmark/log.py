"""Read a topic of one partition from an offset to its end, as any client would: committed records only."""

import time
from collections.abc import Iterator

from schemas.errors import Fatal, Retry

AT_ONCE = 10_000
PAUSE = 0.3  # seconds: a call that is not filled returns after so long
PATIENCE = 30.0  # seconds without a record or the end


def read(bootstrap: str, topic: str, since: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value of every record. Raises Retry when the broker does not answer."""
    try:
        from confluent_kafka import Consumer, KafkaError, TopicPartition  # noqa: PLC0415 - not always installed
    except ImportError as error:
        raise Fatal("confluent-kafka is missing: pip install confluent-kafka, or leave out what needs it.") from error

    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "gris-bench-reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "log_level": 3,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, since)])
        heard = time.monotonic()
        while True:
            records = consumer.consume(AT_ONCE, PAUSE)
            heard = time.monotonic() if records else heard
            if time.monotonic() - heard > PATIENCE:
                raise Retry(f"The broker at {bootstrap} does not say where {topic} ends.")
            for record in records:
                failure = record.error()
                if failure is None:
                    yield record.key() or b"", record.value() or b""
                elif failure.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - so it is called
                    return
                else:
                    raise Retry(f"{topic} cannot be read: {failure.str()}.")
    finally:
        consumer.close()
