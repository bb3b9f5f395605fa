"""The command `gris bench`, and below it `gris bench faults`, `gris bench outage` and `gris bench tables`."""

import json
import resource
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

import click

from deploy.faults.cli import faults, outage
from deploy.json_option import json_option

CHOICES = ("week", "shuffled")
PARTS = ("throughput", "rivals", "floors", "restart", "latency", "feed")
RATES = (1_000, 5_000, 20_000)
SEED = 2020


@click.group(invoke_without_command=True)
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Only this part; may be given several times.")
@click.option("--events", type=click.IntRange(1_000), default=1_000_000, show_default=True, help="Records to publish.")
@click.option(
    "--workload",
    type=click.Choice(CHOICES),
    default="week",
    show_default=True,
    help="Hour after hour, or any hour of 400 days at any time.",
)
@click.option("--seed", type=click.IntRange(0), default=SEED, show_default=True, help="What is published.")
@click.option("--workers", type=click.IntRange(1, 4), help="They share the topics. By default one, then two.")
@click.option("--partitions", type=click.IntRange(1, 16), default=1, show_default=True, help="Of each of four topics.")
@click.option("--no-inserts", is_flag=True, help="Workers store nothing; checked by what they announce.")
@click.option(
    "--rate", "rates", type=click.IntRange(10), multiple=True, help="Events/s of latency: 1,000, 5,000, 20,000."
)
@click.option("--seconds", type=click.IntRange(1), default=8, show_default=True, help="Of each rate.")
@click.option("--clients", type=click.IntRange(1), default=100, show_default=True, help="Of the stream, meanwhile.")
@click.option("--crowd", "crowds", type=click.IntRange(1), multiple=True, help="Clients of the fan-out: 100, 1,000.")
@json_option
@click.option("--keep", is_flag=True, help="Leave data and logs in their folder; its name is printed.")
@click.pass_context
def bench(
    context: click.Context,
    only: tuple[str, ...],
    events: int,
    workload: str,
    seed: int,
    workers: int | None,
    partitions: int,
    no_inserts: bool,
    rates: tuple[int, ...],
    seconds: int,
    clients: int,
    crowds: tuple[int, ...],
    file: Path | None,
    keep: bool,
) -> None:
    """Measure GRIS on this machine, on brokers and databases of its own; nothing of it is left behind.

    What comes out is set against an independent count: a wrong run prints WRONG and no speed, and exits with 1.
    Machines drift: compare figures of one call only. GRIS_ variables of the worker apply, as GRIS_FLUSH_ROWS.
    """
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console  # noqa: PLC0415 - `gris --help` must not wait for any of these

    from deploy.benchmark.progress import Progress  # noqa: PLC0415
    from deploy.benchmark.run import QUICK, Plan, run  # noqa: PLC0415
    from deploy.benchmark.table import as_json, table  # noqa: PLC0415

    parts = only or PARTS
    if partitions > 1 and "rivals" in parts:
        raise click.UsageError("The rivals read topics of one partition: add --only throughput, or leave --partitions.")
    if no_inserts and workload != "week":
        raise click.UsageError("Without inserts, buckets that leave memory cannot come back: --no-inserts needs week.")
    wanted = QUICK if workers is None and not no_inserts else ((workers or 1, not no_inserts),)
    runs = tuple((count, inserts) for count, inserts in wanted if inserts or workload == "week")
    plan = Plan(
        parts, events, workload, seed, partitions, runs, rates or RATES, seconds, clients, crowds or (100, 1_000)
    )
    # A thousand clients are a thousand files, here and in the feed, which inherits this.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, _leave)
    folder = Path(tempfile.mkdtemp(prefix="gris-bench-"))
    try:
        with Progress(events) as progress:
            report = run(folder, plan, progress.tell)
    finally:
        if keep:
            click.echo(f"Data and logs are in {folder}.", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    Console(width=None if sys.stdout.isatty() else 150).print(table(report))
    if file is not None:
        file.write_text(json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if report.failed:
        raise click.exceptions.Exit(1)


@bench.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--page",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=Path(__file__).parents[1] / "docs" / "performance.md",
    help="The page to fill; by default deploy/docs/performance.md.",
)
def tables(files: tuple[Path, ...], page: Path) -> None:
    """Write the tables of a page from FILES, each written by `gris bench --json`."""
    from deploy.benchmark.markdown import fill  # noqa: PLC0415

    for file in files:
        filled = fill(page, json.loads(file.read_text(encoding="utf-8")))
        click.echo(f"{file.name}: {', '.join(filled) or 'nothing that the page asks for'}")


bench.add_command(faults)
bench.add_command(outage)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does, so that what was started is stopped."""
    raise KeyboardInterrupt
