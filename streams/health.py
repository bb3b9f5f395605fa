"""Whether the worker makes progress, and if not, what is in the way: for /readyz, and one log line an obstacle."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from schemas.errors import Fatal, Retry

T = TypeVar("T")

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0
SLOW_SECONDS = 10.0
"""How long something may take until that, too, is told as an obstacle: whoever is asked may be hanging."""

log = structlog.get_logger(__name__)


class Health:
    """What is in the way of progress, by what was being done; empty when nothing is."""

    def __init__(self) -> None:
        self.obstacles: dict[str, str] = {}
        self.opened = False
        """Whether the partitions of the latest assignment are open."""
        self.fatal: Fatal | None = None
        self.ready = "ready"
        """What /readyz says when nothing is in the way."""

    def sentence(self) -> str | None:
        """Say why the worker is not ready, or None when it is."""
        if self.fatal:
            return str(self.fatal)
        if self.obstacles:
            return "; ".join(f"{doing}: {what}" for doing, what in sorted(self.obstacles.items()))
        return None if self.opened else "the partitions are not opened yet"

    async def persist(self, doing: str, call: Callable[[], Awaitable[T]]) -> T:
        """Call again, with growing pauses, until it raises no Retry; tell of an obstacle once, and of its end.

        Once the worker stops for a fault, nothing more is begun: the fault is raised instead.
        """
        pause = FIRST_PAUSE
        try:
            while True:
                if self.fatal is not None:
                    raise self.fatal
                slow = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._tell_slow, doing)
                try:
                    result = await call()
                except Retry as obstacle:
                    self.tell(doing, str(obstacle))
                else:
                    self.over(doing)
                    return result
                finally:
                    slow.cancel()
                # The jitter keeps several workers from calling a recovering server in step.
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - not a secret
                pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            self.obstacles.pop(doing, None)

    def tell(self, doing: str, what: str, remedy: str = "it is tried again by itself") -> None:
        """Tell what is in the way of something, unless that is told already."""
        if self.obstacles.get(doing) != what:
            log.warning("obstacle", doing=doing, what=what, remedy=remedy)
        self.obstacles[doing] = what

    def over(self, doing: str) -> None:
        """Tell that nothing is in the way any more, if anything was."""
        if self.obstacles.pop(doing, None) is not None:
            log.info("obstacle_gone", doing=doing)

    def _tell_slow(self, doing: str) -> None:
        # A reason that is known already says more than the time that passes.
        if doing not in self.obstacles:
            self.tell(doing, f"no answer within {SLOW_SECONDS:.0f} s: is it up, and can it be reached from here?")
