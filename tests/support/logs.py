"""A workload's records laid where a broker would, and judged in runs, without a broker."""

import collections

import numpy as np

from schemas.codec import EventCodec
from schemas.rules import Block, Judged, Rules
from schemas.spans import Spans
from tests.support.figures import EVENTS, Place
from tests.support.small_catalogue import PARTITIONS
from tests.support.workload import Workload, place_of

NOW = 1_795_413_600_000  # 23 November 2026, 06:00 UTC
Record = tuple[bytes | None, bytes | None]


def lay_out(workload: Workload) -> dict[Place, list[Record]]:
    """Draw the stream to its end; key and value of every record, by topic and partition."""
    logs: dict[Place, list[Record]] = collections.defaultdict(list)
    for messages in workload.chunks(10_000):
        for topic, batch in messages.items():
            for message in batch:
                key, value = message["key"], message["value"]
                assert key is None or isinstance(key, bytes)
                assert value is None or isinstance(value, bytes)
                logs[place_of(topic, message)].append((key, value))
    return logs


def judge_run(rules: Rules, codec: EventCodec, place: Place, start: int, records: list[Record]) -> tuple[Block, Judged]:
    """Judge consecutive records of a partition, the first at offset ``start``, as one block."""
    agency = place[0].removeprefix(EVENTS)
    block = Block(
        topic=place[0],
        agency=agency,
        partition=place[1],
        partitions=PARTITIONS[agency],
        offsets=np.arange(start, start + len(records), dtype=np.int64),
        timestamps=np.full(len(records), NOW, np.int64),
        keys=Spans.of([key for key, _ in records]),
        values=Spans.of([value for _, value in records]),
        replay_of={},
    )
    return block, rules.judge(block, codec.decode(block.values))
