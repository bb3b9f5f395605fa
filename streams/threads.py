"""Work that must not run on the event loop: there, heartbeats would stop and the group would rebalance."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """One thread for computing (all cubes are touched only there, one call after the other), five for the database.

    Of these a flush needs three, a fold one, and whoever asks for the topics one: also when a database hangs.
    """

    def __init__(self, spent: Callable[[str, float], None] | None = None) -> None:
        """``spent`` hears, in the thread, the name of each call that ended and its CPU seconds."""
        self._spent = spent
        self._running = 0
        self._count = threading.Lock()
        self._closed = False
        self._compute = ThreadPoolExecutor(1, "compute")
        self._database = ThreadPoolExecutor(5, "database")

    async def compute(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a computation; calls run in the order in which they were made."""
        return await self._run(self._compute, call, *args, **kwargs)

    async def database(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call to the database or the broker's administration."""
        return await self._run(self._database, call, *args, **kwargs)

    @property
    def busy(self) -> bool:
        """Whether a call has not come back yet, be it that nobody waits for it any more."""
        return self._running > 0

    def close(self) -> None:
        """Let go of the threads; what runs is left to end. Nothing more is begun: who asks waits to be cancelled."""
        self._closed = True
        self._compute.shutdown(wait=False, cancel_futures=True)
        self._database.shutdown(wait=False, cancel_futures=True)

    async def _run(self, pool: ThreadPoolExecutor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def counted() -> T:
            self._change(1)
            began = time.thread_time()
            try:
                return call(*args, **kwargs)
            finally:
                if self._spent is not None:
                    self._spent(getattr(call, "__name__", "call").lstrip("_"), time.thread_time() - began)
                self._change(-1)

        if self._closed:
            await asyncio.Event().wait()
        return await asyncio.get_running_loop().run_in_executor(pool, counted)

    def _change(self, by: int) -> None:
        with self._count:
            self._running += by
