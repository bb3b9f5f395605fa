"""The commands `gris up`, `gris down` and `gris status`."""

import contextlib
import dataclasses
import json

import click

from deploy.local.settings import LocalSettings
from deploy.local.stack import Stack
from deploy.local.up import down as stop_all
from deploy.local.up import event_topics
from deploy.local.up import up as start_all
from deploy.unread import unread, wanted
from schemas.errors import GrisError
from sinks.clickhouse.client import connect


@click.command()
@click.option("--bare", is_flag=True, help="Broker and database only, migrated and with their topics.")
@click.option("--no-sample", is_flag=True, help="Everything but the sample week.")
def up(bare: bool, no_sample: bool) -> None:
    """Start everything on this machine and return when it is ready.

    Honours GRIS_KAFKA, GRIS_CLICKHOUSE, GRIS_CATALOGUE, GRIS_FEED_PORT, GRIS_METRICS_PORT and GRIS_DATA. What runs
    already is left alone, what is missing is started; logs are in .gris/log.
    """
    start_all(LocalSettings.read(), bare=bare, sample=not no_sample, say=click.echo)


@click.command()
def down() -> None:
    """Stop what `gris up` started from this checkout. The data stay in .gris."""
    stop_all(LocalSettings.read(), say=click.echo)


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """One row of `gris status`: ``state`` is ready, starting, elsewhere (not started by us) or stopped."""

    service: str
    state: str
    pid: int | None
    address: str
    log: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object for programs.")
def status(as_json: bool) -> None:
    """Show what runs, where, and how many events are not stored yet, or why that is not known.

    Exit code 1 unless all four are ready.
    """
    settings = LocalSettings.read()
    stack = Stack(settings)
    rows = [
        _state(stack, "kafka", str(settings.broker), stack.kafka_answers()),
        _state(stack, "clickhouse", settings.engine_url, stack.clickhouse_answers()),
        _state(stack, "worker", f"http://{settings.worker_metrics}", stack.worker_is_ready()),
        _state(stack, "feed", f"http://{settings.feed}", stack.feed_is_ready()),
    ]
    lag = _lag(settings) if all(row.state in ("ready", "elsewhere") for row in rows[:2]) else None
    counted = lag if isinstance(lag, int) else None
    if as_json:
        click.echo(json.dumps({"services": [dataclasses.asdict(row) for row in rows], "events_not_stored": counted}))
    else:
        click.echo(_table(rows))
        if lag is not None:
            click.echo(f"\nEvents not stored yet: {f'not known. {lag}' if counted is None else f'{counted:,}'}")
    if any(row.state not in ("ready", "elsewhere") for row in rows):
        raise click.exceptions.Exit(1)


def _state(stack: Stack, name: str, address: str, answers: bool) -> State:
    pid = stack.services[name].pid()
    state = ("ready" if answers else "starting") if pid is not None else ("elsewhere" if answers else "stopped")
    return State(name, state, pid, address, str(stack.services[name].log_file) if pid is not None else "")


def _lag(settings: LocalSettings) -> int | GrisError:
    """Count the events not stored yet; or give what is in the way, as topics or tables that are not there yet."""
    try:
        with contextlib.closing(connect(settings.clickhouse)) as client:
            return sum(unread(client, wanted(settings.kafka, client, event_topics(settings))).values())
    except GrisError as obstacle:
        return obstacle


def _table(rows: list[State]) -> str:
    cells = [("SERVICE", "STATE", "PID", "ADDRESS", "LOG")]
    cells += [(row.service, row.state, str(row.pid or "-"), row.address, row.log or "-") for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)
