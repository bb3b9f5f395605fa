"""What is done at once ends at once, whatever fails."""

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Coroutine
from typing import Any

import pytest

from schemas.errors import Fatal, Retry
from streams.together import all_of, both


async def fails(error: Exception) -> None:
    raise error


class Work:
    """Goes on until it is let go, and knows whether it was cancelled."""

    def __init__(self) -> None:
        self.cancelled = False

    async def go(self, ends: asyncio.Event) -> None:
        try:
            await ends.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_what_is_to_be_done_again_is_waited_for() -> None:
    async def play() -> None:
        work, ends = Work(), asyncio.Event()
        whole = asyncio.ensure_future(all_of([fails(Retry("away")), work.go(ends)]))
        await asyncio.wait((whole,), timeout=0)
        assert not whole.done()
        ends.set()
        with pytest.raises(Retry):
            await whole
        assert not work.cancelled

    run(play())


def test_a_fault_is_told_before_what_may_be_tried_again() -> None:
    with pytest.raises(Fatal):
        run(all_of([fails(Retry("away")), fails(Fatal("refused"))]))


@pytest.mark.parametrize("first", [True, False])
def test_of_two_the_one_goes_when_the_other_fails(first: bool) -> None:
    work = Work()

    async def play() -> None:
        ends = asyncio.Event()
        await (both(fails(Fatal("refused")), work.go(ends)) if first else both(work.go(ends), fails(Fatal("refused"))))

    with pytest.raises(Fatal):
        run(play())
    assert work.cancelled


def test_both_go_when_nobody_waits_for_them_any_more() -> None:
    one, other = Work(), Work()

    async def play() -> None:
        ends = asyncio.Event()
        whole = asyncio.ensure_future(both(one.go(ends), other.go(ends)))
        await asyncio.wait((whole,), timeout=0)
        whole.cancel()
        await asyncio.wait((whole,))

    run(play())
    assert one.cancelled
    assert other.cancelled


class Payload:
    """Something large that was to be sent."""


def test_what_was_to_be_sent_is_gone_once_its_failure_is_dealt_with() -> None:
    """Without a full collection of garbage, which an idle process does not come to."""
    alive: list[weakref.ref[Payload]] = []

    async def send() -> None:
        payload = Payload()
        alive.append(weakref.ref(payload))
        raise Retry("away")

    async def play() -> None:
        for _ in range(3):
            with contextlib.suppress(Retry):
                await all_of([send(), send()])

    gc.disable()
    try:
        run(play())
        assert len(alive) == 6
        assert not any(one() for one in alive)
    finally:
        gc.enable()
