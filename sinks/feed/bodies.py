"""Bodies that were sent before: as long as nothing changed, the same question is answered without thinking.

A body is written once, by the first who asks; who asks meanwhile waits for it. Each coding of it is made once, in a
thread, for the first client that takes it.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sinks.feed.coding import CODERS, IDENTITY, chosen
from sinks.feed.live import Live

Question = tuple[str, bytes]  # path and query string, as they came
Stamp = tuple[int, int]
Header = tuple[bytes, bytes]
HELD_BYTES = 64 << 20
WITH_CODINGS = 2  # each of two codings takes less than half of the plain JSON
SMALL = 1024  # bytes, below which coding saves no packet
NOT_MODIFIED = 304
OK = 200


class Coded(NamedTuple):
    """A body in one coding, with the headers of a 200 and of a 304."""

    content: bytes
    etag: bytes
    headers: list[Header]
    known: list[Header]


class Body:
    """One answer; it holds while the live state's stamp is ``stamp``.

    Its ETags are strong: a digest of the content, and the coding, for other bytes need another tag (RFC 9110, 8.8.3.3).
    Equal answers have equal tags in every process.
    """

    def __init__(self, stamp: Stamp, content: bytes) -> None:
        self.stamp = stamp
        self.content = content
        self._digest = hashlib.blake2b(content, digest_size=12).hexdigest()
        self._coded: dict[str, Coded] = {}
        self._coding: dict[str, asyncio.Task[Coded]] = {}

    async def send(self, scope: Scope, send: Send) -> None:
        """Answer with the body in the coding the client likes best, or with 304 when it has that (If-None-Match)."""
        accepted = given = b""
        for name, value in scope["headers"]:
            if name == b"accept-encoding":
                accepted = value if not accepted else accepted + b"," + value
            elif name == b"if-none-match":
                given = value if not given else given + b"," + value
        coding = chosen(accepted.decode("latin-1")) if len(self.content) >= SMALL else IDENTITY
        coded = self._coded.get(coding) or await self._in(coding)
        if given and _is_known(coded.etag, given):
            await send({"type": "http.response.start", "status": NOT_MODIFIED, "headers": coded.known})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "http.response.start", "status": OK, "headers": coded.headers})
            await send({"type": "http.response.body", "body": coded.content})

    async def _in(self, coding: str) -> Coded:
        """Code the body, once for all who wait for it, whether they stay or not."""
        if coding == IDENTITY:
            self._coded[coding] = self._code(coding)
            return self._coded[coding]
        if coding not in self._coding:
            self._coding[coding] = asyncio.create_task(asyncio.to_thread(self._code, coding))
        self._coded[coding] = await asyncio.shield(self._coding[coding])
        return self._coded[coding]

    def _code(self, coding: str) -> Coded:
        content = CODERS[coding](self.content)
        etag = f'"{self._digest}"' if coding == IDENTITY else f'"{self._digest}-{coding}"'
        known = [(b"etag", etag.encode()), (b"cache-control", b"no-cache"), (b"vary", b"Accept-Encoding")]
        told = [*known, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        if coding != IDENTITY:
            told.append((b"content-encoding", coding.encode()))
        return Coded(content, etag.encode(), told, known)


class BodyResponse(Response):
    """A body as the answer of a route."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Answer."""
        await self._body.send(scope, send)


class Bodies:
    """The bodies of the last questions, by question; the least recently asked leave beyond ``HELD_BYTES``."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[Question, Body] = OrderedDict()
        self._making: dict[tuple[Question, Stamp | None], asyncio.Task[Body]] = {}
        self._held = 0

    def get(self, question: Question, stamp: Stamp | None) -> Body | None:
        """Give the body of a question when it still holds."""
        body = self._bodies.get(question)
        if body is None or body.stamp != stamp:
            return None
        self._bodies.move_to_end(question)
        return body

    async def made(self, question: Question, stamp: Stamp | None, make: Callable[[], Awaitable[Body]]) -> Body:
        """Give the body that ``make`` makes, or that is being made for somebody who asked the same a moment ago."""
        key = question, stamp
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = asyncio.create_task(self._make(question, make))
            making.add_done_callback(lambda _: self._making.pop(key))
        return await asyncio.shield(making)  # who leaves does not take it from the others

    async def _make(self, question: Question, make: Callable[[], Awaitable[Body]]) -> Body:
        body = await make()
        self._drop(question)
        self._bodies[question] = body
        self._held += WITH_CODINGS * len(body.content)
        while self._held > HELD_BYTES and len(self._bodies) > 1:
            self._drop(next(iter(self._bodies)))
        return body

    def _drop(self, question: Question) -> None:
        body = self._bodies.pop(question, None)
        self._held -= 0 if body is None else WITH_CODINGS * len(body.content)


class Shortcut:
    """Middleware: answers a GET whose body still holds before routing, validation and all the rest.

    A HEAD is asked on as the GET it stands for (RFC 9110, 9.3.2); the server sends the head of the answer only.
    """

    def __init__(self, app: ASGIApp, bodies: Bodies, live: Live) -> None:
        self._app = app
        self._bodies = bodies
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
            await self._app(scope, receive, send)
            return
        body = self._bodies.get(question_of(scope), self._live.stamp)
        if body is not None:
            scope["gris.route"] = "shortcut"
            await body.send(scope, send)
        elif scope["method"] == "GET":
            await self._app(scope, receive, send)
        else:
            await self._app({**scope, "method": "GET", "gris.head": True}, receive, send)


def question_of(scope: Scope) -> Question:
    """Name a request's question."""
    return scope["path"], scope["query_string"]


def _is_known(etag: bytes, if_none_match: bytes) -> bool:
    """Tell whether the tag is among those of If-None-Match, compared weakly (RFC 9110, 13.1.2)."""
    if if_none_match == etag:
        return True
    known = {tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")}
    return etag in known or b"*" in known
