"""Waiting for a state, never for a time: ask until it is there or the deadline is over."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(ask: Callable[[], T | None], what: str, *, within: float = 30.0, every: float = 0.05) -> T:
    """Call ``ask`` until it answers something true, and return that. ``within`` and ``every`` in seconds.

    Raises AssertionError, which says ``what`` was waited for and the last answer, when the deadline is over.
    """
    deadline = time.monotonic() + within
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {within:.0f} s; the last answer was {answer!r}")
        time.sleep(every)
