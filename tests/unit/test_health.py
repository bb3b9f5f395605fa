"""What the worker says of itself: an obstacle is told once, its end too, and silence is an obstacle like any other."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import structlog
from structlog.testing import capture_logs

from schemas.errors import Fatal, Retry
from streams import health as module
from streams.health import Health

DOING = "storing observations"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOW_SECONDS", 0.05)
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(module, "log", structlog.get_logger("test"))


def failing(times: int, seen: list[str | None], health: Health) -> Callable[[], Awaitable[str]]:
    """Make a call that cannot be answered so many times, and notes what the worker says of itself meanwhile."""
    left = times

    async def call() -> str:
        nonlocal left
        seen.append(health.sentence())
        if left:
            left -= 1
            raise Retry("nobody answers")
        return "answer"

    return call


async def obstructed(health: Health) -> None:
    """Return once something is in the way."""
    while health.sentence() is None:  # noqa: ASYNC110 - it is nobody's event
        await asyncio.sleep(0.005)


def test_an_obstacle_is_told_once_and_its_end_too_however_often_it_is_tried() -> None:
    health, seen = Health(), list[str | None]()
    health.opened = True
    with capture_logs() as logs:
        assert asyncio.run(health.persist(DOING, failing(5, seen, health))) == "answer"
    assert [line["event"] for line in logs] == ["obstacle", "obstacle_gone"]
    assert seen == [None, *[f"{DOING}: nobody answers"] * 5]
    assert health.sentence() is None


def test_whoever_does_not_answer_is_an_obstacle_until_he_does() -> None:
    health = Health()
    health.opened = True

    async def scene() -> None:
        answer = asyncio.Event()
        waiting = asyncio.ensure_future(health.persist(DOING, answer.wait))
        await obstructed(health)
        assert f"{DOING}: no answer within" in str(health.sentence())
        answer.set()
        await waiting

    with capture_logs() as logs:
        asyncio.run(asyncio.wait_for(scene(), 10))
    assert [line["event"] for line in logs] == ["obstacle", "obstacle_gone"]
    assert health.sentence() is None


def test_what_is_given_up_is_no_obstacle_any_more() -> None:
    health = Health()
    health.opened = True

    async def scene() -> None:
        waiting = asyncio.ensure_future(health.persist(DOING, failing(10**9, [], health)))
        await obstructed(health)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scene(), 10))
    assert health.sentence() is None


def test_after_a_fault_nothing_more_is_begun() -> None:
    health = Health()
    health.fatal = Fatal("the log is gone")
    with pytest.raises(Fatal, match="the log is gone"):
        asyncio.run(health.persist(DOING, failing(0, [], health)))
    assert health.sentence() == "the log is gone"
