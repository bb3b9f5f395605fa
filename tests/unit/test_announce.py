"""Announcing for several partitions at once: none is left half said when another fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerFenced
from faust.types import TP

from schemas.errors import Fatal, GrisError, Retry
from streams import announce
from streams.announce import Announcer, Fenced, Messages
from streams.report import Line

ONE, TWO = TP("gris.events.a", 0), TP("gris.events.b", 0)
SAID = Messages([], [Line(b"key", b"value")])


class Producer:
    """Stands in for aiokafka's: a transaction at a time, which fails, or takes its time, as the test says."""

    failing: dict[str, list[KafkaError]]
    said: list[str]

    def __init__(self, *, transactional_id: str, **_: Any) -> None:
        self.name = transactional_id
        self.within = False

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

    async def send(self, *_: object, **__: object) -> "asyncio.Future[None]":
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announce, "AIOKafkaProducer", Producer)
    Producer.failing, Producer.said = {}, []


def name(tp: TP) -> str:
    return f"gris-{tp.topic}-{tp.partition}"


def announced(*, failing: dict[TP, list[KafkaError]]) -> list[type[GrisError]]:
    """Send for both partitions until it succeeds, or cannot; answers what was raised on the way."""
    Producer.failing = {name(tp): errors for tp, errors in failing.items()}
    raised: list[type[GrisError]] = []

    async def scene() -> None:
        announcer = Announcer("nowhere:1", "test")
        await announcer.fence([ONE, TWO])
        while True:
            try:
                await announcer.send({ONE: SAID, TWO: SAID})
            except Retry:
                raised.append(Retry)
            except (Fenced, Fatal) as error:
                raised.append(type(error))
                return
            else:
                return

    asyncio.run(scene())
    return raised


def test_what_fails_for_one_partition_is_sent_again_once_the_others_are_through() -> None:
    assert announced(failing={ONE: [KafkaConnectionError(), KafkaConnectionError()]}) == [Retry, Retry]
    assert Producer.said.count(name(ONE)) == 1
    assert Producer.said.count(name(TWO)) == 3


def test_a_partition_that_another_worker_has_outweighs_one_that_may_be_tried_again() -> None:
    assert announced(failing={ONE: [KafkaConnectionError()], TWO: [ProducerFenced()]}) == [Fenced]
    assert announced(failing={TWO: [KafkaConnectionError()], ONE: [ProducerFenced()]}) == [Fenced]
