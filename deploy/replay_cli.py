"""The command `gris replay`: refused records, published again."""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.replay import Outcome, Replay, Report, Request, Tell
from deploy.replay_verdicts import Kind
from producers.settings import PublisherSettings
from schemas.catalogue import load
from schemas.errors import GrisError, Retry
from sinks.clickhouse.client import connect
from sinks.clickhouse.rejects import Place
from sinks.rejects_options import PlaceOf, filters, selected
from sinks.rejects_view import console, plain

REFUSED, USAGE, TRY_AGAIN = 1, 2, 75  # 75 is EX_TEMPFAIL of sysexits.h
LIMIT = 1_000
SHOWN = 50  # rejects listed at a terminal; --json gives all


@click.command()
@filters
@click.option(
    "--id", "places", multiple=True, type=PlaceOf(), help="This record, as `gris rejects` names it; repeatable."
)
@click.option("--dry-run", is_flag=True, help="Judge only: say what would be accepted or refused, and why.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Publish also what would be refused again, brings back an older figure, or does not decode.",
)
@click.option("--limit", type=click.IntRange(min=1), default=LIMIT, show_default=True, help="Do nothing if more fit.")
@click.option("--wait", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Seconds for the worker.")
@click.option(
    "--no-catch-up",
    is_flag=True,
    help="Do not wait first until the worker has read all there is: what waits there may be published twice.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def replay(
    *,
    places: tuple[Place, ...],
    dry_run: bool,
    everything: bool,
    limit: int,
    wait: float,
    no_catch_up: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Publish refused records again: the same bytes to the same topic, under the indicator they decode to as key.

    Only open rejects that fit all filters, the oldest first; without a filter all of them. By default only those that
    the rules accept now, as after a change of the catalogue or of a schema, or where only the key or the partition was
    wrong. What does not decode at all has no key: only --all publishes it. What would replace a newer statement of
    equal revision is left alone, too. Then waits for the worker's verdicts: what it accepts is closed, what it refuses
    again is a new reject beside the old one.

    Exit code: 0 all accepted, or nothing to do; 1 some are refused, left alone or not fit to be published; 2 the choice
    cannot be used, or none is fit (nothing was published); 75 broker, database or worker did not answer in time, or
    nobody tells the verdicts (run it again: what was accepted is closed).
    """
    try:
        settings = PublisherSettings.read()
        catalogue = load(settings.catalogue)
        client = connect(settings.clickhouse)
        try:
            with _progress(quiet=as_json) as tell:
                request = Request(selected(places, **given), limit, dry_run, everything, not no_catch_up, wait)
                report = Replay(settings, catalogue, client, tell).run(request)
        finally:
            client.close()
    except GrisError as error:
        _give_up(error, as_json=as_json)
    code = exit_code(report)
    if as_json:
        click.echo(json.dumps({**as_object(report), "exit_code": code}, ensure_ascii=False))
    else:
        _show(report)
    raise SystemExit(code)


def exit_code(report: Report) -> int:
    """Say by a number how it went."""
    unconfirmed = [one.error for one in report.outcomes if one.result == "unconfirmed"]
    if report.became("waiting") or any(isinstance(error, Retry) for error in unconfirmed):
        return TRY_AGAIN
    if unconfirmed:
        return REFUSED if report.published else USAGE
    good = report.judged(Kind.ACCEPTED) if report.dry_run else report.became("accepted")
    return 0 if good == len(report.outcomes) else REFUSED


def as_object(report: Report) -> dict[str, object]:
    """Give the report as JSON types."""
    return {
        "dry_run": report.dry_run,
        "rules": report.rules,
        "open": len(report.outcomes),
        "closed_before": report.closed,
        "judged": {kind.value: report.judged(kind) for kind in Kind},
        "published": report.published,
        "results": {name: report.became(name) for name in ("accepted", "refused", "waiting", "unconfirmed")},
        "rejects": [
            {
                "place": str(one.place),
                "was": one.was,
                "verdict": one.verdict.value,
                "reason": one.reason,
                "field": one.field,
                "detail": one.detail,
                "result": one.result,
                "replay": str(one.replay) if one.replay else None,
                "error": str(one.error) if one.error else None,
            }
            for one in report.outcomes
        ],
    }


def _give_up(error: GrisError, *, as_json: bool) -> NoReturn:
    code = TRY_AGAIN if isinstance(error, Retry) else USAGE
    if as_json:
        click.echo(json.dumps({"error": str(error), "exit_code": code}, ensure_ascii=False))
    else:
        click.echo(f"Error: {error}", err=True)
    raise SystemExit(code) from error


def _show(report: Report) -> None:
    out = console()
    if not report.outcomes:
        closed = f" {report.closed} that fit are closed already." if report.closed else ""
        out.print(f"Nothing to replay: no open reject fits.{closed}", highlight=False)
        return
    table = Table("place", "was", "judged now" if report.dry_run else "became", "why", box=None, pad_edge=False)
    for one in report.outcomes[:SHOWN]:
        why = f"{one.reason}: {one.detail}" if one.reason else one.detail
        table.add_row(plain(one.place), one.was, _became(one), plain(one.error or why, 600))
    out.print(table)
    if len(report.outcomes) > SHOWN:
        out.print(f"… and {len(report.outcomes) - SHOWN} more; --json gives all of them.", highlight=False)
    judged = Counter(one.verdict.value for one in report.outcomes)
    said = f"{len(report.outcomes)} open rejects: the rules say " + ", ".join(
        f"{kind.value} {judged[kind.value]}" for kind in Kind
    )
    out.print(f"{said} (rules {report.rules}).", highlight=False)
    if report.dry_run:
        out.print("Dry run: nothing was published.")
        return
    counts = ", ".join(f"{report.became(name)} {text}" for name, text in RESULTS.items() if report.became(name))
    out.print(f"{report.published} published{f': {counts}' if counts else ''}.", highlight=False)
    if report.became("waiting"):
        out.print("Some verdicts are not known yet; run it again later: what the worker accepted is closed by then.")


RESULTS = {
    "accepted": "accepted and closed",
    "refused": "refused again",
    "waiting": "verdict not known yet",
    "unconfirmed": "not confirmed by the broker",
}


def _became(one: Outcome) -> str:
    if one.result:
        return RESULTS[one.result]
    return "would be accepted" if one.verdict is Kind.ACCEPTED else f"left alone: {one.verdict.value}"


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Tell]:
    """Show what is being done on stderr, where that is a terminal."""
    err = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=quiet or not err.is_terminal, transient=True) as bar:
        tasks = {}

        def tell(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = bar.add_task(doing, total=total)
            bar.update(tasks[doing], completed=done, total=total)

        yield tell
