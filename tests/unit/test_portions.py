"""What one fetch gives out is bounded by bytes, over all partitions, and nothing is passed over by that."""

import asyncio
from types import SimpleNamespace
from typing import Any

from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.structs import TopicPartition

from streams.portions import Portion, make_room
from streams.unpack import Batches
from tests.support.record_batch import ZSTD, batch_of, record

MANY = 1_000_000


def fetched(assignment: Assignment, tp: TopicPartition, values: list[bytes | None]) -> Portion:
    """Say that a partition's values were fetched, compressed, from offset 0 on."""
    raw = batch_of((record(at, b"k", value) for at, value in enumerate(values)), ZSTD)
    records = PartitionRecords(tp, Batches(raw), [], 0, None, None, True, READ_COMMITTED)
    assignment.state_value(tp).reset_to(0)
    return Portion(tp, assignment=assignment, partition_records=records, backoff=0)


def room(assignment: Assignment, count: int) -> None:
    fetching: Any = SimpleNamespace(_subscriptions=SimpleNamespace(subscription=SimpleNamespace(assignment=assignment)))
    make_room(fetching, count)


def taken(portion: Portion, most: int | None = None) -> list[int]:
    return [one.offset for one in portion.getall(most)]


def test_records_are_given_out_while_there_is_room_and_the_rest_at_the_next_fetch() -> None:
    asyncio.run(_in_portions())


async def _in_portions() -> None:
    tp = TopicPartition("t", 0)
    assignment = Assignment([tp])
    portion = fetched(assignment, tp, [bytes(99), None, b"", bytes(500), bytes(99), bytes(99)])
    room(assignment, 150)
    assert taken(portion) == [0, 1, 2, 3]
    assert assignment.state_value(tp).position == 4
    assert taken(portion) == []
    assert portion.has_more()
    room(assignment, 300)
    assert taken(portion, 1) == [4]
    assert taken(portion) == [5]
    assert not portion.has_more()
    assert assignment.state_value(tp).position == 6


def test_partitions_share_the_room_of_a_fetch() -> None:
    asyncio.run(_shared())


async def _shared() -> None:
    tps = [TopicPartition("t", at) for at in range(3)]
    assignment = Assignment(tps)
    portions = [fetched(assignment, tp, [bytes(99)] * 4) for tp in tps]
    room(assignment, 500)
    assert [taken(portion, MANY) for portion in portions] == [[0, 1, 2, 3], [0], []]
    room(assignment, 500)
    assert [taken(portion, MANY) for portion in portions[1:]] == [[1, 2, 3], [0, 1]]


def test_a_consumer_that_was_given_no_room_has_no_bounds() -> None:
    asyncio.run(_unbounded())


async def _unbounded() -> None:
    tp = TopicPartition("t", 0)
    portion = fetched(Assignment([tp]), tp, [bytes(1 << 20)] * 3)
    assert taken(portion) == [0, 1, 2]
    assert not portion.has_more()
