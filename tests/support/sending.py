"""Sending records as an agency's own client does, and learning where each came to lie."""

import dataclasses
from collections.abc import Sequence

from confluent_kafka import KafkaError, Message, Producer

from tests.support.wire import Event, frame

SEND_SECONDS = 30


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One record to send; the client's partitioner chooses by the key where ``partition`` is None."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None


def of_event(said: Event) -> Record:
    """Address a good event to its agency's topic."""
    code = str(said["indicator"])
    return Record(f"gris.events.{code[:3].lower()}", code.encode(), frame(said))


def send(bootstrap: str, records: Sequence[Record], *, partitioner: str = "murmur2_random") -> list[tuple[int, int]]:
    """Send records in order; answers partition and offset of each, acknowledged."""
    places: list[tuple[int, int] | None] = [None] * len(records)

    def delivered(at: int) -> object:
        def note(error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            places[at] = (partition, offset)

        return note

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": partitioner,
            "enable.idempotence": True,
            "message.max.bytes": 16_000_000,
            "linger.ms": 1000 * SEND_SECONDS,  # one batch, however long this takes between two: flush waits for nothing
        }
    )
    producer.list_topics(timeout=SEND_SECONDS)  # else it asks for its id before it is connected, and again in 0.5 s
    for at, record in enumerate(records):
        forced = {} if record.partition is None else {"partition": record.partition}
        producer.produce(record.topic, record.value, record.key, on_delivery=delivered(at), **forced)  # type: ignore[arg-type]
        producer.poll(0)
    assert producer.flush(SEND_SECONDS) == 0, "the broker did not take every record"
    return [place for place in places if place is not None]
