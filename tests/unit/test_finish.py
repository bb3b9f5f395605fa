"""The last flush of a worker that is told to stop: whatever becomes of it, the worker ends in order and says so."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.faults.rig import STOPS_WITHIN
from schemas.errors import Fatal
from streams.announce import Fenced, Silence
from streams.health import Health
from streams.hints import Hints
from streams.parts import Parts
from streams.run import END_SECONDS, Runner
from streams.settings import WorkerSettings
from streams.threads import Threads


class LastFlush:
    """A flush that ends as it is told."""

    def __init__(self, error: Exception | None, seconds: float = 0.0) -> None:
        self._error, self._seconds = error, seconds
        self.hints = Hints()

    async def flush(self) -> None:
        await asyncio.sleep(self._seconds)
        if self._error is not None:
            raise self._error


def finished(flusher: LastFlush) -> Health:
    nothing: Any = SimpleNamespace(stop=lambda: None)
    last: Any = flusher
    parts = Parts([], Health(), nothing, nothing, last, nothing, Silence(), Threads(), lambda: None)
    asyncio.run(parts.finish(0.1))
    return parts.health


@pytest.mark.parametrize("flusher", [LastFlush(None), LastFlush(Fenced("gone")), LastFlush(None, seconds=60)])
def test_what_was_not_stored_is_no_fault(flusher: LastFlush) -> None:
    assert finished(flusher).fatal is None


def test_a_refusal_in_the_last_flush_is_the_workers_last_word() -> None:
    assert str(finished(LastFlush(Fatal("ClickHouse refused"))).fatal) == "ClickHouse refused"


def test_what_is_left_when_a_worker_ends_is_ended_with_it_and_not_waited_for() -> None:
    loop = asyncio.new_event_loop()
    left = loop.create_task(asyncio.Event().wait())
    runner: Any = SimpleNamespace(loop=loop)
    Runner._gather_all(runner)
    loop.close()
    assert left.cancelled()


def test_a_worker_cuts_itself_off_before_it_has_taken_as_long_as_it_may() -> None:
    assert WorkerSettings().stop_seconds + END_SECONDS < STOPS_WITHIN
