"""Ports of this machine: whether one is free, and who holds it when it is not."""

import contextlib
import secrets
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOWEST, EPHEMERAL = 12_000, 32_768  # where Linux begins to number outgoing connections
LISTENING = 1.0  # seconds for a connection
LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp

_claims: list[socket.socket] = []


def free_port() -> int:
    """Answer a port that nobody uses or has been given by this.

    None of those that the system gives to outgoing connections: one of these would be gone again in no time. It stays
    bound, without listening, while this process lives: a server that sets SO_REUSEADDR, as ours, Java's and Python's
    do, may listen on it, also once more after it was killed, and whoever looks for a free port meanwhile finds another.
    """
    while True:
        port = LOWEST + secrets.randbelow(EPHEMERAL - LOWEST)
        claim = socket.socket()
        try:
            claim.bind((LOOPBACK, port))
        except OSError:
            claim.close()
            continue
        # Only now: else two who claim the same port would both be let.
        claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _claims.append(claim)
        return port


def is_taken(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether something already listens on the port; at a name that leads nowhere, nothing does."""
    # A name with an empty or overlong part fails before anybody is asked, as UnicodeError.
    with contextlib.suppress(OSError, UnicodeError), socket.create_connection((host, port), LISTENING):
        return True
    return False


def holder(port: int) -> str:
    """Describe who listens on ``port``, as far as one may see: ``java (pid 4711)`` or ``another program``."""
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if table.exists():
            rows = (row.split() for row in table.read_text().splitlines()[1:])
            inodes |= {row[9] for row in rows if row[3] == LISTEN and int(row[1].rpartition(":")[2], 16) == port}
    sockets = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:  # ended meanwhile, or somebody else's
            continue
    return "another program"
