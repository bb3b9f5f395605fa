"""What the feed measures about itself, in a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class FeedMetrics:
    """Every metric of the feed process; names are part of the interface."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # Clients of /v1/daily/stream that are connected now.
        self.clients = Gauge("gris_feed_clients", "Clients of the stream that are connected.", registry=self.registry)
        # Clients cut off because they read more slowly than lines came; they resume by themselves.
        self.cut_off = Counter("gris_feed_clients_cut_off", "Clients cut off as too slow.", registry=self.registry)
        # Answers `event: reset`: the client asked for an offset that the log does not have.
        self.resets = Counter("gris_feed_resets", "Clients told to fetch the report again.", registry=self.registry)
        self.lines = Counter("gris_feed_lines", "Lines taken in from gris.daily.", registry=self.registry)
        self.undecodable = Counter(
            "gris_feed_undecodable_lines", "Reads of records of gris.daily that are no line.", registry=self.registry
        )
        self.cursor = Gauge("gris_feed_cursor", "Last offset of gris.daily taken in.", registry=self.registry)
        self.daily_end = Gauge(
            "gris_feed_daily_end", "End offset of gris.daily at the last look.", registry=self.registry
        )
        self.ready = Gauge("gris_feed_ready", "1 when the feed can answer from both sides.", registry=self.registry)
        self.requests = Counter(
            "gris_feed_requests", "Answered requests.", ["route", "method", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "gris_feed_request_seconds",
            "Time to answer, streams excepted.",
            ["route"],
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self.query_seconds = Histogram(
            "gris_feed_query_seconds",
            "Time of a question to ClickHouse.",
            ["query"],
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self.query_failures = Counter(
            "gris_feed_query_failures", "Questions that ClickHouse did not answer.", ["query"], registry=self.registry
        )

    def exposed(self) -> bytes:
        """Write all of them in Prometheus' text format."""
        return generate_latest(self.registry)
