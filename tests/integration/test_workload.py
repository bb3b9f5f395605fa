"""A realistic stream through the real path, against an independent count of every verdict and every total."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compare import differences
from tests.support.small_catalogue import write_catalogue
from tests.support.stack import Stack, running_stack
from tests.support.wait import wait_for
from tests.support.workload import Workload, publish

SMALL_FLUSHES = {"GRIS_BLOCK_EVENTS": "2000", "GRIS_FLUSH_ROWS": "5000"}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Run broker and database on the small catalogue; each test starts its workers."""
    with running_stack(tmp_path, write_catalogue(tmp_path / "catalogue")) as running:
        yield running


def test_a_medium_stream_ends_in_exactly_what_an_independent_count_says(stack: Stack, tmp_path: Path) -> None:
    worker = stack.worker()
    workload = Workload(60_000, days=90)
    publish(workload, stack.bootstrap)
    stack.wait_caught_up(alive=[worker])
    found = differences(stack, workload, tmp_path / "catalogue")
    assert not found, "\n".join(found)
    stack.run("check")
    assert worker.stop() == 0, worker.tail()


def test_buckets_that_leave_memory_all_the_time_come_back_whole(stack: Stack, tmp_path: Path) -> None:
    tiny = {"GRIS_BLOCK_EVENTS": "1000", "GRIS_FLUSH_ROWS": "1000", "GRIS_CUBE_BYTES": str(1 << 20)}
    worker = stack.worker(settings=tiny)
    workload = Workload(40_000, days=20)
    publish(workload, stack.bootstrap)
    stack.wait_caught_up(alive=[worker])
    found = differences(stack, workload, tmp_path / "catalogue")
    assert not found, "\n".join(found)
    stack.run("check")


def test_two_workers_share_the_topics_and_one_may_join_and_leave_in_the_middle(stack: Stack, tmp_path: Path) -> None:
    workload = Workload(100_000, days=12)
    publish(workload, stack.bootstrap)
    first = stack.worker("worker-1", SMALL_FLUSHES)
    wait_for(lambda: stack.stored() > 10_000, "the first worker to be well on its way", within=60)
    second = stack.worker("worker-2", SMALL_FLUSHES)
    shares = wait_for(lambda: partitions_read(stack), "both workers to read partitions", within=60)
    assert sum(shares) == len(workload.ends)
    assert second.stop() == 0, second.tail()
    stack.wait_caught_up(alive=[first])
    found = differences(stack, workload, tmp_path / "catalogue")
    assert not found, "\n".join(found)
    stack.run("check")


def partitions_read(stack: Stack) -> list[int] | None:
    """Count the partitions of events that each member of the group holds; None until two members hold some."""
    from confluent_kafka import KafkaException  # noqa: PLC0415  only this test asks
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415

    admin = AdminClient({"bootstrap.servers": stack.bootstrap})
    try:
        described = admin.describe_consumer_groups(["gris"])["gris"].result(10)
    except (KafkaException, TimeoutError):  # while the group changes, or not in time
        return None
    shares = [
        sum(place.topic.startswith("gris.events.") for place in member.assignment.topic_partitions)
        for member in described.members
    ]
    return shares if len(shares) == 2 and all(shares) else None
