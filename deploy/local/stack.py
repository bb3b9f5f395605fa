"""The parts of GRIS on one machine: broker, database, worker, feed. Each can be started, asked and stopped."""

import json
import sys
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

from deploy import topics
from deploy.local.kafka import Broker
from deploy.local.ports import LOOPBACK, holder, is_taken
from deploy.local.process import Service
from deploy.local.settings import Address, LocalSettings
from schemas.errors import Fatal
from schemas.settings import masked

STARTED, RUNNING, FOUND = "started", "was running already", "is somebody else's and is used as it is"
READY_SECONDS = 180
PROBE_SECONDS = 2.0
STOP_SECONDS = {"feed": 10.0, "worker": 20.0, "clickhouse": 30.0, "kafka": 30.0}

_direct = build_opener(ProxyHandler({}))  # a proxy of the environment knows nothing of loopback


def fetch(url: str) -> bytes | None:
    """Answer the body when ``url`` (of this machine) answers 200 within two seconds, else None."""
    try:
        with _direct.open(url, timeout=PROBE_SECONDS) as answer:
            body: bytes = answer.read()
            return body
    except (OSError, HTTPException, UnicodeError):  # refused, timed out, another status, no HTTP; no name at all
        return None


class Stack:
    """The four processes with their data, pid files and logs in ``settings.data``."""

    def __init__(self, settings: LocalSettings) -> None:
        self.settings = settings
        self.data: Path = settings.data.resolve()
        self.broker = Broker(self.data / "kafka" / "data", settings.broker.port, folder=self.data)
        self.services = {name: Service(name, self.data) for name in STOP_SECONDS}
        self.services["kafka"] = self.broker.service

    def kafka_answers(self) -> bool:
        """Whether a broker answers at GRIS_KAFKA."""
        at = self.settings.broker
        return is_taken(at.port, at.host) and topics.reachable(self.settings.kafka)

    def clickhouse_answers(self) -> bool:
        """Whether a ClickHouse answers at GRIS_CLICKHOUSE."""
        return (fetch(f"{self.settings.engine_url}/ping") or b"").strip() == b"Ok."

    def worker_is_ready(self) -> bool:
        """Whether the worker has opened its partitions and nothing is in its way."""
        return fetch(f"http://{self.settings.worker_metrics}/readyz") is not None

    def feed_is_ready(self) -> bool:
        """Whether the feed can answer from both broker and database."""
        return fetch(f"http://{self.settings.feed}/readyz") is not None

    def start_kafka(self) -> str:
        """Have a broker at GRIS_KAFKA; say how it came to be there."""
        at = self.settings.broker
        about = f"{LOOPBACK}:{at.port}"
        return self._have("kafka", at, "GRIS_KAFKA", about, self.kafka_answers, self.broker.start)

    def start_clickhouse(self) -> str:
        """Have a ClickHouse at GRIS_CLICKHOUSE; say how it came to be there."""
        at = self.settings.engine
        about = f"{LOOPBACK}:{at.port}"
        service = self.services["clickhouse"]

        def start() -> None:
            path = str(self.data / "clickhouse")
            service.start(
                [sys.executable, "-P", "-m", "deploy.local.clickhouse", "--path", path, "--port", str(at.port)], about
            )
            service.wait_ready(self.clickhouse_answers, READY_SECONDS)

        return self._have("clickhouse", at, "GRIS_CLICKHOUSE", about, self.clickhouse_answers, start)

    def start_worker(self) -> str:
        """Have one worker, unsupervised, and return when it is ready."""
        return self._have_program("worker", self.settings.worker_metrics, "GRIS_METRICS_PORT", self.worker_is_ready)

    def start_feed(self) -> str:
        """Have the feed and return when it is ready."""
        return self._have_program("feed", self.settings.feed, "GRIS_FEED_PORT", self.feed_is_ready)

    def stop(self, name: str) -> bool:
        """Stop the service; False when it was not running."""
        return self.services[name].stop(STOP_SECONDS[name])

    def report(self, path: str) -> Any:
        """Ask the feed for JSON; None when it does not answer."""
        body = fetch(f"http://{self.settings.feed}{path}")
        return None if body is None else json.loads(body)

    def _have_program(self, name: str, at: Address, variable: str, ready: Callable[[], bool]) -> str:
        service = self.services[name]
        settings = self.settings
        about = " ".join(
            (str(at), settings.kafka, masked("clickhouse", settings.clickhouse), str(settings.catalogue or "bundled"))
        )

        def start() -> None:
            service.start([sys.executable, "-P", "-m", "deploy.cli", name], about)
            service.wait_ready(ready, READY_SECONDS)

        # Whoever else answers there serves another report: it is never used as ours.
        return self._have(name, at, variable, about, ready, start, ours_only=True)

    def _have(
        self,
        name: str,
        at: Address,
        variable: str,
        about: str,
        answers: Callable[[], bool],
        start: Callable[[], None],
        *,
        ours_only: bool = False,
    ) -> str:
        service = self.services[name]
        if (pid := service.pid()) is not None:
            if service.about() != about:
                raise Fatal(
                    f"{name} of this checkout already runs (pid {pid}) with other settings ({service.about()}): "
                    "run ./deploy/down first, or set the GRIS_ variables as they were."
                )
            service.wait_ready(answers, READY_SECONDS)  # an earlier `up` was cut short, or it recovers just now
            return RUNNING
        asked_for = variable.removeprefix("GRIS_").lower() in self.settings.model_fields_set
        if not ours_only and (asked_for or not at.is_loopback) and answers():
            return FOUND
        if not at.is_loopback and not ours_only:
            raise Fatal(f"Nothing answers at {at}: start it, or correct {variable}.")
        if is_taken(at.port, at.host):
            raise Fatal(f"Port {at.port} is taken by {holder(at.port)}: stop it, or set {variable} to another port.")
        start()
        return STARTED
