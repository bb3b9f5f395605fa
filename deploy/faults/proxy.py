"""A TCP proxy that misbehaves on demand: it cuts, delays, half-closes, falls silent, and keeps answers to itself.

It runs an event loop in a thread of its own; every method may be called from any other thread.
"""

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from deploy.local.ports import LOOPBACK

READ_BYTES = 64 << 10
ANSWER_SECONDS = 10.0


@dataclasses.dataclass(eq=False)
class Trap:
    """What is to happen to one request: the first whose beginning (up to READ_BYTES) ``matches``.

    ``instead`` and ``after`` are called in the proxy's thread: instead of passing that beginning on, whereupon the
    connection is cut, or after passing it on.
    ``swallow`` passes the request on but keeps its answer, if that begins with ``answer``, and cuts the connection.
    ``sprung`` is set once all of it has happened.
    """

    matches: Callable[[bytes], bool]
    instead: Callable[[], None] | None = None
    after: Callable[[], None] | None = None
    swallow: bool = False
    answer: bytes = b""
    sprung: threading.Event = dataclasses.field(default_factory=threading.Event)


@dataclasses.dataclass(eq=False, slots=True)
class Link:
    """One connection of a client, and the one made for it to the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    awaited: Trap | None = None

    def cut(self) -> None:
        """Break both sides off, without a goodbye."""
        for side in (self.client, self.server):
            side.transport.abort()


class Proxy:
    """Listens on ``port`` for clients of the server on ``target``, both on loopback; a context manager."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{port}", daemon=True)
        self._links: set[Link] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._trap: Trap | None = None
        self._delay = 0.0
        self._open = asyncio.Event()
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ANSWER_SECONDS)
        self._loop.close()

    def cut(self) -> int:
        """Break every connection off; answer how many there were."""
        return int(self._call(self._cut()))

    def half_close(self) -> int:
        """Tell both sides of every connection that the other has finished, and go on passing what they still say."""
        return int(self._call(self._half_close()))

    def delay(self, seconds: float) -> None:
        """Pass every piece on only after ``seconds``; 0 ends it."""
        self._loop.call_soon_threadsafe(self._set_delay, seconds)

    def fall_silent(self) -> None:
        """Pass nothing on any more, in either direction, and let nobody know."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def speak(self) -> None:
        """End a silence: what was held back is passed on."""
        self._loop.call_soon_threadsafe(self._open.set)

    def set_trap(self, trap: Trap) -> None:
        """Lie in wait for one request."""
        self._loop.call_soon_threadsafe(self._arm, trap)

    def clear(self) -> None:
        """Behave again."""
        self.delay(0)
        self.speak()
        self._loop.call_soon_threadsafe(self._arm, None)

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_SECONDS)

    def _set_delay(self, seconds: float) -> None:
        self._delay = seconds

    def _arm(self, trap: Trap | None) -> None:
        self._trap = trap

    async def _listen(self) -> None:
        self._open.set()
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port, limit=READ_BYTES)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._cut()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _cut(self) -> int:
        links = list(self._links)
        for link in links:
            link.cut()
        return len(links)

    async def _half_close(self) -> int:
        links = list(self._links)
        for link in links:
            for side in (link.client, link.server):
                with contextlib.suppress(OSError, RuntimeError):  # it is closing already
                    side.write_eof()
        return len(links)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(LOOPBACK, self.target, limit=READ_BYTES)
        except OSError:  # the server is down: so is whoever stands in for it
            writer.transport.abort()
            return
        link = Link(writer, back)
        self._links.add(link)
        pumps = [asyncio.ensure_future(self._requests(reader, link)), asyncio.ensure_future(self._answers(there, link))]
        self._pumps.update(pumps)
        try:
            await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            self._links.discard(link)
            self._pumps.difference_update(pumps)
            link.cut()

    async def _requests(self, reader: asyncio.StreamReader, link: Link) -> None:
        while piece := await self._read(reader, link):
            trap = self._trap
            if trap is not None and trap.matches(piece):
                self._trap = None
                if trap.instead is not None:
                    trap.instead()
                    trap.sprung.set()
                    link.cut()
                    return
                if trap.swallow:
                    link.awaited = trap
                await self._pass_on(piece, link.server)
                if trap.after is not None:
                    trap.after()
                    trap.sprung.set()
            else:
                await self._pass_on(piece, link.server)
        with contextlib.suppress(OSError, RuntimeError):
            link.server.write_eof()

    async def _answers(self, reader: asyncio.StreamReader, link: Link) -> None:
        while piece := await self._read(reader, link):
            trap, link.awaited = link.awaited, None
            if trap is not None and piece.startswith(trap.answer):
                link.cut()
                trap.sprung.set()
                return
            if trap is not None and self._trap is None:
                self._trap = trap  # not the answer that it waits for: the next one may be
            await self._pass_on(piece, link.client)
        with contextlib.suppress(OSError, RuntimeError):
            link.client.write_eof()

    async def _read(self, reader: asyncio.StreamReader, link: Link) -> bytes:
        try:
            return await reader.read(READ_BYTES)
        except OSError:  # broken off on one side: it is on the other as well
            link.cut()
            return b""

    async def _pass_on(self, piece: bytes, writer: asyncio.StreamWriter) -> None:
        if self._delay:
            await asyncio.sleep(self._delay)
        await self._open.wait()
        with contextlib.suppress(OSError, RuntimeError):  # after a half-close nothing more can be said: dropped
            writer.write(piece)
            await writer.drain()
