"""Clients of the feed as raw sockets under uvloop, which read as little of an answer as they must."""

import asyncio
import collections
import dataclasses
import datetime as dt
import re
import resource
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from schemas.errors import Fatal

ANSWER_SECONDS = 30.0
CONNECTING = 200  # clients that connect at one time: more would overflow a listen queue of usual length
FILES_BESIDE = 64
MATTER = 1 << 18  # bytes read at a time
CRLF = b"\r\n"
HEAD_END = CRLF + CRLF
OK = b"200"
DEFLATED = re.compile(rb"\r\ncontent-encoding: *deflate", re.IGNORECASE)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
ID = re.compile(rb"\nid: (\d+)\n")
EVENT = re.compile(rb"event: (\w+)\n(?:id: (\d+)\n)?data: (.*)\n\n")
TAIL = 32  # bytes in which an id may be cut in two


@dataclasses.dataclass(slots=True)
class Answers:
    """What the connections of one load have got: seconds of each answer, how many of each status, the last size."""

    until: float
    times: list[float] = dataclasses.field(default_factory=list)
    statuses: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    size: int = 0
    seconds: float = 0.0

    def over(self) -> bool:
        """Tell whether the load's time is up."""
        return time.perf_counter() >= self.until


async def ask(url: str, path: str, headers: Mapping[str, str], seconds: float, connections: int) -> Answers:
    """Ask for ``path`` over so many kept connections, each again as soon as it has the answer, and at least once."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    answers = Answers(began + seconds)
    asked = request(url, path, headers)
    host, port = address(url)
    askers = [(await loop.create_connection(lambda: _Asker(asked, answers), host, port))[1] for _ in range(connections)]
    async with asyncio.timeout(seconds + ANSWER_SECONDS):
        await asyncio.gather(*(asker.ended for asker in askers))
    answers.seconds = time.perf_counter() - began
    return answers


class Ears:
    """Clients of the stream, and what they have heard: by id the first and the last arrival, seconds since 1970."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.connect_seconds = 0.0
        self.first: dict[int, float] = {}
        self.last: dict[int, float] = {}
        self.behind: dict[int, float] = {}  # by id, the age of the line when it arrived, in seconds
        self.repeated = 0
        self.resets = 0
        self.bytes = 0
        self.matter = bytearray(MATTER)  # shared: what is in it is looked at before the next client is called
        self._url = url
        self._request = request(url, "/v1/daily/stream", headers)
        self._ears: list[_Ear] = []

    async def connect(self, clients: int, listening: int, silent: int) -> None:
        """Connect all, and return once each that is not ``silent`` has the head of its answer."""
        _open_files(clients + silent + FILES_BESIDE)
        loop = asyncio.get_running_loop()
        host, port = address(self._url)
        gate = asyncio.Semaphore(CONNECTING)

        async def one(number: int) -> None:
            ear = _Ear(self, self._request, listens=number < listening, whole=number == 0, silent=number >= clients)
            self._ears.append(ear)
            async with gate:
                await loop.create_connection(lambda: ear, host, port)
                await ear.answered

        began = time.perf_counter()
        async with asyncio.timeout(ANSWER_SECONDS):
            await asyncio.gather(*map(one, range(clients + silent)))
        self.connect_seconds = time.perf_counter() - began

    @property
    def left(self) -> int:
        """How many connections have ended."""
        return sum(ear.left for ear in self._ears)

    @property
    def fewest(self) -> int:
        """How many events the client has that listens, is still there and has fewest."""
        return min((ear.heard for ear in self._ears if ear.listens and not ear.left), default=0)


def request(url: str, path: str, headers: Mapping[str, str]) -> bytes:
    """Write a GET."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {urlsplit(url).netloc}",
        *(f"{name}: {said}" for name, said in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def address(url: str) -> tuple[str, int]:
    """Give host and port of ``http://host:port``."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80


