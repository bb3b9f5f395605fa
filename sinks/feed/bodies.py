"""Bodies that were sent before: as long as nothing changed, the same question is answered without thinking."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sinks.feed.live import Live

Question = tuple[str, bytes]  # path and query string, as they came
HELD_BYTES = 64 << 20
NOT_MODIFIED = 304
OK = 200


@dataclass(frozen=True, slots=True)
class Body:
    """One answer; it holds while the live state's stamp is ``stamp``."""

    stamp: tuple[int, int]
    etag: bytes
    content: bytes

    @classmethod
    def of(cls, stamp: tuple[int, int], content: bytes) -> "Body":
        """Make a body; its ETag is a digest of the content, so equal answers have equal tags in every process."""
        return cls(stamp, b'"' + hashlib.blake2b(content, digest_size=12).hexdigest().encode() + b'"', content)

    def is_known(self, if_none_match: bytes) -> bool:
        """Tell whether the client has this body, by its If-None-Match (weak comparison, RFC 9110, 13.1.2)."""
        known = {tag.strip().removeprefix(b"W/") for tag in if_none_match.split(b",")}
        return self.etag in known or b"*" in known

    def response(self, if_none_match: str) -> Response:
        """Answer with the body, or with 304."""
        headers = {"ETag": self.etag.decode(), "Cache-Control": "no-cache"}
        if self.is_known(if_none_match.encode()):
            return Response(status_code=NOT_MODIFIED, headers=headers)
        return Response(self.content, headers=headers, media_type="application/json")

    async def send(self, scope: Scope, send: Send) -> None:
        """Answer as ``response`` does, without making one."""
        given = b",".join(value for name, value in scope["headers"] if name == b"if-none-match")
        headers = [(b"etag", self.etag), (b"cache-control", b"no-cache")]
        if self.is_known(given):
            await send({"type": "http.response.start", "status": NOT_MODIFIED, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.content))]
        await send({"type": "http.response.start", "status": OK, "headers": headers})
        await send({"type": "http.response.body", "body": self.content})


class Bodies:
    """The bodies of the last questions, by question; the least recently asked leave beyond ``HELD_BYTES``."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[Question, Body] = OrderedDict()
        self._held = 0

    def get(self, question: Question, stamp: tuple[int, int] | None) -> Body | None:
        """Give the body of a question when it still holds."""
        body = self._bodies.get(question)
        if body is None or body.stamp != stamp:
            return None
        self._bodies.move_to_end(question)
        return body

    def put(self, question: Question, body: Body) -> None:
        """Keep a body."""
        self._drop(question)
        self._bodies[question] = body
        self._held += len(body.content)
        while self._held > HELD_BYTES and len(self._bodies) > 1:
            self._drop(next(iter(self._bodies)))

    def _drop(self, question: Question) -> None:
        body = self._bodies.pop(question, None)
        self._held -= 0 if body is None else len(body.content)


class Shortcut:
    """Middleware: answers a GET whose body still holds before routing, validation and all the rest."""

    def __init__(self, app: ASGIApp, bodies: Bodies, live: Live) -> None:
        self._app = app
        self._bodies = bodies
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] == "http" and scope["method"] == "GET":
            body = self._bodies.get(question_of(scope), self._live.stamp)
            if body is not None:
                scope["gris.route"] = "shortcut"
                await body.send(scope, send)
                return
        await self._app(scope, receive, send)


def question_of(scope: Scope) -> Question:
    """Name a request's question."""
    return scope["path"], scope["query_string"]
