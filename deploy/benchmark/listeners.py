"""Many clients of the feed's stream in one process. ``python -m deploy.benchmark.listeners PORT COUNT ALL ANSWER``.

The first client reads what it is told; the others only take it, or, if ALL is 1, look for ids. It says "ready"
once every client has its headers, runs until SIGTERM, and writes what came when: lines of JSON. On SIGUSR1 it writes
what came so far.
"""

import contextlib
import json
import re
import resource
import selectors
import signal
import socket
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from deploy.local.ports import LOOPBACK

# Deflated, as browsers ask for it.
REQUEST = (
    b"GET /v1/daily/stream HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\nAccept-Encoding: deflate\r\n\r\n"
)
AT_ONCE = 1 << 20
ID = re.compile(rb"^id: (\d+)$", re.MULTILINE)
END = b"\n\n"
HEAD_END = b"\r\n\r\n"
CHUNK_END = b"\r\n"
DEFLATED = b"\r\ncontent-encoding: deflate\r\n"


class Reader:
    """Takes the body of a chunked answer apart into events, deflated or not."""

    def __init__(self) -> None:
        self._raw = bytearray()
        self._body = b""
        self._begun = False
        self._inflate: Callable[[bytes], bytes] = bytes

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; give the events that are complete."""
        self._raw += data
        if not self._begun:
            at = self._raw.find(HEAD_END)
            if at < 0:
                return []
            if DEFLATED in bytes(self._raw[: at + 2]).lower():
                self._inflate = zlib.decompressobj().decompress
            del self._raw[: at + len(HEAD_END)]
            self._begun = True
        while (at := self._raw.find(CHUNK_END)) >= 0:
            size = int(self._raw[:at], 16)
            if len(self._raw) < at + size + 2 * len(CHUNK_END):
                break
            self._body += self._inflate(bytes(self._raw[at + 2 : at + 2 + size]))
            del self._raw[: at + size + 4]
        *whole, self._body = self._body.split(END)
        return whole


def main(port: int, count: int, every: bool, answers: Path) -> None:
    """Listen until told to stop."""
    told: set[int] = set()
    for signalled in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(signalled, lambda number, _: told.add(number))
    watching = _connected(port, count)
    waiting = set(range(count))
    readers = [Reader() for _ in range(count if every else 1)]
    heard: list[tuple[float, int, str, str, int]] = []  # when, client, indicator, bucket, version
    ids: list[tuple[float, int, int]] = []  # when, client, id
    taken = 0

    def write() -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        staged = answers.with_suffix(".new")
        staged.write_text(
            json.dumps({"heard": heard, "ids": ids, "bytes": taken, "cpu_seconds": used.ru_utime + used.ru_stime})
        )
        staged.replace(answers)

    while signal.SIGTERM not in told:
        if signal.SIGUSR1 in told:
            told.remove(signal.SIGUSR1)
            write()
        for key, _ in watching.select(0.2):
            number, connected = key.data
            with contextlib.suppress(BlockingIOError):
                data = connected.recv(AT_ONCE)
                now = time.time()
                taken += len(data)
                if not data:
                    raise SystemExit(f"client {number} of the stream was cut off")
                if waiting and waiting <= {number}:
                    print("ready", flush=True)
                waiting.discard(number)
                events = readers[number].feed(data) if number < len(readers) else []
                if every:
                    ids += [(now, number, int(found[1])) for found in map(ID.search, events) if found]
                if number == 0:
                    heard += [(now, 0, *line) for line in map(_line, events) if line is not None]
    write()


def _connected(port: int, count: int) -> selectors.BaseSelector:
    """Open so many streams; each is registered with its number and itself."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    watching = selectors.DefaultSelector()
    for number in range(count):
        client = socket.create_connection((LOOPBACK, port))
        client.sendall(REQUEST)
        client.setblocking(False)
        watching.register(client, selectors.EVENT_READ, (number, client))
    return watching


def _line(event: bytes) -> tuple[str, str, int] | None:
    """Give indicator, bucket and version of a line; None for a heartbeat."""
    at = event.find(b"data: ")
    if at < 0 or b"event: line" not in event:
        return None
    line = json.loads(event[at + 6 :])
    return line["indicator"], line["bucket"], line["version"]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1", Path(sys.argv[4]))