class _Asker(asyncio.BufferedProtocol):
    """One kept connection."""

    def __init__(self, asked: bytes, answers: Answers) -> None:
        self._asked = asked
        self._answers = answers
        self._matter = bytearray(MATTER)
        self._head = b""
        self._left = 0  # bytes of the body that are to come; 0 between answers
        self._began = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._ask()

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - asyncio
        return self._matter

    def buffer_updated(self, nbytes: int) -> None:
        if self._left:
            self._left -= nbytes
        else:
            self._head += self._matter[:nbytes]
            end = self._head.find(HEAD_END)
            if end < 0:
                return
            length = LENGTH.search(self._head, 0, end)
            self._answers.size = 0 if length is None else int(length[1])
            self._answers.statuses[int(self._head[9:12])] += 1
            self._left = self._answers.size + end + len(HEAD_END) - len(self._head)
            self._head = b""
        if self._left <= 0:
            self._answers.times.append(time.perf_counter() - self._began)
            self._left = 0
            if self._answers.over():
                self._transport.close()
            else:
                self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answers.over():
            self.ended.set_result(None)
        else:
            self.ended.set_exception(Fatal(f"The feed closed a kept connection ({exc or 'in order'})."))

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._asked)


class _Ear(asyncio.BufferedProtocol):
    """One client of the stream: what many of them do for every byte must be little."""

    def __init__(self, ears: Ears, asked: bytes, *, listens: bool, whole: bool, silent: bool) -> None:
        self.listens = listens and not silent
        self.heard = 0
        self.left = False
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ears = ears
        self._asked = asked
        self._whole = whole  # reads lines too, and tells how old they are
        self._silent = silent
        self._unpack: Callable[[bytes], bytes] = _same
        self._rest = b""
        self._last = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        ours: Any = transport
        ours.write(self._asked)
        if self._silent:
            ours.pause_reading()
            self.answered.set_result(None)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - asyncio
        return self._ears.matter

    def buffer_updated(self, nbytes: int) -> None:
        self._ears.bytes += nbytes
        if not self.answered.done():
            self._answer(bytes(self._ears.matter[:nbytes]))
        elif self.listens:
            self._hear(bytes(self._ears.matter[:nbytes]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio
        self.left = True
        if not self.answered.done():
            self.answered.set_exception(Fatal("The feed closed a stream before it answered."))

    def _answer(self, said: bytes) -> None:
        self._rest += said
        head, ended, body = self._rest.partition(HEAD_END)
        if ended and head[9:12] != OK:
            self.answered.set_exception(Fatal(f"The stream answers {head[9:12].decode()}."))
        elif ended:
            self.answered.set_result(None)
            self._rest = b""
            if DEFLATED.search(head):
                self._unpack = _Deflated().text
            self._hear(body)

    def _hear(self, said: bytes) -> None:
        self._rest += self._unpack(said)
        (self._read if self._whole else self._look)()

    def _look(self) -> None:
        """Note the ids, and keep what may be the beginning of one."""
        end = 0
        for found in ID.finditer(self._rest):
            self._note(int(found[1]), time.time())
            end = found.end()
        self._rest = self._rest[max(end, len(self._rest) - TAIL) :]

    def _read(self) -> None:
        """Note ids and ages, and keep what may be the beginning of an event."""
        end, now = 0, time.time()
        for found in EVENT.finditer(self._rest):
            end = found.end()
            if found[2] is None:
                self._ears.resets += 1
                continue
            self._note(int(found[2]), now)
            said = dt.datetime.fromisoformat(orjson.loads(found[3])["updated_at"])
            self._ears.behind[int(found[2])] = now - said.timestamp()
        self._rest = self._rest[end:]

    def _note(self, offset: int, now: float) -> None:
        self.heard += 1
        self._ears.repeated += offset <= self._last
        self._last = offset
        self._ears.first.setdefault(offset, now)
        self._ears.last[offset] = now


class _Deflated:
    """The text of a chunked and deflated answer (RFC 9112, 7.1), as its bytes come."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj()
        self._rest = b""

    def text(self, said: bytes) -> bytes:
        """Give what these bytes add, as far as whole chunks go."""
        self._rest += said
        texts: list[bytes] = []
        while True:
            size, ended, rest = self._rest.partition(CRLF)
            length = int(size, 16) if ended else 0
            if not ended or len(rest) < length + len(CRLF):
                return b"".join(texts)
            texts.append(self._inflate.decompress(rest[:length]))
            self._rest = rest[length + len(CRLF) :]


def _same(said: bytes) -> bytes:
    """Give what need not be unpacked: between chunks stand sizes, which no pattern of ours takes for text."""
    return said


def _open_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
