"""What Kafka is told of the ledger: seldom, the newest, until it hears; and nobody waits for it."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest
from faust.types import TP
from structlog.testing import capture_logs

from schemas.errors import Retry
from streams import hints as module
from streams.hints import Hints

PLACE, OTHER = TP("gris.events.g18", 0), TP("gris.events.g09", 0)
Reached = Mapping[TP, tuple[int, int]]


class Broker:
    """Takes hints, or refuses so many of them, or hangs."""

    def __init__(self, *, refuses: int = 0, hangs: bool = False) -> None:
        self.heard: list[tuple[float, Reached]] = []
        self._refuses, self._hangs = refuses, hangs
        self._more = asyncio.Condition()
        self.asked, self.answers = asyncio.Event(), asyncio.Event()
        """What is refused is refused once ``answers`` is set."""

    async def take(self, reached: Reached) -> None:
        """Hear a hint."""
        if self._hangs:
            await asyncio.Event().wait()
        if self._refuses:
            self._refuses -= 1
            self.asked.set()
            await self.answers.wait()
            raise Retry("Kafka is away")
        async with self._more:
            self.heard.append((time.monotonic(), reached))
            self._more.notify_all()

    async def has_heard(self, count: int) -> list[Reached]:
        """Wait for so many hints."""
        async with asyncio.timeout(10), self._more:
            await self._more.wait_for(lambda: len(self.heard) >= count)
        return [reached for _, reached in self.heard]


def play(broker: Broker, scene: Callable[[Hints], Coroutine[Any, Any, None]]) -> None:
    """Play a scene with hints to a broker."""

    async def played() -> None:
        hints = Hints()
        hints.commit = broker.take
        await scene(hints)

    asyncio.run(played())


def test_the_newest_of_a_while_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.2)
    broker = Broker()

    began = time.monotonic()

    async def scene(hints: Hints) -> None:
        hints.note({PLACE: (1, 1)})
        await broker.has_heard(1)
        for reached in (2, 3):
            hints.note({PLACE: (reached, 1)})
        hints.note({OTHER: (7, 2)})
        assert await broker.has_heard(2) == [{PLACE: (1, 1)}, {PLACE: (3, 1), OTHER: (7, 2)}]

    play(broker, scene)
    assert broker.heard[1][0] - began >= 0.2


def test_the_rest_is_told_before_the_end() -> None:
    broker = Broker()

    async def scene(hints: Hints) -> None:
        hints.note({PLACE: (1, 1)})
        await broker.has_heard(1)
        hints.note({PLACE: (2, 1)})
        await hints.finish()
        await hints.finish()

    play(broker, scene)
    assert [reached for _, reached in broker.heard] == [{PLACE: (1, 1)}, {PLACE: (2, 1)}]


def test_what_was_refused_is_told_again_unless_there_is_newer_and_the_log_says_so_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    broker = Broker(refuses=3)

    async def scene(hints: Hints) -> None:
        hints.note({PLACE: (1, 1), OTHER: (7, 2)})
        await asyncio.wait_for(broker.asked.wait(), 10)
        hints.note({PLACE: (2, 1)})
        broker.answers.set()
        assert await broker.has_heard(1) == [{PLACE: (2, 1), OTHER: (7, 2)}]

    with capture_logs() as logs:
        play(broker, scene)
    assert [line["event"] for line in logs] == ["commit_hint_failed"]


def test_a_broker_that_hangs_holds_up_neither_a_flush_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)

    async def scene(hints: Hints) -> None:
        hints.note({PLACE: (1, 1)})
        await asyncio.wait_for(hints.finish(), 10)

    with capture_logs() as logs:
        play(Broker(hangs=True), scene)
    assert [line["event"] for line in logs] == ["commit_hint_failed"]
