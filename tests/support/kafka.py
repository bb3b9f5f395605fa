"""A real broker for tests: on a free port, with a small heap and its data in a folder of the test."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.local.kafka import BRIEF, Broker
from deploy.local.ports import free_port

HEAP = "384m"


@contextlib.contextmanager
def running_kafka(path: Path, properties: Mapping[str, str] | None = None) -> Iterator[Broker]:
    """Run a broker with its data in ``path``: ``.bootstrap`` to connect, ``.kill()`` and ``.start()`` to crash it."""
    broker = Broker(path, free_port(), heap=HEAP, jvm=BRIEF, properties=properties)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
