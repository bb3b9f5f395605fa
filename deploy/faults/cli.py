"""The commands `gris bench faults` and `gris bench outage`."""

import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import click

from deploy.json_option import json_option

CLOCKS = Path("/usr/lib")
LIBFAKETIME = "*/faketime/libfaketimeMT.so.1"


@click.command()
@click.option("--faults", "count", type=click.IntRange(1), default=8, show_default=True, help="How many.")
@click.option("--events", type=click.IntRange(1_000), default=80_000, show_default=True, help="Records to publish.")
@click.option("--seed", type=click.IntRange(0), help="What happens, and what is published; drawn when not given.")
@click.option(
    "--workload",
    type=click.Choice(("week", "shuffled")),
    default="week",
    show_default=True,
    help="Hour after hour, or any hour of 400 days at any time.",
)
@click.option("--only", multiple=True, metavar="KIND", help="Faults of this kind only; as the table calls it.")
@json_option
@click.option("--keep", is_flag=True, help="Leave data and logs in their folder; its name is printed.")
def faults(
    count: int, events: int, seed: int | None, workload: str, only: tuple[str, ...], file: Path | None, keep: bool
) -> None:
    """Break processes, connections and clocks while events come in, on a broker and a database of its own.

    Afterwards everything is set against an independent count, and the totals are computed once more. Exits with 1 when
    anything is lost, doubled or wrong, and says what it takes to see it again.
    """
    from rich.console import Console  # noqa: PLC0415 - `gris --help` must not wait for any of these

    from deploy.faults.run import Plan, run  # noqa: PLC0415
    from deploy.faults.schedule import Kind  # noqa: PLC0415
    from deploy.faults.table import as_json, table  # noqa: PLC0415

    unknown = sorted(set(only) - {str(kind) for kind in Kind})
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is none of: {', '.join(Kind)}", param_hint="--only")
    clock = next(iter(sorted(CLOCKS.glob(LIBFAKETIME))), None)
    kinds = tuple(kind for kind in Kind if (kind in only or not only) and (clock or kind is not Kind.CLOCK_JUMPS))
    if not kinds:
        raise click.UsageError("No kind of fault is left: libfaketime is missing.")
    if clock is None and not only:
        click.echo("Clocks do not jump: libfaketime is missing (Debian: apt-get install libfaketime).", err=True)
    chosen = random.randrange(1 << 32) if seed is None else seed  # noqa: S311 - printed, not secret
    click.echo(f"seed {chosen}", err=True)
    signal.signal(signal.SIGTERM, _leave)
    folder = Path(tempfile.mkdtemp(prefix="gris-faults-"))
    try:
        outcome = run(folder, Plan(chosen, count, events, workload, kinds, clock=clock), _teller())
    finally:
        if keep:
            click.echo(f"Data and logs are in {folder}.", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    Console(width=None if sys.stdout.isatty() else 120).print(table(outcome))
    if file is not None:
        file.write_text(json.dumps(as_json(outcome), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if outcome.violations:
        raise click.exceptions.Exit(1)


@click.command()
@click.option("--seconds", type=click.FloatRange(1), default=300, show_default=True, help="How long it is away.")
@click.option(
    "--rate", type=click.FloatRange(100), default=20_000, show_default=True, help="Events published a second."
)
@json_option
def outage(seconds: float, rate: float, file: Path | None) -> None:
    """Take the database away for minutes while events come in, and see what two workers make of it.

    Their memory must stay within its bounds, no partition may move, the log may not be flooded; once the database is
    back everything must be stored and right. Exits with 1 when anything is not so.
    """
    from rich.console import Console  # noqa: PLC0415 - `gris --help` must not wait for any of these

    from deploy.faults.outage import run  # noqa: PLC0415
    from deploy.faults.table import outage_as_json, outage_table  # noqa: PLC0415

    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory(prefix="gris-outage-", ignore_cleanup_errors=True) as folder:
        found = run(Path(folder), seconds, rate, _teller())
    Console(width=None if sys.stdout.isatty() else 120).print(outage_table(found))
    if file is not None:
        file.write_text(json.dumps(outage_as_json(found), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if found.violations:
        raise click.exceptions.Exit(1)


def _teller() -> Callable[[str], None]:
    """Give what tells people of each step, with the time since the beginning."""
    began = time.monotonic()
    return lambda line: click.echo(f"{time.monotonic() - began:7.1f} s  {line}", err=True)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does, so that what was started is stopped."""
    raise KeyboardInterrupt
