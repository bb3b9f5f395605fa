"""Several things done at once. What runs in a thread cannot be broken off: it ends by itself, unheard."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from schemas.errors import Retry

A = TypeVar("A")
B = TypeVar("B")


async def all_of(works: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Do all at once and wait for all, also when some fail: none must go on while it is done again.

    Raises the first failure, or the first that is no Retry.
    """
    done = await asyncio.gather(*works, return_exceptions=True)
    failures = sorted(
        (failure for failure in done if isinstance(failure, BaseException)),
        key=lambda failure: isinstance(failure, Retry),
    )
    del done
    try:
        if failures:
            raise failures[0]
    finally:
        # This frame is in the error's own traceback: what it names would stay in memory with what was to be sent.
        del failures


async def both(one: Coroutine[Any, Any, A], other: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Do both at once. Raises the first failure, and cancels the other, which may be one that tries for ever."""
    works = asyncio.ensure_future(one), asyncio.ensure_future(other)
    try:
        return await asyncio.gather(*works)
    finally:
        for work in works:
            work.cancel()
        await asyncio.wait(works)
