"""The check at a terminal: a bar while it runs, tables at the end; or one JSON object for scripts."""

import json

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from schemas.catalogue import Catalogue
from sinks.clickhouse.check import Report, check
from sinks.clickhouse.client import Client

SHOWN = 20


def run(client: Client, catalogue: Catalogue, *, as_json: bool) -> Report:
    """Check, print what was found on standard output, and return it."""
    columns = (TextColumn("recomputing totals"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=as_json) as bar:
        task = bar.add_task("", total=None)
        report = check(client, catalogue, lambda done, every: bar.update(task, completed=done, total=every))
    if as_json:
        print(json.dumps(report.as_json(), ensure_ascii=False))
    else:
        show(report)
    return report


def show(report: Report) -> None:
    """Print it as tables."""
    out = Console()
    # no lines between the columns: 80 have to do, and a topic or a figure that is cut off tells nothing
    table = Table(title="Conservation", box=None, pad_edge=False)
    for name in ("partition", "next offset", "accepted", "rejected", "skipped", "ahead", "verdict"):
        text = name in ("partition", "verdict")
        table.add_column(name, justify="left" if text else "right", no_wrap=name == "partition", overflow="fold")
    for one in report.partitions:
        counts = (one.next_offset, one.accepted, one.rejected, one.skipped, one.ahead)
        verdict = "FAULT" if one.faults else "ok"
        place = f"{one.topic}/{one.partition}"
        table.add_row(place, *map(str, counts), verdict, style="red" if one.faults else "")
    out.print(table)
    for one in report.partitions:
        for fault in one.faults:
            out.print(f"{one.topic}/{one.partition}: {fault}", style="red", highlight=False)
    if report.differences:
        table = Table(title="Totals that differ (the first ones)", style="red", box=None, pad_edge=False)
        for name in ("bucket", "indicator", "breakdown", "area", "column", "recomputed", "day_totals"):
            table.add_column(name, overflow="fold")
        for difference in report.differences[:SHOWN]:
            table.add_row(
                difference.bucket,
                difference.indicator,
                difference.breakdown,
                difference.area,
                difference.column,
                difference.expected,
                difference.found,
            )
        out.print(table)
    for note in report.notes:
        out.print(f"note: {note}", markup=False)
    faulty = sum(bool(one.faults) for one in report.partitions)
    out.print(
        f"{'clean' if report.clean else 'NOT CLEAN'}: {len(report.partitions)} partitions ({faulty} at fault), "
        f"{report.totals} totals ({report.differing} differ), {report.seconds:.1f} s",
        style="green" if report.clean else "bold red",
        highlight=False,
    )
