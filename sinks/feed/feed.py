"""The parts of a running feed, as the routes see them."""

from dataclasses import dataclass

from fastapi import Request

from schemas.catalogue import Catalogue
from sinks.feed.bodies import Bodies
from sinks.feed.days import Days
from sinks.feed.live import Live
from sinks.feed.metrics import FeedMetrics
from sinks.feed.settings import FeedSettings
from sinks.feed.store import Store
from sinks.feed.stream import Streams


@dataclass(frozen=True, slots=True)
class Feed:
    """Everything that lives as long as the process."""

    settings: FeedSettings
    catalogue: Catalogue
    metrics: FeedMetrics
    store: Store
    live: Live
    days: Days
    streams: Streams
    bodies: Bodies

    @classmethod
    def of(cls, settings: FeedSettings, catalogue: Catalogue) -> "Feed":
        """Put the parts together; nothing is connected yet."""
        metrics = FeedMetrics()
        store = Store(settings.clickhouse, catalogue, metrics)
        live = Live(settings, catalogue, store, metrics)
        streams = Streams(live, settings, metrics)
        return cls(settings, catalogue, metrics, store, live, Days(live, store), streams, Bodies())


def feed_of(request: Request) -> Feed:
    """Give the feed that answers this request."""
    feed: Feed = request.app.state.feed
    return feed
