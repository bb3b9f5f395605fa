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

log = structlog.get_logger(__name__)


class Health:
    """What is in the way of progress, by what was being done; empty when nothing is."""

    def __init__(self) -> None:
        self.obstacles: dict[str, str] = {}
        self.opened = False
        """Whether the partitions of the latest assignment are open."""
        self.fatal: Fatal | None = None

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
        while True:
            if self.fatal is not None:
                raise self.fatal
            try:
                result = await call()
            except Retry as obstacle:
                if self.obstacles.get(doing) != str(obstacle):
                    log.warning("obstacle", doing=doing, what=str(obstacle), remedy="it is tried again by itself")
                self.obstacles[doing] = str(obstacle)
                # The jitter keeps several workers from calling a recovering server in step.
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - not a secret
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                if self.obstacles.pop(doing, None):
                    log.info("obstacle_gone", doing=doing)
                return result
