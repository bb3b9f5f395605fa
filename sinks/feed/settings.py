"""Settings of the feed process."""

from pydantic import Field

from schemas.settings import Settings


class FeedSettings(Settings):
    """Where the feed listens and what it may hold; every field is a ``GRIS_`` variable in capitals."""

    feed_host: str = "127.0.0.1"
    feed_port: int = Field(default=8080, ge=0, le=65535)
    feed_recent_lines: int = Field(default=4096, ge=1, description="lines kept in memory for clients that resume")
    feed_recent_bytes: int = Field(default=64 << 20, ge=1, description="bytes of those lines, at most")
    feed_held_lines: int = Field(default=8192, ge=1, description="lines of asked-for days kept in memory")
    feed_clients: int = Field(default=5000, ge=1, description="clients of the stream at one time")
    feed_heartbeat_seconds: float = Field(default=15.0, gt=0)
    feed_patience_seconds: float = Field(default=20.0, gt=0, description="how long a client may accept nothing")

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self.feed_host

    @property
    def port(self) -> int:
        """The port to listen on."""
        return self.feed_port
