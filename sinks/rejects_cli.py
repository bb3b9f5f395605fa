"""The command `gris rejects`: what was refused and why, as a work queue that `gris replay` empties."""

import contextlib
from collections.abc import Iterator
from typing import Any

import click

from schemas.codec_partial import Partial, read_partial
from schemas.errors import Fatal, Retry
from schemas.reasons import Reason
from schemas.registry import source
from schemas.settings import Settings
from sinks import rejects_view as view
from sinks.clickhouse import rejects as stored
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.rejects import Place, Reject, Selection, State
from sinks.rejects_options import PlaceOf, filters, selected, states

LISTED = 100
DUMPED = 512

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")


@click.group()
def rejects() -> None:
    """Look at the records that were refused: list them, show one with its bytes, count them.

    A reject is closed once a replay of it was accepted; `gris replay` publishes again.
    """


@rejects.command("list")
@filters
@states(State.OPEN)
@click.option("--limit", type=click.IntRange(min=1), default=LISTED, show_default=True, help="The newest so many.")
@as_json_option
def list_(*, limit: int, as_json: bool, **given: Any) -> None:
    """List rejects, the newest first."""
    with _database() as client:
        found = stored.find(client, selected(**given), limit + 1, newest_first=True)
    more = len(found) > limit
    if as_json:
        click.echo(view.list_as_json(found[:limit], more=more))
    else:
        view.show_list(found[:limit], more=more)


@rejects.command()
@filters
@states(State.ALL)
@as_json_option
def count(*, as_json: bool, **given: Any) -> None:
    """Count rejects by reason and agency, the open and the closed ones."""
    with _database() as client:
        found = stored.count(client, selected(**given))
    if as_json:
        click.echo(view.counts_as_json(found))
    else:
        view.show_counts(found)


@rejects.command()
@click.argument("place", type=PlaceOf(), metavar="TOPIC:PARTITION:OFFSET")
@click.option(
    "--bytes", "limit", type=click.IntRange(min=0), default=DUMPED, show_default=True, help="So many of its bytes."
)
@as_json_option
def show(place: Place, *, limit: int, as_json: bool) -> None:
    """Show one reject: the verdict, the fields as far as they decode, the bytes."""
    with _database() as client:
        found = stored.find(client, Selection(places=(place,), state=State.ALL), 1)
        if not found:
            raise Fatal(f"No record was refused at {place}; `gris rejects list --all` names those that were.")
        raw = stored.values(client, [place])[place]
    try:
        partial = read_partial(raw, source(Settings.read().registry))
    except Retry as obstacle:
        partial = Partial(found[0].schema_id, (), str(obstacle))
    if as_json:
        click.echo(view.one_as_json(found[0], raw, partial, _key_hint(found[0]), limit))
    else:
        view.show_one(found[0], raw, partial, _key_hint(found[0]), limit)


def _key_hint(reject: Reject) -> str:
    """Say which key a replay would have: keys are not kept, and right ones equal the indicator."""
    if Reason[reject.reason] < Reason.KEY_MISMATCH:
        return "not kept; as long as the record does not decode, a replay has none and goes to the same partition"
    return f"not kept; a replay has the indicator that the record decodes to, {reject.indicator}"


@contextlib.contextmanager
def _database() -> Iterator[Client]:
    client = connect(Settings.read().clickhouse)
    try:
        yield client
    finally:
        client.close()
