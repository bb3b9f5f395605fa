"""The commands of a producer: `gris publish` and `gris sample`. Each imports what is heavy when it runs."""

import contextlib
import dataclasses
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from schemas.errors import GrisError, Retry

if TYPE_CHECKING:
    from producers.publish import Report, Tell

REFUSED, USAGE, TRY_AGAIN = 1, 2, 75  # 75 is EX_TEMPFAIL of sysexits.h
SHOWN = 50  # rows of a table at a terminal; --json gives all


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
@click.option("--agency", required=True, help="Who reports, as in the catalogue: g18.")
@click.option("--submission", help="Your reference, for rows that give none; else one is made up.")
@click.option("--dry-run", is_flag=True, help="Judge the rows only; publish nothing, need no broker.")
@click.option("--unchecked", is_flag=True, help="Publish also what the rules refuse; the worker will reject it.")
@click.option("--deadline", type=click.FloatRange(min=0.1), default=60.0, show_default=True, help="Seconds to send.")
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

    Every row is judged first, by the worker's own rules. The good ones are published, the others are shown with what to
    do. Exit code: 0 all rows accepted, 1 some refused (the good ones are in), 2 a file or option cannot be used (nothing
    is in), 75 the broker could not be reached or did not confirm every row in time (shown; publish those again).
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
    if missed:
        return TRY_AGAIN if any(row.retry for row in missed) else USAGE
    return REFUSED if report.refused else 0


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
        wrong = [(row.row, row.column, row.reason, row.detail) for row in file.refused]
        wrong += [(row.row, "", "NOT_CONFIRMED", row.detail) for row in file.unconfirmed]
        if wrong:
            table = Table("row", "column", "reason", "detail", title=escape(file.file), title_justify="left")
            for number, column, reason, detail in wrong[:SHOWN]:
                table.add_row(str(number), column, reason, escape(detail))
            console.print(table)
        if len(wrong) > SHOWN:
            console.print(f"… and {len(wrong) - SHOWN} more rows; --json gives all of them.")
        outcome = f"{file.rows} rows, {file.accepted} acceptable, {len(file.refused)} refused"
        if not report.dry_run:
            outcome += f", {file.published} published, {len(file.unconfirmed)} not confirmed"
        console.print(escape(f"{file.file}: {outcome}"), highlight=False)
    console.print(escape(f"Agency {report.agency}, submission {report.submission}."), highlight=False)
    if report.dry_run:
        console.print("Dry run: nothing was published.")
    if report.unconfirmed:
        console.print("Publish the rows that are not confirmed again: a statement that arrives twice counts once.")
