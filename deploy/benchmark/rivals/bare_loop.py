"""A bare loop: confluent-kafka in front, fastavro behind, nothing between. ``python -m … JOB ANSWER``."""

from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from deploy.benchmark.rivals.job import Answer, Clock, Job, main
from deploy.benchmark.rivals.one_by_one import OneByOne
from schemas.catalogue import load
from schemas.errors import Retry

AT_ONCE = 10_000
PAUSE = 1.0  # seconds: a call that is not filled returns after so long
PATIENCE = 30  # such calls without a record


def work(job: Job) -> Answer:
    """Consume record after record."""
    known = OneByOne(load(Path(job.catalogue)))
    consumer = Consumer(
        {"bootstrap.servers": job.kafka, "group.id": "gris-bench-bare-loop", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, 0, 0) for topic in job.upto])
    taken, idle = 0, 0
    clock = None
    while taken < job.events:
        records = consumer.consume(AT_ONCE, PAUSE)
        clock = clock or Clock()
        idle = 0 if records else idle + 1
        if idle > PATIENCE:
            raise Retry("The broker has not the records that it should have.")
        for record in records:
            topic, offset = record.topic() or "", record.offset() or 0
            if offset < job.upto[topic]:
                known.take(topic, offset, record.timestamp()[1], record.key(), record.value())
                taken += 1
    answer = (clock or Clock()).answer(taken, dict(known.accepted), known.totals())
    consumer.close()
    return answer


if __name__ == "__main__":
    main(work)
