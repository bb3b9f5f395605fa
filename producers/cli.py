"""The commands of a producer: `gris publish` and `gris sample`. Each imports what is heavy when it runs."""

import contextlib
import dataclasses
import datetime as dt
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from schemas.errors import GrisError, Retry

if TYPE_CHECKING:
    from producers.publish import Report, Tell

REFUSED, USAGE, TRY_AGAIN = 1, 2, 75  # 75 is EX_TEMPFAIL of sysexits.h
SAMPLE = Path(__file__).resolve().parents[1] / ".gris" / "sample"
SHOWN = 50  # rows of a table at a terminal; --json gives all


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
@click.option("--agency", required=True, help="Who reports, as in the catalogue: g18.")
@click.option("--submission", help="Your reference, for rows that give none; else one is made up.")
@click.option("--dry-run", is_flag=True, help="Judge the rows only; publish nothing, need no broker.")
@click.option("--unchecked", is_flag=True, help="Publish also what the rules refuse; the worker will reject it.")
@click.option(
    "--deadline",
    type=click.FloatRange(min=0.1),
    default=60.0,
    show_default=True,
    help="Seconds that the broker may confirm nothing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def publish(
    files: tuple[Path, ...],
    agency: str,
    submission: str | None,
    dry_run: bool,
    unchecked: bool,
    deadline: float,
    as_json: bool,
) -> None:
    """Publish the rows of CSV, XLSX or JSON Lines files as an agency's statements.

    Every row is judged first, by the worker's own rules. The good ones are published, the others are shown with what
    to do. Exit code: 0 all rows accepted, 1 some refused, by the rules or the broker (the good ones are in), 2 a file
    or option cannot be used, or the broker refused all (nothing is in), 75 the broker could not be reached or did not
    confirm every row in time (publish those again).
    """
    from producers.publish import Request, new_submission, publish_files  # noqa: PLC0415
    from producers.settings import PublisherSettings  # noqa: PLC0415
    from schemas.catalogue import load  # noqa: PLC0415
    from schemas.period import LOCAL  # noqa: PLC0415

    reference = submission or new_submission(agency, dt.datetime.now(LOCAL))
    request = Request(files, agency, reference, dry_run, unchecked, deadline)
    try:
        settings = PublisherSettings.read()
        with _progress(quiet=as_json) as tell:
            report = publish_files(request, load(settings.catalogue), settings, tell)
    except GrisError as error:
        _give_up(error, as_json)
    if as_json:
        click.echo(json.dumps({**dataclasses.asdict(report), "exit_code": _exit_code(report)}, ensure_ascii=False))
    else:
        _show(report)
    raise SystemExit(_exit_code(report))


def _exit_code(report: "Report") -> int:
    missed = [row for file in report.files for row in file.unconfirmed]
    if any(row.retry for row in missed):
        return TRY_AGAIN
    if missed and not any(file.published for file in report.files):
        return USAGE
    return REFUSED if missed or report.refused else 0


def _give_up(error: GrisError, as_json: bool) -> NoReturn:
    code = TRY_AGAIN if isinstance(error, Retry) else USAGE
    if as_json:
        click.echo(json.dumps({"error": str(error), "exit_code": code}, ensure_ascii=False))
    else:
        click.echo(f"Error: {error}", err=True)
    raise SystemExit(code) from error


