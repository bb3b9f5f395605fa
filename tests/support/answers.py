"""A server that says the same to everybody."""

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def answering(words: bytes) -> Iterator[int]:
    """Say ``words`` to whoever connects to a port of this machine, which is given, and hang up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                client, _ = server.accept()
                with client:
                    if client.recv(4096):
                        client.sendall(words)

        def quietly() -> None:
            with contextlib.suppress(OSError):  # the server is closed, or somebody left early
                serve()

        threading.Thread(target=quietly, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
