"""The map of a worker: events → validate → aggregate → flush → ClickHouse, gris.rejected, gris.daily, ledger.

The agents never raise: Faust would acknowledge what they were given. They refuse, wait in place, or stop the process.
"""

import asyncio
import signal
from collections.abc import Awaitable
from typing import Any, cast

import faust
import structlog
from faust.tables import TableManager

from schemas.errors import Fatal
from streams.blocks import Blocks, Consumer, Hooks, Transport
from streams.parts import Parts
from streams.settings import WorkerSettings

QUEUED_BLOCKS = 1
REVOKED_SECONDS = 1.0
"""How long partitions are not given up yet while totals of theirs are being inserted."""

log = structlog.get_logger(__name__)


class App(faust.App):
    """Faust without its folder of tables: a worker keeps nothing on disk, and may run where nothing can be written."""

    def _create_directories(self) -> None:
        """Make none: by default it is `<group>-data` in whatever folder the worker was started from."""


class NoTables(TableManager):
    """Faust's tables, of which a worker has none: Faust would give them a second before it joins the group."""

    async def on_start(self) -> None:
        """Say at once that all are there. The agents are waited for by themselves."""
        await self._update_channels()
        await self.recovery.start()


def create_app(settings: WorkerSettings, parts: Parts) -> faust.App:  # noqa: C901 - eight handlers, none of them deep
    """Wire the parts of a worker into a Faust app."""
    app = App(
        settings.group,
        broker=[f"kafka://{address}" for address in settings.kafka.split(",")],
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        # Without standbys the driver spreads topics over workers; Faust's own assignor puts every partition 0 on one.
        table_standby_replicas=0,
        TableManager=NoTables,
        stream_wait_empty=False,
        stream_buffer_maxsize=QUEUED_BLOCKS,
        # An offset that the log does not hold stops the worker; nothing is reset.
        consumer_auto_offset_reset="none",
        consumer_max_fetch_size=settings.fetch_bytes,
        consumer_group_instance_id=settings.worker_id,
        broker_session_timeout=settings.session_seconds,
        broker_heartbeat_interval=settings.heartbeat_seconds,
    )
    events = app.topic(
        *parts.topics, key_type=bytes, value_type=None, key_serializer="raw", value_serializer=Blocks(), acks=False
    )
    judged = app.channel(maxsize=QUEUED_BLOCKS)

    async def stop(fatal: Fatal) -> None:
        """Stop the process the ordinary way; its last word is the sentence. Never returns: no event counts as done."""
        if parts.health.fatal is None:
            parts.health.fatal = fatal
            log.critical("stopping", reason=str(fatal))
            signal.raise_signal(signal.SIGTERM)
        await asyncio.Event().wait()

    async def guard(work: Awaitable[None]) -> None:
        try:
            await work
        except Fatal as fatal:
            await stop(fatal)
        except Exception as error:  # whatever a library raises: the event must not count as done
            log.exception("unexpected")
            await stop(
                Fatal(f"Stopped by an unexpected {type(error).__name__}; the log tells where. Please report it.")
            )

    async def judge(fetched: Any) -> None:
        async for block in parts.validator.judge(fetched):
            await judged.send(value=block)

    @app.agent(events, name="validate")
    async def validate(blocks: Any) -> None:
        async for fetched in blocks:
            await guard(judge(fetched))

    @app.agent(judged, name="aggregate")
    async def aggregate(blocks: Any) -> None:
        async for block in blocks:
            await guard(parts.aggregator.fold(block))

    @app.task  # type: ignore[untyped-decorator]
    async def flush() -> None:
        await guard(parts.flusher.run())

    @app.on_before_shutdown.connect
    async def finish(*_: Any, **__: Any) -> None:
        await parts.finish(settings.stop_seconds)

    def consumer() -> Consumer:
        return cast("Consumer", app.consumer)

    async def commit_hint(reached: Any) -> None:
        await consumer().commit_hint(reached)

    async def reopen() -> None:
        # If this worker is the one that was left behind, its next heartbeat says so and ends this by a rebalance.
        if parts.health.opened:
            await asyncio.sleep(settings.session_seconds / 2)
            consumer().shut()

    async def revoked() -> None:
        parts.opener.revoked()
        await parts.flusher.quiet(REVOKED_SECONDS)

    parts.flusher.hints.commit, parts.flusher.on_fenced = commit_hint, reopen
    app.transport = Transport(app.conf.broker_consumer, app, app.loop)
    app.transport.hooks = Hooks(lambda tps: parts.opener.assigned(consumer(), tps), revoked, stop)
    return app
