"""Ask one URL over and over on connections kept alive. ``python -m deploy.benchmark.requests JOB``, a process.

A closed loop: each connection asks again as soon as it is answered. It answers with a line of JSON on its output.
"""

import dataclasses
import json
import selectors
import socket
import sys
import time

from deploy.local.ports import LOOPBACK

AT_ONCE = 1 << 20
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """GET ``path`` with ``headers`` on so many ``connections`` for ``seconds``; what comes must have ``status``."""

    port: int
    path: str
    headers: dict[str, str]
    connections: int
    seconds: float
    status: int


@dataclasses.dataclass(frozen=True, slots=True)
class Answered:
    """How many answers of how many bytes (heads included) came in ``seconds``; latencies in milliseconds."""

    answers: int
    bytes: int
    seconds: float
    p50_ms: float
    p99_ms: float


class _Connection:
    """One connection and its answer that has not come whole yet."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection((LOOPBACK, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._head = b""
        self._left = 0
        self.asked = 0.0

    def ask(self) -> None:
        self.asked = time.perf_counter()
        self.socket.sendall(self._request)

    def took(self, data: bytes, status: bytes) -> bool:
        """Take bytes; say whether the answer is whole now. Raises SystemExit for another status."""
        if self._left:
            self._left -= len(data)
            return self._left == 0
        self._head += data
        at = self._head.find(HEAD_END)
        if at < 0:
            return False
        if self._head[9:12] != status:
            raise SystemExit(f"answered {self._head[:at].decode(errors='replace')}")
        lower = self._head[:at].lower() + b"\r\n"
        begin = lower.find(LENGTH)
        length = 0 if begin < 0 else int(lower[begin + len(LENGTH) : lower.index(b"\r\n", begin)])
        self._left = length - (len(self._head) - at - len(HEAD_END))
        self._head = b""
        return self._left == 0


def work(job: Job) -> Answered:
    """Ask until the time is over."""
    lines = [f"GET {job.path} HTTP/1.1", "Host: bench", *(f"{name}: {value}" for name, value in job.headers.items())]
    request = "\r\n".join([*lines, "", ""]).encode()
    status = str(job.status).encode()
    watching = selectors.DefaultSelector()
    for _ in range(job.connections):
        connection = _Connection(job.port, request)
        watching.register(connection.socket, selectors.EVENT_READ, connection)
        connection.ask()
    took: list[float] = []
    size = 0
    began = time.perf_counter()
    while time.perf_counter() - began < job.seconds:
        for key, _ in watching.select(1.0):
            connection = key.data
            data = connection.socket.recv(AT_ONCE)
            if not data:
                raise SystemExit("the feed closed a connection")
            size += len(data)
            if connection.took(data, status):
                took.append(time.perf_counter() - connection.asked)
                connection.ask()
    seconds = time.perf_counter() - began
    took.sort()
    middle, late = (round(took[min(int(share * len(took)), len(took) - 1)] * 1000, 2) for share in (0.5, 0.99))
    return Answered(len(took), size, round(seconds, 3), middle, late)


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(work(Job(**json.loads(sys.argv[1]))))))
