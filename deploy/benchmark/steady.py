"""Publish at a steady rate, like agencies elsewhere would. ``python -m deploy.benchmark.steady JOB ANSWER``, a process.

By librdkafka where it is installed, which takes less of the machine than our own publisher.

Every event is known by its place in the log; the answer says when each was handed to the publisher.
"""

import collections
import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deploy.benchmark.catalogue import AGENCIES
from deploy.benchmark.publish import has_librdkafka, librdkafka
from deploy.benchmark.workload import TOPICS, Workload
from producers.publisher import Message, Publisher
from producers.settings import PublisherSettings
from schemas.errors import Retry

ANSWER_SECONDS = 120
LINGER_MS = 5  # as our own publisher
CLUMP_SECONDS = 0.002

Sent = tuple[str, bytes | None, bytes | None]
"""Topic, key and value."""


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
    before = np.array(workload.expected.records)
    drawn, messages = workload.draw(job.phases[-1])
    mine = np.flatnonzero(np.isin(drawn.agency, job.agencies))
    agency = drawn.agency[mine]
    sent = np.zeros(len(mine))
    records = [(TOPICS[number], *messages[at]) for number, at in zip(agency.tolist(), mine.tolist(), strict=True)]
    spent = time.process_time()
    (_by_librdkafka if has_librdkafka() else _by_publisher)(job.kafka, _clumps(job, records, sent))
    # Nobody else publishes of these agencies, so the order here is the order there.
    offset = np.zeros(len(mine), np.int64)
    for number in job.agencies:
        at = np.flatnonzero(agency == number)
        offset[at] = before[number] + np.arange(len(at))
    staged = answers.with_suffix(".new")
    with staged.open("wb") as file:
        np.savez(
            file,
            sent=sent,
            offset=offset,
            agency=agency,
            serial=drawn.serial[mine],
            day=drawn.hour[mine] // 24,
            new=(drawn.mistake[mine] == 0) & (drawn.revision[mine] == 0),
            cpu=np.array([time.process_time() - spent]),
        )
    staged.replace(answers)


def _clumps(job: Job, records: Sequence[Sent], sent: npt.NDArray[np.float64]) -> Iterator[Sequence[Sent]]:
    """Give what is due every 2 ms: to wake for each event would take a third of a core. Notes in ``sent`` when."""
    row = 0
    while row < len(records):
        time.sleep(max(job.start + row / job.rate - time.time(), CLUMP_SECONDS))
        now = time.time()
        upto = min(int((now - job.start) * job.rate) + 1, len(records))
        sent[row:upto] = now
        yield records[row:upto]
        row = max(row, upto)


def _by_librdkafka(kafka: str, clumps: Iterator[Sequence[Sent]]) -> None:
    failures: list[object] = []
    producer = librdkafka(kafka, LINGER_MS, on_delivery=lambda error, _: failures.append(error) if error else None)
    # Nobody starts to publish by the second: whoever sends a steady stream has been connected for long.
    for topic in TOPICS:
        producer.list_topics(topic, ANSWER_SECONDS)
    for clump in clumps:
        by_topic = collections.defaultdict(list)
        for topic, key, value in clump:
            by_topic[topic].append({"key": key, "value": value})
        for topic, batch in by_topic.items():
            if producer.produce_batch(topic, batch) != len(batch):
                raise Retry(f"The client did not take every record for {topic}: the broker at {kafka} is too slow.")
        producer.poll(0)
    left = producer.flush(ANSWER_SECONDS)
    if left or failures:
        raise Retry(f"The broker at {kafka} did not take {left + len(failures):,} records.")


def _by_publisher(kafka: str, clumps: Iterator[Sequence[Sent]]) -> None:
    with Publisher(PublisherSettings(kafka=kafka, schema_id=1), deadline=ANSWER_SECONDS) as publisher:
        for topic in TOPICS:
            publisher.partitions(topic)
        receipt = publisher.publish(Message(*record, None) for clump in clumps for record in clump)  # type: ignore[arg-type]  # tombstones too
    if receipt.failures:
        raise receipt.failures[0].error


def halves(publishers: int) -> list[tuple[int, ...]]:
    """Share the agencies among publishers: the order in a topic is one publisher's."""
    return [tuple(range(first, len(AGENCIES), publishers)) for first in range(publishers)]


if __name__ == "__main__":
    told = json.loads(Path(sys.argv[1]).read_text())
    work(Job(**told | {"phases": tuple(told["phases"]), "agencies": tuple(told["agencies"])}), Path(sys.argv[2]))
