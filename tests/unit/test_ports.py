"""A free port is given once: to nobody else until its process ends, and again to the server it was chosen for."""

import itertools
import secrets
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from deploy.local.ports import LOOPBACK, LOWEST, free_port, is_taken

OF_ANOTHER_PROCESS = """
import secrets, sys
numbers = map(int, sys.argv[1:])
secrets.randbelow = lambda _: next(numbers)
from deploy.local.ports import free_port
print(free_port())
"""


def listening(port: int) -> socket.socket:
    """Listen as servers do."""
    return socket.create_server((LOOPBACK, port))  # with SO_REUSEADDR


def test_a_port_is_given_once_and_nobody_listens_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = free_port(), free_port()
    assert not is_taken(first)
    draws = itertools.chain([first, other, first], iter(lambda: secrets.randbits(14) + LOWEST, None))
    monkeypatch.setattr("deploy.local.ports.secrets.randbelow", lambda _: next(draws) - LOWEST)
    assert free_port() not in {first, other}


def test_another_process_is_given_another_port() -> None:
    first, other = free_port(), free_port()
    drawn = [str(port - LOWEST) for port in (first, other, first)]
    fresh = [str(number) for number in range(500, 520)]
    command = [sys.executable, "-P", "-c", OF_ANOTHER_PROCESS, *drawn, *fresh]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert LOWEST + 500 <= int(ran.stdout) < LOWEST + 520


def test_a_server_may_listen_on_it_and_again_after_it_has_ended() -> None:
    port = free_port()
    for _ in range(2):
        with closing(listening(port)) as server:
            assert is_taken(port)
            with socket.create_connection((LOOPBACK, port)):
                accepted, _ = server.accept()
                accepted.close()
        assert not is_taken(port)
