"""What Kafka is told of the ledger, for lag tools: once a second at the most, and in nobody's way."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog
from faust.types import TP

from schemas.errors import Retry

PAUSE = 1.0
PATIENCE = 1.0
"""Seconds that a worker which ends gives the broker to take the last hint."""

Commit = Callable[[Mapping[TP, tuple[int, int]]], Awaitable[None]]
"""Takes, by partition, the next offset and the number of the opening in which it was reached. Raises Retry."""

log = structlog.get_logger(__name__)


class Hints:
    """Commits offsets, one commit after the other. Nothing depends on it, so a failure is only told, once."""

    def __init__(self) -> None:
        self.commit: Commit | None = None
        self._left: dict[TP, tuple[int, int]] = {}
        self._telling: asyncio.Task[None] | None = None
        self._told = 0.0
        self._failing = False

    def note(self, reached: Mapping[TP, tuple[int, int]]) -> None:
        """Have Kafka told in time, by partition, of the next offset and the opening in which it was reached."""
        self._left |= reached
        if self._telling is not None and self._telling.done():
            self._telling.result()  # raises what is no Retry
            self._telling = None
        if self._telling is None:
            self._telling = asyncio.ensure_future(self._tell())

    async def finish(self) -> None:
        """Tell the rest now; give up soon."""
        try:
            await asyncio.wait_for(self._tell_rest(), PATIENCE)
        except TimeoutError:
            self._tell_failure(f"no answer within {PATIENCE:.0f} s")

    async def _tell_rest(self) -> None:
        telling, self._telling = self._telling, None
        if telling is not None:
            telling.cancel()
            await asyncio.wait((telling,))
        if self._left:
            await self._tell_once()

    async def _tell(self) -> None:
        while self._left:
            await asyncio.sleep(self._told + PAUSE - time.monotonic())
            await self._tell_once()

    async def _tell_once(self) -> None:
        left, self._left, self._told = self._left, {}, time.monotonic()
        try:
            if self.commit is not None:
                await self.commit(left)
        except Retry as obstacle:
            self._left = left | self._left
            self._tell_failure(str(obstacle))
        except asyncio.CancelledError:
            self._left = left | self._left
            raise
        else:
            self._failing = False

    def _tell_failure(self, what: str) -> None:
        if not self._failing:
            log.warning("commit_hint_failed", what=what, remedy="none is needed: the ledger counts, lag tools lag")
        self._failing = True
