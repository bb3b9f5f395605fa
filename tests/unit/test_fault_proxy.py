"""The proxy of the fault harness: it passes on what it is given, and breaks what it is told to break."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from deploy.faults.proxy import Proxy, Trap
from deploy.faults.strikes import end_of_transaction, insert_into
from deploy.local.ports import LOOPBACK, free_port

WITHIN = 10.0


class Echo(socketserver.BaseRequestHandler):
    """Answers every piece with "got " and the piece, and the end with "bye"."""

    def handle(self) -> None:
        while piece := self.request.recv(1 << 16):
            self.request.sendall(b"got " + piece)
        self.request.sendall(b"bye")


class Server(socketserver.ThreadingTCPServer):
    """Many connections, none of which is worth a word when it breaks."""

    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: connections are broken off on purpose."""


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Give a proxy before an echo server."""
    with Server((LOOPBACK, 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        with Proxy(free_port(), server.server_address[1]) as running:
            yield running
        server.shutdown()
        thread.join(WITHIN)


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection((LOOPBACK, proxy.port), WITHIN)


def ask(client: socket.socket, piece: bytes) -> bytes:
    client.sendall(piece)
    return client.recv(1 << 16)


def ended(client: socket.socket) -> bool:
    """Tell whether the other side has broken off or finished."""
    try:
        return client.recv(1 << 16) == b""
    except ConnectionError:
        return True


def test_it_passes_on_what_both_sides_say(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert ask(client, b"one") == b"got one"
        assert ask(client, b"two") == b"got two"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(16) == b"bye"
        assert ended(client)


def test_a_cut_breaks_every_connection_off_and_new_ones_work(proxy: Proxy) -> None:
    with connected(proxy) as one, connected(proxy) as two:
        assert ask(one, b"1") + ask(two, b"2") == b"got 1got 2"
        assert proxy.cut() == 2
        assert ended(one)
        assert ended(two)
    with connected(proxy) as three:
        assert ask(three, b"3") == b"got 3"


def test_half_closed_both_sides_are_told_that_the_other_has_finished(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert ask(client, b"1") == b"got 1"
        assert proxy.half_close() == 1
        assert ended(client)


def test_a_slow_connection_delays_and_a_silent_one_says_nothing_until_it_speaks_again(proxy: Proxy) -> None:
    with connected(proxy) as client:
        proxy.delay(0.1)
        began = time.monotonic()
        assert ask(client, b"slow") == b"got slow"
        assert time.monotonic() - began >= 0.2  # there and back
        proxy.clear()
        proxy.fall_silent()
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ask(client, b"hello?")
        proxy.speak()
        client.settimeout(WITHIN)
        assert client.recv(64) == b"got hello?"


def test_a_server_that_is_down_is_felt_as_such() -> None:
    with Proxy(free_port(), free_port()) as orphan, connected(orphan) as client:
        assert ended(client)


def test_a_trap_keeps_the_answer_of_the_request_that_it_waits_for(proxy: Proxy) -> None:
    trap = Trap(insert_into("ledger"), swallow=True, answer=b"got")
    with connected(proxy) as client:
        proxy.set_trap(trap)
        assert ask(client, b"SELECT 1") == b"got SELECT 1"
        client.sendall(b"POST /?query=INSERT+INTO+%60ledger%60 HTTP/1.1")
        assert ended(client)
        assert trap.sprung.wait(WITHIN)
    with connected(proxy) as client:
        assert ask(client, b"INSERT INTO ledger once more").startswith(b"got")


def test_a_trap_acts_instead_of_passing_a_request_on_or_after_it(proxy: Proxy) -> None:
    seen: list[str] = []
    with connected(proxy) as client:
        proxy.set_trap(Trap(insert_into("day_totals"), instead=lambda: seen.append("instead")))
        client.sendall(b"INSERT INTO day_totals")
        assert ended(client)
    trap = Trap(insert_into("day_totals"), after=lambda: seen.append("after"))
    with connected(proxy) as client:
        proxy.set_trap(trap)
        assert ask(client, b"INSERT INTO day_totals") == b"got INSERT INTO day_totals"
        assert trap.sprung.wait(WITHIN)
    assert seen == ["instead", "after"]


def test_an_insert_is_told_by_its_table_and_a_commit_by_its_api_key() -> None:
    into = insert_into("observations")
    assert into(b"POST /?query=INSERT+INTO+observations+%28a%29 HTTP/1.1\r\n")
    assert into(b"INSERT INTO `gris`.`observations` (a)")
    assert not into(b"POST /?query=INSERT+INTO+observations_old HTTP/1.1\r\n")
    assert not into(b"POST /?query=SELECT+1+FROM+observations HTTP/1.1\r\n")
    request = (26).to_bytes(2) + b"\x00\x01" + b"rest"
    assert end_of_transaction(len(request).to_bytes(4) + request)
    assert not end_of_transaction(len(request).to_bytes(4) + request + b"more")
    assert not end_of_transaction((4).to_bytes(4) + (3).to_bytes(2) + b"\x00\x01")
