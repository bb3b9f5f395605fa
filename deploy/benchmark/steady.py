"""Publish at a steady rate with the real publisher. ``python -m deploy.benchmark.steady JOB ANSWER``, a process.

Every event is known by its place in the log; the answer says when each was handed to the publisher.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from deploy.benchmark.catalogue import AGENCIES
from deploy.benchmark.workload import TOPICS, Workload
from producers.publisher import Message, Publisher
from producers.settings import PublisherSettings

ANSWER_SECONDS = 120


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
            due = job.start + row / job.rate
            while (early := due - time.time()) > 0:
                time.sleep(min(early, 0.01))
            sent[row] = time.time()
            key, value = messages[at]
            yield Message(TOPICS[drawn.agency[at]], key, value, row)  # type: ignore[arg-type]  # tombstones too

    def placed(row: object, _partition: int, at: int) -> None:
        offset[row] = at  # type: ignore[call-overload]

    with Publisher(PublisherSettings(kafka=job.kafka, schema_id=1), deadline=ANSWER_SECONDS) as publisher:
        receipt = publisher.publish(paced(), placed=placed)
    if receipt.failures:
        raise receipt.failures[0].error
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


def halves(publishers: int) -> list[tuple[int, ...]]:
    """Share the agencies among publishers: the order in a topic is one publisher's."""
    return [tuple(range(first, len(AGENCIES), publishers)) for first in range(publishers)]


if __name__ == "__main__":
    told = json.loads(Path(sys.argv[1]).read_text())
    work(Job(**told | {"phases": tuple(told["phases"]), "agencies": tuple(told["agencies"])}), Path(sys.argv[2]))
