"""A rebuild at a terminal: a bar while it runs, tables at the end; or one JSON object for scripts."""

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from deploy.rebuild.totals import Outcome
from sinks.clickhouse.check import Difference
from sinks.clickhouse.compare import Comparison

SHOWN = 20


class Bar:
    """A bar that is shown: a call moves it (done, to do)."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._task = shown.add_task("", total=None)

    def __call__(self, done: int, every: int) -> None:
        """Move it."""
        self._shown.update(self._task, completed=done, total=every)

    def say(self, sentence: str) -> None:
        """Print a sentence above it; also where it is hidden."""
        self._shown.console.print(sentence, markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def bar(doing: str, *, hidden: bool) -> Iterator[Bar]:
    """Show a bar on standard error."""
    columns = (TextColumn(doing), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=hidden) as shown:
        yield Bar(shown)


def totals(outcome: Outcome, *, as_json: bool) -> None:
    """Print what a rebuild of totals found and did."""
    if as_json:
        print(json.dumps(dataclasses.asdict(outcome) | {"equal": outcome.equal}, ensure_ascii=False))
        return
    out = Console()
    _differences(out, "Totals that differ from the observations (the first ones)", outcome.differences)
    done = f"{outcome.written} written, {outcome.deleted} deleted, {outcome.announced} lines announced"
    _verdict(
        out,
        good=outcome.equal,
        text=f"{outcome.compared} totals, {outcome.differing} differed; {done}; {outcome.seconds:.1f} s",
    )


def comparison(found: Comparison, *, diff: bool, as_json: bool) -> None:
    """Print how rebuilt tables compare with those in use; ``diff`` puts it as what new rules would change."""
    if as_json:
        print(json.dumps(found.as_json(), ensure_ascii=False))
        return
    out = Console()
    _table(
        out,
        "The ledgers",
        ("partition", "present", "rebuilt", "compared below", ""),
        [
            (f"{at.topic}/{at.partition}", at.present.next_offset, at.rebuilt.next_offset, at.below, at.fault or "ok")
            for at in found.partitions
        ],
    )
    _table(
        out,
        "What new rules would change" if diff else "Verdicts that differ",
        ("agency", "was", "would be" if diff else "is", "events", "for example"),
        [(one.agency, one.was or "nothing", one.now or "nothing", one.events, one.example) for one in found.verdicts],
    )
    _differences(out, "Totals that would change" if diff else "Totals that differ", found.differences, "would be")
    for note in found.notes:
        out.print(f"note: {note}", markup=False, highlight=False)
    text = (
        f"{found.compared} events and {found.totals} totals compared; "
        f"{sum(one.events for one in found.verdicts)} events and {found.differing} totals "
        f"{'would change' if diff else 'differ'}; {found.seconds:.1f} s"
    )
    _verdict(out, good=found.equal, text=text)


def _differences(out: Console, title: str, differences: Sequence[Difference], should: str = "recomputed") -> None:
    rows = [
        (one.bucket, one.indicator, one.breakdown, one.area, one.column, one.expected, one.found)
        for one in differences[:SHOWN]
    ]
    _table(out, title, ("bucket", "indicator", "breakdown", "area", "column", should, "day_totals"), rows)


def _table(out: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    table = Table(title=title, box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=name == "partition", overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    if table.row_count:
        out.print(table)


def _verdict(out: Console, *, good: bool, text: str) -> None:
    out.print(f"{'equal' if good else 'DIFFERENT'}: {text}", style="green" if good else "bold red", highlight=False)
