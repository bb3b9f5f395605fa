"""Settings of a worker."""

from typing import Literal

from pydantic import Field

from schemas.settings import Settings

Step = Literal["observations", "rejected", "totals", "floors", "messages", "deletions", "ledger"]
"""The steps of a flush, in their order."""


class WorkerSettings(Settings):
    """What a worker needs beyond where the broker, the database and the catalogue are.

    ``worker_id`` is the static member of the consumer group: a restarted worker of the same name has its partitions
    back at once. ``flush_ms`` is how long, near the head of the log, an event waits at the most for a flush (or for
    the one under way); where flushes are quick, for flush and all. Far behind the head a flush waits for
    ``replay_flush_ms``, ``flush_rows`` or ``flush_bytes`` (of refused records and notes), whichever comes first, and
    longer (at most ``replay_wait_ms``) where flushes themselves take long. Of the rows that wait for a flush, all are
    stored ahead of it when there are ``held_rows``.
    ``fetch_bytes`` bounds what one fetch brings of a partition (compressed), ``block_events`` what is judged at once,
    ``cube_bytes`` the memory of buckets kept for further events.
    The worker stops when, since its start, at least ``guard_ratio`` of the events of ``guard_agencies`` agencies were
    refused, ``guard_events`` of each at least; a ratio of 0, or 0 agencies, switches that off.

    ``announce`` off keeps it from publishing anything: for a rebuild into fresh tables beside the tables in use.
    ``fault_stop_after`` injects a fault, for tests only: the worker kills itself (SIGKILL) when its flush number
    ``fault_stop_flush`` has passed that step.

    ``bench_no_inserts`` is for `gris bench` only: judge, fold and announce, but store nothing, so nothing is kept and
    a restart begins anew. It cannot be switched on by mistake: the worker refuses to start unless the database that
    GRIS_CLICKHOUSE names is called ``gris_bench…`` and holds no event; it says so in its log, in /readyz and in the
    metric ``gris_inserts_off``.
    """

    worker_id: str = "worker-1"
    group: str = "gris"
    metrics_port: int = Field(9100, ge=0, le=65535)
    metrics_host: str = "127.0.0.1"
    flush_ms: int = Field(250, ge=10, le=60_000)
    replay_flush_ms: int = Field(2_000, ge=10, le=600_000)
    replay_wait_ms: int = Field(10_000, ge=10, le=600_000)
    flush_rows: int = Field(2_000_000, ge=1_000)
    flush_bytes: int = Field(32 << 20, ge=1 << 20)
    held_rows: int = Field(100_000, ge=1_000)
    behind_events: int = Field(20_000, ge=1)
    fetch_bytes: int = Field(4 << 20, ge=1 << 16)
    block_events: int = Field(50_000, ge=1_000)
    cube_bytes: int = Field(200 << 20, ge=1 << 20)
    session_seconds: float = Field(10.0, ge=1.0, le=60.0)
    stop_seconds: float = Field(8.0, ge=0.1, le=60.0)
    guard_ratio: float = Field(0.9, ge=0.0, le=1.0)
    guard_events: int = Field(1_000, ge=1)
    guard_agencies: int = Field(3, ge=0)
    announce: bool = True
    fault_stop_after: Step | None = None
    fault_stop_flush: int = Field(1, ge=1)
    bench_no_inserts: bool = False

    @property
    def heartbeat_seconds(self) -> float:
        """How often the worker tells the group that it is there."""
        return self.session_seconds / 5
