"""The parts of a worker, made and joined: everything but Faust, which `app.py` wires them into."""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from importlib import resources

import structlog

from schemas.catalogue import load
from schemas.codec import EventCodec, warm_up
from schemas.errors import Fatal
from schemas.registry import source
from schemas.rules import Rules
from schemas.topics import event_topic
from sinks.clickhouse.client import Client, connect
from streams.aggregate import Aggregator
from streams.announce import Announcer, Announcing, Fenced, Silence
from streams.broker import Identity, identities
from streams.flush import Flusher
from streams.health import Health
from streams.metrics import Metrics
from streams.opening import Opener
from streams.settings import WorkerSettings
from streams.status import serve
from streams.threads import Threads
from streams.validate import Validator

BENCH_DATABASE = "gris_bench"

log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """What a worker is made of. ``topics`` are the event topics of every agency of the catalogue."""

    topics: Sequence[str]
    health: Health
    validator: Validator
    aggregator: Aggregator
    flusher: Flusher
    opener: Opener
    announcer: Announcing
    threads: Threads
    stop_status: Callable[[], None]

    async def finish(self, seconds: float) -> None:
        """Store what was folded in, within ``seconds`` unless the worker stops for a fault; then let go of everything.

        What is not stored by then is read again from the ledger. The status stays: it says why to the end.
        """
        self.opener.stop()
        if self.health.fatal is None:
            try:
                await asyncio.wait_for(self.flusher.flush(), seconds)
            except (TimeoutError, Fenced):
                log.warning("stopped_before_flush", remedy="what was not stored is read again from the ledger")
            except Fatal as fatal:
                self.health.fatal = fatal
                log.critical("stopping", reason=str(fatal))
            else:
                await self.flusher.hints.finish()
        await self.announcer.close()
        self.threads.close()


def compose(settings: WorkerSettings) -> Parts:
    """Make the parts. Waits for the broker and the database; raises Fatal when they are not as they must be."""
    catalogue = load(settings.catalogue)
    rules = Rules(catalogue, resources.files("schemas").joinpath("ids.json").read_bytes())
    health, metrics = Health(), Metrics()
    threads = Threads(metrics.spent)
    stop_status = serve(settings.metrics_host, settings.metrics_port, health, metrics)
    names = [event_topic(agency.code) for agency in catalogue.agencies]
    topics, client = asyncio.run(_reach(settings, names, health))
    if settings.bench_no_inserts:
        _nothing_kept(client, health, metrics)
    warm_up()
    partitions = {name: identity.partitions for name, identity in topics.items()}
    aggregator = Aggregator(settings, catalogue, client, threads, health, metrics)
    announcer = Announcer(settings.kafka, settings.worker_id) if settings.announce else Silence()
    storing = asyncio.Lock()  # held by a flush, and by an opening until it has read the ledger
    return Parts(
        names,
        health,
        Validator(
            rules,
            EventCodec(source(settings.registry)),
            partitions,
            settings.block_events,
            threads,
            health,
            metrics,
        ),
        aggregator,
        Flusher(settings, aggregator, client, announcer, storing, threads, health, metrics),
        Opener(
            settings,
            catalogue,
            topics,
            lambda: identities(settings.kafka, names),
            rules.digest,
            client,
            aggregator,
            announcer,
            storing,
            threads,
            health,
            metrics,
        ),
        announcer,
        threads,
        stop_status,
    )


def _nothing_kept(client: Client, health: Health, metrics: Metrics) -> None:
    """Say loudly that inserts are off. Raises Fatal unless the database can only be one of `gris bench`."""
    if not client.database.startswith(BENCH_DATABASE):
        raise Fatal(
            f"GRIS_BENCH_NO_INSERTS is for gris bench: it keeps nothing. The database {client.database} is not called"
            f" {BENCH_DATABASE}…: unset it."
        )
    ((stored,),) = client.query("SELECT (SELECT count() FROM observations) + (SELECT count() FROM rejected)")
    if stored:
        raise Fatal(f"GRIS_BENCH_NO_INSERTS is set, but the database {client.database} holds events: unset it.")
    health.ready = "ready, but inserts are off (GRIS_BENCH_NO_INSERTS): nothing is kept"
    metrics.inserts_off.set(1)
    log.warning("INSERTS ARE OFF: NOTHING IS KEPT", setting="GRIS_BENCH_NO_INSERTS", remedy="unset it")


async def _reach(settings: WorkerSettings, names: Sequence[str], health: Health) -> tuple[dict[str, Identity], Client]:
    topics = await health.persist(
        "asking the broker for the event topics", lambda: asyncio.to_thread(identities, settings.kafka, names)
    )
    client = await health.persist("connecting to ClickHouse", lambda: asyncio.to_thread(connect, settings.clickhouse))
    return topics, client
