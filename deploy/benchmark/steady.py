"""Publish at a steady rate, like agencies elsewhere would. ``python -m deploy.benchmark.steady JOB ANSWER``, a process.

By librdkafka where it is installed, which takes less of the machine than our own publisher.

Every event is known by its place in the log; the answer says when each was handed to the publisher.
"""

import dataclasses
import functools
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from deploy.benchmark.catalogue import AGENCIES
from deploy.benchmark.publish import has_librdkafka, librdkafka
from deploy.benchmark.workload import TOPICS, Workload
from producers.publisher import Message, Publisher
from producers.settings import PublisherSettings
from schemas.errors import Retry

ANSWER_SECONDS = 120
LINGER_MS = 5  # as our own publisher
CLUMP_SECONDS = 0.002

Placed = Callable[[object, int, int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """Of a stream, draw ``phases`` (counts of records) and publish the last, of ``agencies`` only, at ``rate``/s.

    ``events`` sizes the stream, as ``seed`` does.
    """

    kafka: str
    events: int
    seed: int
    phases: tuple[int, ...]
    agencies: tuple[int, ...]
    rate: float
    start: float  # seconds since 1970


def work(job: Job, answers: Path) -> None:
    """Publish, and write when and where each event went: arrays by event."""
    workload = Workload(job.events, seed=job.seed)
    for count in job.phases[:-1]:
        workload.draw(count)
    drawn, messages = workload.draw(job.phases[-1])
    mine = np.flatnonzero(np.isin(drawn.agency, job.agencies)).tolist()
    sent = np.zeros(len(mine))
    offset = np.full(len(mine), -1, np.int64)

    def paced() -> Iterator[Message]:
        for row, at in enumerate(mine):
            # In clumps of 2 ms: to wake for each event would take a third of a core.
            if (early := job.start + row / job.rate - time.time()) > CLUMP_SECONDS:
                time.sleep(early)
            sent[row] = time.time()
            key, value = messages[at]
            yield Message(TOPICS[drawn.agency[at]], key, value, row)  # type: ignore[arg-type]  # tombstones too

    def placed(row: object, _partition: int, at: int) -> None:
        offset[row] = at  # type: ignore[call-overload]

    (_by_librdkafka if has_librdkafka() else _by_publisher)(job.kafka, paced(), placed)
    new = (drawn.mistake[mine] == 0) & (drawn.revision[mine] == 0)
    cpu = np.array([time.process_time()])
    staged = answers.with_suffix(".new")
    with staged.open("wb") as file:
        np.savez(
            file,
            sent=sent,
            offset=offset,
            agency=drawn.agency[mine],
            serial=drawn.serial[mine],
            day=drawn.hour[mine] // 24,
            new=new,
            cpu=cpu,
        )
    staged.replace(answers)


def _by_librdkafka(kafka: str, messages: Iterator[Message], placed: Placed) -> None:
    failures = []

    def settled(row: object, error: object, confirmed: Any) -> None:
        if error is not None:
            failures.append(error)
        else:
            placed(row, confirmed.partition(), confirmed.offset())

    producer = librdkafka(kafka, LINGER_MS)
    # Nobody starts to publish by the second: whoever sends a steady stream has been connected for long.
    for topic in TOPICS:
        producer.list_topics(topic, ANSWER_SECONDS)
    for message in messages:
        producer.produce(
            message.topic, key=message.key, value=message.value, on_delivery=functools.partial(settled, message.row)
        )
        producer.poll(0)
    left = producer.flush(ANSWER_SECONDS)
    if left or failures:
        raise Retry(f"The broker at {kafka} did not take {left + len(failures):,} records.")


def _by_publisher(kafka: str, messages: Iterator[Message], placed: Placed) -> None:
    with Publisher(PublisherSettings(kafka=kafka, schema_id=1), deadline=ANSWER_SECONDS) as publisher:
        for topic in TOPICS:
            publisher.partitions(topic)
        receipt = publisher.publish(messages, placed=placed)
    if receipt.failures:
        raise receipt.failures[0].error


def halves(publishers: int) -> list[tuple[int, ...]]:
    """Share the agencies among publishers: the order in a topic is one publisher's."""
    return [tuple(range(first, len(AGENCIES), publishers)) for first in range(publishers)]


if __name__ == "__main__":
    told = json.loads(Path(sys.argv[1]).read_text())
    work(Job(**told | {"phases": tuple(told["phases"]), "agencies": tuple(told["agencies"])}), Path(sys.argv[2]))
