"""Settings of `gris up`, `down` and `status`: what every process shares, and where this machine keeps things."""

import dataclasses
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field

from deploy.local.kafka import CHECKOUT
from schemas.errors import Fatal
from schemas.settings import Settings
from sinks.clickhouse.client import PORTS

LOOPBACK_NAMES = ("localhost", "127.0.0.1")


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Host and port of a TCP service."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, so that `gris up` may start it."""
        return self.host in LOOPBACK_NAMES

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class LocalSettings(Settings):
    """The environment of the local stack; the worker and the feed read the same variables themselves."""

    data: Path = CHECKOUT / ".gris"
    metrics_port: int = Field(default=9100, ge=1, le=65535)
    feed_host: str = "127.0.0.1"
    feed_port: int = Field(default=8080, ge=1, le=65535)
    worker_id: str = "worker-1"
    replication: int = Field(default=1, ge=1, description="copies of each topic, where several brokers are")
    clickhouse_cluster: str | None = Field(default=None, description="makes Replicated tables on this cluster")

    @property
    def broker(self) -> Address:
        """The first broker of GRIS_KAFKA."""
        return _address(f"//{self.kafka.split(',')[0].strip()}", 9092, "GRIS_KAFKA must look like 127.0.0.1:9092")

    @property
    def engine(self) -> Address:
        """The host and port of GRIS_CLICKHOUSE."""
        port = PORTS.get(self._scheme, PORTS["http"])
        return _address(self.clickhouse, port, "GRIS_CLICKHOUSE must look like http://127.0.0.1:8123/gris")

    @property
    def engine_url(self) -> str:
        """GRIS_CLICKHOUSE without user, password and database."""
        return f"{self._scheme}://{self.engine}"

    @property
    def worker_metrics(self) -> Address:
        """Where the worker serves /readyz and /metrics."""
        return Address("127.0.0.1", self.metrics_port)

    @property
    def feed(self) -> Address:
        """Where the feed serves the report: the address to open, also when it listens on every interface."""
        return Address("127.0.0.1" if self.feed_host in ("0.0.0.0", "::") else self.feed_host, self.feed_port)  # noqa: S104

    @property
    def _scheme(self) -> str:
        return self.clickhouse.partition("://")[0].lower()


def _address(url: str, default_port: int, remedy: str) -> Address:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise Fatal(f"{remedy}; it names no host and port now.")
    return Address(host, port or default_port)
