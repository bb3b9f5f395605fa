"""The stream: gris.daily as server-sent events (WHATWG HTML, 9.2), from now on or from an offset.

The id of an event is its offset, so a browser resumes by itself. Clients read the shared buffer of recent records; what
has left it is read from the topic again. One that accepts nothing for too long, or falls behind the buffer, is cut off.
"""

import asyncio
import re

import orjson
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from schemas.errors import Retry
from sinks.feed.coding import IDENTITY
from sinks.feed.lines import LineReader, LogGoneError
from sinks.feed.live import Client, Live
from sinks.feed.metrics import FeedMetrics
from sinks.feed.pens import Pen, pen_for
from sinks.feed.problem import ProblemError
from sinks.feed.recent import Entry
from sinks.feed.settings import FeedSettings

RETRY_MS = 2000
READERS = 8  # clients that read the topic again at one time; the rest waits
CATCH_UP_WAIT_SECONDS = 1.0
OFFSET = re.compile(r"-?[0-9]{1,18}")

log = structlog.get_logger("gris.feed")


class TooSlow(Exception):
    """The client accepted nothing for as long as a client may, or fell behind the buffer."""


class Streams:
    """Makes the answers to clients of the stream."""

    def __init__(self, live: Live, settings: FeedSettings, metrics: FeedMetrics) -> None:
        self.live = live
        self.settings = settings
        self.metrics = metrics
        self.readers = asyncio.Semaphore(READERS)

    async def answer(self, last_event_id: str | None, after: int | None, accept_encoding: str) -> Response:
        """Begin a stream after an offset; the header wins over the parameter, and without either it begins now.

        Raises Retry when it cannot be known yet whether the log has the offset; ProblemError for one client too many.
        """
        live = self.live
        if len(live.clients) >= self.settings.feed_clients:
            raise ProblemError(503, "The stream has all the clients it may have; ask again later, or another feed.")
        if live.cursor is None:
            raise Retry(live.trouble or "The feed is not connected to Kafka; ask again in a moment.")
        if last_event_id:
            if not OFFSET.fullmatch(last_event_id):
                return self._reset(f"The id is no offset: an offset is a number, like {live.cursor}.")
            after = int(last_event_id)
        if after is None:
            after = live.cursor
        if not live.recent.floor <= after <= live.cursor:  # else the broker need not be asked
            bounds = await live.bounds()
            if not bounds.start <= after + 1 <= bounds.end:
                return self._reset(f"The log has the offsets {bounds.start} up to {bounds.end - 1}.")
        return EventStream(self, after, pen_for(accept_encoding))

    def _reset(self, reason: str) -> Response:
        self.metrics.resets.inc()
        return Response(reset(reason), headers={"Cache-Control": "no-store"}, media_type="text/event-stream")


class EventStream(Response):
    """The answer to one client: everything after ``after``, as it comes, until either side ends it."""

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, after: int, pen: Pen) -> None:
        super().__init__(
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept-Encoding"}
        )  # nginx would hold events back
        del self.headers["content-length"]
        if pen.coding != IDENTITY:
            self.headers["Content-Encoding"] = pen.coding
        self._pen = pen
        self._streams = streams
        self._live = streams.live
        self._epoch = streams.live.epoch
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the client; it may resume with the id it saw last, whatever ended the stream."""
        if "gris.head" in scope:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b""})
            return
        client = Client()
        leaving = asyncio.create_task(_departure(client, receive))
        self._count(client, present=True)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._serve(client, send)
            await self._send(send, self._pen.end(), more=False)
        except TooSlow:
            self._streams.metrics.cut_off.inc()  # the answer stays unfinished: the server closes the connection
        finally:
            leaving.cancel()
            self._count(client, present=False)

    async def _serve(self, client: Client, send: Send) -> None:
        live = self._live
        await self._send(send, self._pen.begin() + self._pen.text(b"retry: %d\n\n" % RETRY_MS))
        try:
            if self._after < live.recent.floor:
                async with self._streams.readers:
                    await self._catch_up(client, send)
        except LogGoneError as error:
            await self._send(send, self._pen.text(reset(str(error))))
            return
        except Retry as error:
            log.warning("catch_up_failed", detail=str(error))  # ends the stream; the client comes back with its last id
            return
        while not (live.closing or client.gone):
            client.wake.clear()
            if live.epoch != self._epoch:
                await self._send(send, self._pen.text(reset("The log began anew.")))
                return
            run = live.recent.after(self._after, live.frame, self._pen.chunk)
            if run is None:
                raise TooSlow
            if run:
                self._after = run.last
                await self._send(send, self._pen.run(run))
            else:
                await self._rest(client, send)

    async def _catch_up(self, client: Client, send: Send) -> None:
        """Send from the topic what has left the buffer, up to where the buffer goes on."""
        live = self._live
        async with LineReader.opened(self._streams.settings.kafka) as reader:
            reader.seek(self._after + 1)
            while self._after < live.recent.floor and not (live.closing or client.gone):
                for record in await reader.read(CATCH_UP_WAIT_SECONDS):
                    await self._send(send, self._pen.text(live.frame(Entry(record.offset, record.value))))
                self._after = max(self._after, await reader.position() - 1)

    async def _rest(self, client: Client, send: Send) -> None:
        try:
            async with asyncio.timeout(self._streams.settings.feed_heartbeat_seconds):
                await client.wake.wait()
        except TimeoutError:
            await self._send(send, self._pen.text(b": still here\n\n"))

    async def _send(self, send: Send, content: bytes, *, more: bool = True) -> None:
        try:
            async with asyncio.timeout(self._streams.settings.feed_patience_seconds):
                await send({"type": "http.response.body", "body": content, "more_body": more})
        except TimeoutError:
            raise TooSlow from None

    def _count(self, client: Client, *, present: bool) -> None:
        (self._live.clients.add if present else self._live.clients.discard)(client)
        self._streams.metrics.clients.set(len(self._live.clients))


def reset(reason: str) -> bytes:
    """Write the event that says: fetch the report again, its cursor continues."""
    return b"event: reset\ndata: " + orjson.dumps({"reason": reason}) + b"\n\n"


async def _departure(client: Client, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    client.gone = True
    client.wake.set()
