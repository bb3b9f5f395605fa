"""The worker's metrics: base units, `_total` for counters. Never a figure, never a text of an event."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from sinks.clickhouse.ledger import Position

AGES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class EventAges(Collector):
    """How long events took from the broker to ClickHouse, counted per event, added a block at a time."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(AGES) + 1, np.int64)
        self._sum = 0.0

    def observe(self, ages: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
        """Count the events of a block: ``counts`` of them are of each of the ``ages`` (seconds)."""
        np.add.at(self._counts, np.searchsorted(AGES, ages), counts)
        self._sum += float(ages @ counts)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Give the histogram to the registry."""
        bounds = [*(f"{bound}" for bound in AGES), "+Inf"]
        family = HistogramMetricFamily(
            "gris_event_to_stored_seconds",
            "From the broker's timestamp of an event to its row and totals in ClickHouse.",
        )
        family.add_metric([], list(zip(bounds, np.cumsum(self._counts).tolist(), strict=True)), self._sum)
        yield family


class Metrics:
    """Names as a dashboard knows them. One registry a worker, so that tests can hold several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.events = Counter(
            "gris_events_total", "Records judged, by agency and outcome.", ["agency", "outcome"], registry=registry
        )
        self.rejects = Counter("gris_rejects_total", "Records refused, by reason.", ["reason"], registry=registry)
        self.stages = Histogram(
            "gris_stage_seconds",
            "Work on one block or flush, by stage.",
            ["stage"],
            buckets=DURATIONS,
            registry=registry,
        )
        self.flushes = Histogram(
            "gris_flush_seconds", "A flush from its totals to its ledger row.", buckets=DURATIONS, registry=registry
        )
        self.lag_events = Gauge(
            "gris_lag_events",
            "Offsets behind the ledger that may hold a record; 0 when nothing that can be read is left.",
            ["topic", "partition"],
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "gris_lag_seconds",
            "Age of the oldest record read and not stored, or how long, at most, there has been one to read since the"
            " partition was opened; 0 when all is stored.",
            ["topic", "partition"],
            registry=registry,
        )
        self.freshness = Gauge(
            "gris_indicator_newest_event_timestamp_seconds",
            "Broker time of the newest accepted event of an indicator since the worker started.",
            ["indicator"],
            registry=registry,
        )
        self.ledger = Gauge(
            "gris_ledger_written_timestamp_seconds",
            "When the ledger row was written.",
            ["topic", "partition"],
            registry=registry,
        )
        self.conservation = Gauge(
            "gris_conservation_difference",
            "next_offset - accepted - rejected - skipped of the ledger: must be 0.",
            ["topic", "partition"],
            registry=registry,
        )
        self.cubes = Gauge("gris_cubes_bytes", "Memory that buckets in memory can come to hold.", registry=registry)
        self.rebalances = Counter("gris_rebalances_total", "Assignments of partitions.", registry=registry)
        self.cpu = Counter(
            "gris_cpu_seconds_total",
            "CPU time of the threads that compute and that speak to the database, by what they did.",
            ["work"],
            registry=registry,
        )
        self.inserts_off = Gauge(
            "gris_inserts_off", "1 where GRIS_BENCH_NO_INSERTS is set: nothing is kept.", registry=registry
        )
        self.obstacles = Gauge("gris_obstacles", "Obstacles in the way of progress now.", registry=registry)
        self.ages = EventAges()
        self.registry.register(self.ages)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one piece of work; its CPU too, unless it runs on the event loop, where other work comes between."""
        start, cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            self.stages.labels(name).observe(time.perf_counter() - start)
            if threading.current_thread() is not threading.main_thread():
                self.spent(name, time.thread_time() - cpu)

    def spent(self, work: str, seconds: float) -> None:
        """Count CPU time of a thread."""
        self.cpu.labels(work).inc(seconds)

    def stored(self, position: "Position") -> None:
        """Tell where a partition stands after a flush."""
        place = (position.topic, str(position.partition))
        self.ledger.labels(*place).set(time.time())
        self.conservation.labels(*place).set(
            position.next_offset - position.accepted - position.rejected - position.skipped
        )

    def behind(self, topic: str, partition: int, lag: int, seconds: float) -> None:
        """Tell how many offsets of a partition are not stored, and for how long the oldest has been there."""
        self.lag_events.labels(topic, str(partition)).set(lag)
        self.lag_seconds.labels(topic, str(partition)).set(seconds)

    def forget(self, topic: str, partition: int) -> None:
        """Drop the gauges of a partition that another worker reads now."""
        for gauge in (self.lag_events, self.lag_seconds, self.ledger, self.conservation):
            with contextlib.suppress(KeyError):
                gauge.remove(topic, str(partition))
