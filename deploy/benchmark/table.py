"""An outcome as a table for people and as JSON for programs."""

import dataclasses
from typing import Any

from rich.table import Table

from deploy.benchmark.run import Measures, Outcome

MIB = 1 << 20
SHOWN = 20


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Give everything that was measured; of a wrong run there are no measures."""
    return {"right": not outcome.wrong, **dataclasses.asdict(outcome)}


def table(outcome: Outcome) -> Table:
    """Lay the outcome out in one table."""
    shown = Table(title=f"gris bench: {outcome.workload}", title_justify="left", show_header=False)
    shown.add_column("what", no_wrap=True)
    shown.add_column("how much", justify="right", no_wrap=True)
    shown.add_column("meaning", style="dim")
    shown.add_row("events", f"{outcome.events:,}", f"{outcome.accepted:,} accepted, {outcome.rejected:,} rejected")
    shown.add_row("workers", str(outcome.workers), _machine(outcome))
    if outcome.measures is None:
        for line in outcome.wrong[:SHOWN]:
            shown.add_row("[bold red]WRONG", "", line)
        return shown
    _measures(shown, outcome.measures)
    shown.add_section()
    shown.add_row("publishing", f"{outcome.publish_seconds:.1f} s", f"beforehand, by {outcome.publisher}")
    shown.add_row("check", f"{outcome.check_seconds:.1f} s", "equal to the independent count; gris check is clean")
    return shown


def _measures(shown: Table, found: Measures) -> None:
    shown.add_section()
    speed = f"[bold]{found.events_per_second:,.0f} events/s"
    shown.add_row("[bold]speed", speed, "from the worker's first block to the last ledger row")
    shown.add_row("", f"{found.seconds:.2f} s", "the same in seconds")
    shown.add_row("first row", f"{found.first_row_seconds:.2f} s", "from the worker's start to its first ledger row")
    shown.add_row("whole", f"{found.whole_seconds:.2f} s", "from the worker's start to the last ledger row")
    if found.cpu_us_per_event is not None:
        shown.add_row("worker CPU", f"{found.cpu_us_per_event:.2f} µs/event", "user and system, since it was ready")
    if found.peak_rss_bytes is not None:
        shown.add_row("worker memory", f"{found.peak_rss_bytes / MIB:,.0f} MiB", "most resident at once, per worker")
    shown.add_row("flushes", str(found.flushes), "")
    shown.add_section()
    for stage, (seconds, calls) in sorted(found.stages.items(), key=lambda stage: -stage[1][0]):
        shown.add_row(stage, f"{seconds:.2f} s", f"{calls} times, {seconds / max(calls, 1) * 1000:.1f} ms each")


def _machine(outcome: Outcome) -> str:
    machine = outcome.machine
    return f"{machine['cpus']} CPUs, load average {machine['load_average_before']} before the run"
