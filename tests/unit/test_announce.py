"""Announcing for several partitions at once: none is left half said when another fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.types import TP

from schemas.errors import Fatal, GrisError, Retry
from streams import announce
from streams.announce import Announcer, Fenced, Messages
from streams.report import Line

ONE, TWO = TP("gris.events.a", 0), TP("gris.events.b", 0)
SAID = Messages([], [Line(b"key", b"value")])
TRIES = 10


class Producer:
    """Stands in for aiokafka's: a transaction at a time, which fails, or takes its time, as the test says."""

    failing: dict[str, list[KafkaError]]
    said: list[str]
    batches: list[tuple[str, int]]

    def __init__(self, *, transactional_id: str, **_: Any) -> None:
        self.name = transactional_id
        self.within = False
        self._txn_manager = self

    def wait_for_transaction_end(self) -> None:
        """Have nothing more to say about a failure."""

    async def start(self) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""

    async def begin_transaction(self) -> None:
        assert not self.within, "a transaction inside a transaction"
        self.within = True

    async def commit_transaction(self) -> None:
        self.within = False

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        await self.begin_transaction()
        failures = self.failing.get(self.name, [])
        if failures:
            self.within = False
            raise failures.pop()
        yield
        for _ in range(20):
            await asyncio.sleep(0)
        await self.commit_transaction()
        self.said.append(self.name)

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(1 << 10, 0, is_transactional=True)

    async def send_batch(self, batch: BatchBuilder, *_: object, **__: object) -> "asyncio.Future[None]":
        self.batches.append((self.name, batch.record_count()))
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announce, "AIOKafkaProducer", Producer)
    Producer.failing, Producer.said, Producer.batches = {}, [], []


def name(tp: TP) -> str:
    return f"gris-{tp.topic}-{tp.partition}"


def announced(*, failing: dict[TP, list[KafkaError]]) -> list[type[GrisError]]:
    """Send for both partitions until it succeeds, or cannot; answers what was raised on the way."""
    Producer.failing = {name(tp): errors for tp, errors in failing.items()}
    raised: list[type[GrisError]] = []

    async def scene() -> None:
        announcer = Announcer("nowhere:1", "test")
        await announcer.fence([ONE, TWO])
        for _ in range(TRIES):
            try:
                await announcer.send({ONE: SAID, TWO: SAID})
            except Retry:
                raised.append(Retry)
            except (Fenced, Fatal) as error:
                raised.append(type(error))
                return
            else:
                return
        raise AssertionError(f"it was not sent in {TRIES} tries: {raised}")

    asyncio.run(scene())
    return raised


def test_what_fails_for_one_partition_is_sent_again_once_the_others_are_through() -> None:
    assert announced(failing={ONE: [KafkaConnectionError(), KafkaConnectionError()]}) == [Retry, Retry]
    assert Producer.said.count(name(ONE)) == 1
    assert Producer.said.count(name(TWO)) == 3


def test_a_partition_that_another_worker_has_outweighs_one_that_may_be_tried_again() -> None:
    assert announced(failing={ONE: [KafkaConnectionError()], TWO: [ProducerFenced()]}) == [Fenced]
    assert announced(failing={TWO: [KafkaConnectionError()], ONE: [ProducerFenced()]}) == [Fenced]


def test_many_messages_go_out_in_full_batches_and_transactions_of_a_few() -> None:
    said = Messages([Line(b"1", b"x")] * 3, [Line(b"%d" % at, b"x" * 100) for at in range(100)])

    async def scene() -> None:
        announcer = Announcer("nowhere:1", "test")
        await announcer.fence([ONE])
        await announcer.send({ONE: said})

    asyncio.run(scene())

    counts = [count for _, count in Producer.batches]
    assert counts[0] == 3, "what goes to another topic is no part of the batch"
    assert sum(counts) == 103
    assert len(counts) < 20
    assert len(Producer.said) == -(-len(counts) // announce.BATCHES)


def test_a_message_that_fits_no_request_stops_the_worker() -> None:
    said = Messages([Line(b"1", bytes(announce.MAX_REQUEST))], [])

    async def scene() -> None:
        announcer = Announcer("nowhere:1", "test")
        await announcer.fence([ONE])
        await announcer.send({ONE: said})

    with pytest.raises(Fatal, match=r"max\.message\.bytes"):
        asyncio.run(scene())
