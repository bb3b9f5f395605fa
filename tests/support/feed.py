"""The feed for tests: a real server in a thread, and what a test says to it and hears from it."""

import contextlib
import dataclasses
import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import httpx
import pyarrow as pa
import uvicorn
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from deploy import topics as broker
from deploy.local.ports import free_port
from schemas.catalogue import load
from schemas.codec import encode_line
from schemas.topics import DAILY, specs
from sinks.clickhouse.writer import DAY_TOTALS
from sinks.feed.app import FeedServer, create_app
from sinks.feed.line import Line, date_of
from sinks.feed.settings import FeedSettings
from tests.support.wait import wait_for

STOPPED_WITHIN = 15.0
DELIVERED_WITHIN = 20.0
ANSWERED_WITHIN = 20.0
HEARD_WITHIN = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    kind: str
    id: int | None
    data: Any


class Events:
    """An open stream; ``take`` reads the next events, and fails when none comes in time."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def take(self, count: int) -> list[Event]:
        """Read this many events, heartbeats left out."""
        found: list[Event] = []
        fields: dict[str, str] = {}
        for line in self._within():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                number = int(fields["id"]) if "id" in fields else None
                found.append(Event(fields["event"], number, json.loads(fields["data"])))
                fields = {}
                if len(found) == count:
                    return found
        raise AssertionError(f"the stream ended after {found}")

    def ended(self) -> bool:
        """Read to the end of the stream; it must hold nothing more."""
        return not any(self._within())

    def _within(self) -> Iterator[str]:
        """Give line after line of the events, but not for ever: heartbeats come also where nothing else does."""
        deadline = time.monotonic() + HEARD_WITHIN
        for line in self._lines:
            if not line.startswith((":", "retry")):
                yield line
            assert time.monotonic() < deadline, f"not all came within {HEARD_WITHIN:.0f} s"


def served(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask until the answer is not "later" (503), as any client does: on a busy machine the database may be late."""

    def answer() -> httpx.Response | None:
        found = ask()
        return None if found.status_code == httpx.codes.SERVICE_UNAVAILABLE else found

    return wait_for(answer, "the database to answer the feed")


class RunningFeed:
    """A feed that answers at ``url``."""

    def __init__(self, settings: FeedSettings) -> None:
        self.app = create_app(settings)
        self.url = f"http://127.0.0.1:{settings.port}"
        config = uvicorn.Config(self.app, settings.host, settings.port, log_config=None, timeout_graceful_shutdown=5)
        self._server = FeedServer(config, self.app.state.feed)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.http = httpx.Client(base_url=self.url, timeout=20)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_for(lambda: self._server.started or None, "the feed to listen")
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self._server.should_exit = True
        self._thread.join(STOPPED_WITHIN)
        assert not self._thread.is_alive(), "the feed did not stop"

    def ready(self) -> Self:
        """Wait until it says so."""
        wait_for(lambda: self.http.get("/readyz").status_code == httpx.codes.OK, "the feed to be ready")
        return self

    def report(self, day: dt.date | str, **params: str) -> Any:
        """Fetch a day's report."""
        answer = served(lambda: self.http.get(f"/v1/daily/{day}", params=params))
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    @contextlib.contextmanager
    def stream(self, after: int | None = None, last: str | None = None) -> Iterator[Events]:
        """Open the stream."""
        params = {} if after is None else {"after": after}
        headers = {} if last is None else {"Last-Event-ID": last}
        with self.http.stream("GET", "/v1/daily/stream", params=params, headers=headers) as response:
            assert response.status_code == httpx.codes.OK, response.read()
            yield Events(response)


def settings_for(kafka: str, clickhouse: str, **more: Any) -> FeedSettings:
    """Make settings for a feed on a free port."""
    return FeedSettings(kafka=kafka, clickhouse=clickhouse, feed_port=free_port(), **more)


def announce(kafka: str, lines: Sequence[Line | bytes]) -> list[int]:
    """Write lines to gris.daily, as a worker does (bytes are written as they are); their offsets, once acknowledged."""
    producer = Producer({"bootstrap.servers": kafka, "acks": "all", "linger.ms": 0})
    offsets: list[int] = []

    def delivered(error: Any, message: Any) -> None:
        assert error is None, error
        offsets.append(message.offset())

    for line in lines:
        producer.produce(DAILY, key=key_of(line), value=value_of(line), partition=0, on_delivery=delivered)
    assert producer.flush(DELIVERED_WITHIN) == 0
    return offsets


def remove_log(kafka: str) -> None:
    """Delete gris.daily, and wait until it is gone."""
    admin = AdminClient({"bootstrap.servers": kafka})
    if DAILY in admin.list_topics(timeout=ANSWERED_WITHIN).topics:
        for future in admin.delete_topics([DAILY]).values():
            future.result(ANSWERED_WITHIN)
        wait_for(lambda: DAILY not in admin.list_topics(timeout=ANSWERED_WITHIN).topics, "the topic to be gone")


def make_log(kafka: str) -> None:
    """Make gris.daily, empty, as it must be."""
    broker.ensure(kafka, [spec for spec in specs(load()) if spec.name == DAILY])


def key_of(line: Line | bytes) -> bytes:
    """Write the key of a line."""
    return b"?" if isinstance(line, bytes) else f"{date_of(line.day)}|{line.indicator}|{line.breakdown}".encode()


def value_of(line: Line | bytes) -> bytes:
    """Write the value of a line."""
    if isinstance(line, bytes):
        return line
    return encode_line(
        line.day, line.indicator, line.breakdown, line.version, line.updated_at, line.status, line.flags, line.areas
    )


def totals(lines: Sequence[Line]) -> pa.Table:
    """Make the rows of day_totals that say these lines."""
    rows = [
        {
            "bucket": date_of(line.day),
            "indicator": line.indicator,
            "area": area.area,
            "breakdown": line.breakdown,
            "value": _decimal(area.value),
            "min": _decimal(area.low),
            "max": _decimal(area.high),
            "areas_reported": area.areas_reported,
            "areas_expected": area.areas_expected,
            "cells": area.cells,
            "status": line.status,
            "flags": list(line.flags),
            "version": line.version,
            "updated_at": dt.datetime.fromtimestamp(line.updated_at / 1000, dt.UTC),
        }
        for line in lines
        for area in line.areas
    ]
    return pa.Table.from_pylist(rows, schema=DAY_TOTALS)


def _decimal(ticks: int | None) -> Any:
    return None if ticks is None else pa.scalar(ticks, pa.int64()).cast(pa.decimal128(19, 0)).as_py().scaleb(-4)
