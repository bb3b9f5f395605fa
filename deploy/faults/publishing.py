"""Publish a workload while things break: a thread that sends no more than it is allowed to, no faster than it may."""

import collections
import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from deploy.benchmark.packing import Message
from deploy.benchmark.publish import has_librdkafka, librdkafka
from deploy.benchmark.workload import Workload
from producers.publisher import Message as Record
from producers.publisher import Publisher
from producers.settings import PublisherSettings
from schemas.errors import GrisError, Retry

PATIENCE_SECONDS = 300.0  # for one slice, while the broker is away
SLICES_A_SECOND = 10


class Publishing(threading.Thread):
    """Publishes ``workload`` at ``rate`` events/s, up to what ``allow`` said last.

    ``fast``: by librdkafka where it is installed, which takes less of the machine than our own publisher.
    """

    def __init__(self, workload: Workload, bootstrap: str, rate: float, *, fast: bool = False) -> None:
        super().__init__(name="publishing", daemon=True)
        self.confirmed: collections.Counter[str] = collections.Counter()
        """How many records of each topic the broker has confirmed."""
        self.error: GrisError | None = None
        self._workload = workload
        self._servers = bootstrap
        self._rate = rate
        self._fast = fast and has_librdkafka()
        self._allowed = 0
        self._changed = threading.Condition()
        self._given_up = False

    def allow(self, events: int) -> None:
        """Let it publish up to so many events in all."""
        with self._changed:
            self._allowed = max(self._allowed, events)
            self._changed.notify_all()

    def hurry(self) -> None:
        """Let it publish all the rest, as fast as it can."""
        self._rate = float("inf")
        self.allow(self.events)

    def give_up(self) -> None:
        """Make it end after the slice at hand."""
        with self._changed:
            self._given_up = True
            self._changed.notify_all()

    @property
    def events(self) -> int:
        """How many there are in all."""
        return self._workload.events

    @property
    def done(self) -> bool:
        """Whether the broker has confirmed everything."""
        return self.confirmed.total() == self.events

    def run(self) -> None:
        """Publish; ``error`` tells why it ended early."""
        try:
            with self._sending() as send:
                for records in self._slices():
                    if not self._may_send(len(records)):
                        return
                    began = time.monotonic()
                    send(records)
                    self.confirmed.update(record.topic for record in records)
                    self._rest(began + len(records) / self._rate)
        except GrisError as error:
            self.error = error

    @contextlib.contextmanager
    def _sending(self) -> Iterator[Callable[[list[Record]], None]]:
        """Give what sends records and returns when the broker has them: our publisher, or librdkafka when asked."""
        if self._fast:
            yield _by_librdkafka(self._servers)
            return
        with Publisher(PublisherSettings(kafka=self._servers, schema_id=1), deadline=PATIENCE_SECONDS) as publisher:

            def send(records: list[Record]) -> None:
                receipt = publisher.publish(records)
                if receipt.failures:
                    raise receipt.failures[0].error

            yield send

    def _slices(self) -> Iterator[list[Record]]:
        """Cut chunks into small pieces of all topics, in their order."""
        for chunk in self._workload.chunks():
            size = max(1, round(min(self._rate, 50_000) / SLICES_A_SECOND / len(chunk)))
            longest = max(map(len, chunk.values()))
            for start in range(0, longest, size):
                yield [
                    _record(topic, message)
                    for topic, messages in chunk.items()
                    for message in messages[start : start + size]
                ]

    def _may_send(self, count: int) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._given_up or self.confirmed.total() + count <= self._allowed)
            return not self._given_up

    def _rest(self, until: float) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._given_up or self._rate == float("inf"), max(0.0, until - time.monotonic())
            )


def _record(topic: str, message: Message) -> Record:
    key, value = message
    return Record(topic, key, value, topic)  # type: ignore[arg-type]  # a tombstone is what we want to send


def _by_librdkafka(bootstrap: str) -> Callable[[list[Record]], None]:
    producer = librdkafka(bootstrap, 20)

    def send(records: list[Record]) -> None:
        for record in records:
            producer.produce(record.topic, key=record.key, value=record.value)
        if left := producer.flush(PATIENCE_SECONDS):
            raise Retry(f"The broker at {bootstrap} had not taken {left:,} records after {PATIENCE_SECONDS:.0f} s.")

    return send