@contextlib.contextmanager
def _progress(*, quiet: bool) -> "Iterator[Tell]":
    """Show what is being done on stderr, where that is a terminal."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as bar:
        tasks = {}

        def tell(doing: str, done: int, total: int | None) -> None:
            if doing not in tasks:
                tasks[doing] = bar.add_task(doing, total=total)
            bar.update(tasks[doing], completed=done, total=total)

        yield tell


def _show(report: "Report") -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console()
    for file in report.files:
        if file.refused:
            table = Table("row", "column", "reason", "detail", title=escape(file.file), title_justify="left")
            for row in file.refused[:SHOWN]:
                table.add_row(str(row.row), row.column, row.reason, escape(row.detail))
            console.print(table)
        if len(file.refused) > SHOWN:
            click.echo(f"… and {len(file.refused) - SHOWN} more rows; --json gives all of them.")
        for detail in dict.fromkeys(row.detail for row in file.unconfirmed):
            numbers = _ranges([row.row for row in file.unconfirmed if row.detail == detail])
            click.echo(f"Rows {numbers}: {detail}")
        outcome = f"{file.rows} rows, {file.accepted} acceptable, {len(file.refused)} refused"
        if not report.dry_run:
            outcome += f", {file.published} published, {len(file.unconfirmed)} not confirmed"
        click.echo(f"{file.file}: {outcome}")
    click.echo(f"Agency {report.agency}; rows that name no submission of their own: {report.submission}.")
    if report.dry_run:
        click.echo("Dry run: nothing was published.")
    if report.unconfirmed:
        click.echo("Publish the rows that are not confirmed again: a statement that arrives twice counts once.")


def _ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers as people do: 2-5, 7."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in found)


@click.command()
@click.option("--days", type=click.IntRange(1, 366), default=7, show_default=True, help="Days, --end the last.")
@click.option("--end", type=click.DateTime(["%Y-%m-%d"]), help="The last day. Default: yesterday in Viet Nam.")
@click.option("--seed", type=int, default=2020, show_default=True, help="The same seed tells the same week.")
@click.option("--speed", default="max", show_default=True, help="Events a second, or max.")
@click.option("--live", is_flag=True, help="Then go on with the running day, until interrupted.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=SAMPLE, help="Folder of the CSV files."
)
@click.option("--no-publish", is_flag=True, help="Only write the files.")
def sample(days: int, end: dt.datetime | None, seed: int, speed: str, live: bool, out: Path, no_publish: bool) -> None:
    """Publish a believable week of every connected indicator, and write it down as one CSV file per agency.

    A handful of rows are mistakes made on purpose, which the worker rejects: mistakes.jsonl in the folder names them.
    """
    from producers.sample import publish_live, publish_week  # noqa: PLC0415
    from producers.settings import PublisherSettings  # noqa: PLC0415

    if live and no_publish:
        raise click.UsageError("--live publishes; leave out --no-publish.")
    pace = _pace(speed)
    lost: tuple[str, ...] = ()
    try:
        settings = PublisherSettings.read()
        with _progress(quiet=False) as tell:
            week = publish_week(
                settings,
                out,
                lambda done, total: tell("publishing", done, total),
                end=end.date() if end else None,
                days=days,
                seed=seed,
                speed=pace,
                publish=not no_publish,
            )
        lost = week.unconfirmed
        agencies = ", ".join(f"{agency} {rows}" for agency, rows in week.agencies.items())
        click.echo(f"{week.events} events up to {week.end} in {week.folder} ({agencies}).")
        click.echo(f"{week.confirmed} published, {week.mistakes} of all are mistakes on purpose; {week.seconds:.1f} s.")
        if live:
            click.echo("Going on live; stop with Ctrl-C.")
            with _progress(quiet=False) as tell, contextlib.suppress(KeyboardInterrupt):
                for moment in publish_live(settings, out, seed=seed, speed=pace):
                    tell("live", moment.confirmed, None)
                    lost += moment.unconfirmed
    except GrisError as error:
        _give_up(error, as_json=False)
    if lost:
        shown = "\n".join(lost[:SHOWN])
        click.echo(f"Error: {len(lost)} events are not confirmed; run it again, it tells the same:\n{shown}", err=True)
        raise SystemExit(TRY_AGAIN)


def _pace(speed: str) -> float | None:
    """Read --speed: events a second, None for all at once."""
    if speed == "max":
        return None
    try:
        pace = float(speed)
    except ValueError:
        pace = 0.0
    if not 0.0 < pace < float("inf"):
        raise click.UsageError(f"--speed {speed}: give a number above 0, or max.")
    return pace
