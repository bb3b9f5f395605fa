"""The command `gris bench`, and below it `gris bench faults` and `gris bench outage`."""

import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

import click

from deploy.faults.cli import faults, outage

CHOICES = ("week", "shuffled")


@click.group(invoke_without_command=True)
@click.option("--events", type=click.IntRange(1_000), default=2_000_000, show_default=True, help="Records to publish.")
@click.option(
    "--workload",
    type=click.Choice(CHOICES),
    default="week",
    show_default=True,
    help="Hour after hour, or any hour of 400 days at any time.",
)
@click.option("--workers", type=click.IntRange(1, 4), default=1, show_default=True, help="They share the topics.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write everything there too.")
@click.option("--keep", is_flag=True, help="Leave data and logs in their folder; its name is printed.")
@click.pass_context
def bench(context: click.Context, events: int, workload: str, workers: int, file: Path | None, keep: bool) -> None:
    """Measure how fast events get into ClickHouse, on a broker and a database of its own.

    Everything is published first, then the worker starts. What comes out is set against an independent count: a wrong
    run prints WRONG and no speed, and exits with 1. GRIS_ variables of the worker apply, as GRIS_FLUSH_ROWS.
    """
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console  # noqa: PLC0415 - `gris --help` must not wait for any of these

    from deploy.benchmark.progress import Progress  # noqa: PLC0415
    from deploy.benchmark.run import run  # noqa: PLC0415
    from deploy.benchmark.table import as_json, table  # noqa: PLC0415
    from deploy.benchmark.workload import Workload  # noqa: PLC0415

    signal.signal(signal.SIGTERM, _leave)
    folder = Path(tempfile.mkdtemp(prefix="gris-bench-"))
    try:
        with Progress(events) as progress:
            outcome = run(folder, Workload(events, shape=workload), workload, workers, progress.tell)
    finally:
        if keep:
            click.echo(f"Data and logs are in {folder}.", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    Console(width=None if sys.stdout.isatty() else 120).print(table(outcome))
    if file is not None:
        file.write_text(json.dumps(as_json(outcome), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if outcome.wrong:
        raise click.exceptions.Exit(1)


bench.add_command(faults)
bench.add_command(outage)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does, so that what was started is stopped."""
    raise KeyboardInterrupt
