"""The bench's own broker, engine and workers: on free ports, with all data in one folder, stopped by pid."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy import topics
from deploy.benchmark.catalogue import write_catalogue
from deploy.benchmark.probe import Usage, usage
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Service, poll
from deploy.local.settings import LocalSettings
from deploy.local.stack import Stack, fetch
from schemas.catalogue import load
from schemas.errors import Fatal
from schemas.topics import specs
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import migrate

READY_SECONDS = 90
READY_EVERY = 0.02
STOP_SECONDS = 30


class Worker:
    """One `gris worker` process."""

    def __init__(self, name: str, settings: LocalSettings) -> None:
        self._metrics = f"http://{LOOPBACK}:{settings.metrics_port}"
        self.service = Service(name, settings.data)
        self.pid = self.service.start(
            [sys.executable, "-P", "-m", "deploy.cli", "worker"],
            environment={
                **{name: text for name, text in os.environ.items() if not name.startswith("GRIS_")},
                **{name: text for name, text in settings.masked().items() if name in SETTINGS},
                "GRIS_WORKER_ID": name,
            },
        )

    def wait_ready(self) -> Usage:
        """Return when it has opened its partitions: what it had used up by then."""
        before = usage(self.pid)

        def ready() -> bool:
            nonlocal before
            now = usage(self.pid)
            if fetch(f"{self._metrics}/readyz") is None:
                return False
            before = now  # of the moment before the answer: by now it may be working already
            return True

        end = poll(lambda: ready() or ("dead" if self.service.pid() is None else None), READY_SECONDS, READY_EVERY)
        if end is not True:
            raise Fatal(f"{self.service.name} did not become ready; its log ends with:\n{self.service.log_tail()}")
        return before

    def metrics(self) -> str:
        """Answer what /metrics says."""
        body = fetch(f"{self._metrics}/metrics")
        if body is None:
            raise Fatal(f"{self.service.name} does not answer; its log ends with:\n{self.service.log_tail()}")
        return body.decode()
