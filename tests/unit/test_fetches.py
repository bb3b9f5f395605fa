"""aiokafka's fetcher hands out record batches as they came, and moves its position as it would past records."""

import asyncio
import collections
from types import SimpleNamespace
from typing import Any

from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.structs import TopicPartition

from streams.fetches import RawBatch, give_batches
from tests.support.batches import ABORT, TRANSACTIONAL, Said, batch, marker

TP = TopicPartition("gris.events.g18", 0)


class State:
    """What aiokafka keeps of a partition while it is assigned."""

    has_valid_position, paused = True, False

    def __init__(self, position: int) -> None:
        self.position = position

    def consumed_to(self, position: int) -> None:
        """Move on."""
        self.position = position


def answered(raw: bytes, *, aborted: list[tuple[int, int]], start: int) -> tuple[list[RawBatch], int]:
    """Let the fetcher of a started consumer take an answer of the broker: what it hands out, and where it goes on."""
    state = State(start)
    assignment = SimpleNamespace(active=True, state_value=lambda _: state)
    response = SimpleNamespace(API_VERSION=4, topics=[(TP.topic, [(TP.partition, 0, 100, 90, aborted, raw)])])
    request = SimpleNamespace(topics=[(TP.topic, [(TP.partition, start, 1 << 20)])])

    async def send(*_: Any) -> Any:
        return response

    class Fetcher:
        """As far as one answer goes."""

    fetcher: Any = Fetcher()
    fetcher._client = SimpleNamespace(send=send)
    fetcher._client_rack = fetcher._key_deserializer = fetcher._value_deserializer = None
    fetcher._check_crcs, fetcher._isolation_level, fetcher._prefetch_backoff = True, READ_COMMITTED, 0.1
    fetcher._records = collections.OrderedDict()
    give_batches(SimpleNamespace(_fetcher=fetcher))  # type: ignore[arg-type]
    assert asyncio.run(fetcher._proc_fetch_request(assignment, 0, request))
    return fetcher._records[TP].getall(None), state.position


def test_an_answer_is_handed_out_as_its_batches() -> None:
    log = batch(0, [Said(0, b"k", b"v")]) + batch(1, [Said(0, b"k", b"w")], codec=3, last_delta=4)
    batches, goes_on = answered(log + log[:20], aborted=[], start=0)
    assert b"".join(bytes(one.raw) for one in batches) == log
    assert goes_on == 6


def test_what_was_aborted_is_not_handed_out_and_is_passed() -> None:
    aborted = batch(3, [Said(0, b"k", b"v")], attributes=TRANSACTIONAL, producer=7)
    assert answered(aborted + marker(4, 7, ABORT), aborted=[(7, 3)], start=3) == ([], 5)
