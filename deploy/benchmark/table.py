"""A report as one table for people, as JSON for programs, and as Markdown for the page on performance."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from rich.table import Table

from deploy.benchmark.feed_load import FeedLoad
from deploy.benchmark.latency import Latencies, Percentiles
from deploy.benchmark.restart import Restarts
from deploy.benchmark.rivals.run import Race
from deploy.benchmark.run import Report
from deploy.benchmark.throughput import Run

MIB = 1 << 20
SHOWN = 20

Row = tuple[str, str, str]  # what, how much, meaning


def as_json(report: Report) -> dict[str, Any]:
    """Give everything that was measured; of a wrong run there are no measures."""
    return {"right": not report.failed, "wrong": report.wrong, **dataclasses.asdict(report)}


def table(report: Report) -> Table:
    """Lay the report out in one table."""
    plan = report.plan
    shown = Table(title=f"gris bench: {plan.shape}, seed {plan.seed}", title_justify="left", show_header=False)
    shown.add_column("what")
    shown.add_column("how much", justify="right", no_wrap=True)
    shown.add_column("meaning", style="dim")
    for rows in _sections(report):
        for what, how_much, meaning in rows:
            shown.add_row(what, how_much, meaning)
        shown.add_section()
    for line in report.wrong[:SHOWN]:
        shown.add_row("[bold red]WRONG", "", line)
    return shown


def _sections(report: Report) -> Iterator[Iterable[Row]]:
    machine = report.machine
    yield [("machine", f"{machine['cpus']} CPUs", f"load average {machine['load_average_before']} before the run")]
    if report.published is not None:
        said = report.published
        counts = f"{said.accepted:,} accepted, {said.rejected:,} rejected; published in {said.seconds:.1f} s beforehand"
        yield [("events", f"{said.events:,}", f"{counts} by {said.publisher}")]
    for run in report.throughput:
        yield _run(run)
    if report.rivals:
        yield _rivals(report)
    if report.floors:
        yield [
            (
                floor.what,
                f"{floor.cpu_us:.2f} µs",
                "floor: CPU of the library alone, an event"
                + ("" if floor.wall_us is None else f"; {floor.wall_us:.2f} µs by the clock"),
            )
            for floor in report.floors
        ]
    if report.restart is not None:
        yield _restart(report.restart)
    if report.latency is not None:
        yield _latency(report.latency)
    if report.feed is not None:
        yield _feed(report.feed)


def name_of(run: Run) -> str:
    """Name a run of workers."""
    who = f"{run.workers} worker{'s' if run.workers > 1 else ''}, {run.partitions} partitions"
    return who if run.inserts else f"{who}, INSERTS OFF: nothing was kept"


def _run(run: Run) -> Iterator[Row]:
    found = run.measures
    if found is None:
        yield f"[bold]{name_of(run)}", "-", "wrong: no speed"
        return
    yield (
        f"[bold]{name_of(run)}",
        f"[bold]{found.events_per_second:,} events/s",
        "first block to last row; totals right",
    )
    if found.cpu_us_per_event is not None:
        slices = ", ".join(f"{one:.2f}" for one in found.cpu_slices) or "too few flushes to tell"
        yield "worker CPU", f"{found.cpu_us_per_event:.2f} µs/event", f"by fifths of the run: {slices}"
    for work, spent in found.cpu_stages.items():
        yield f"  {work}", f"{spent:.2f} µs/event", ""
    if found.peak_rss_bytes is not None:
        yield "worker memory", f"{found.peak_rss_bytes / MIB:,.0f} MiB", "most resident at once, per worker"
    if found.first_row_seconds is not None:
        yield "first row", f"{found.first_row_seconds:.2f} s", "from the start; 3 s of it wait for further members"
    yield "flushes", str(found.flushes), f"whole run {found.whole_seconds:.1f} s, check {run.check_seconds:.1f} s"


def _rivals(report: Report) -> Iterator[Row]:
    ours = next((run.measures for run in report.throughput if run.measures and run.inserts and run.workers == 1), None)
    for race in report.rivals:
        yield race.name, _speed(race), _compared(race, ours.cpu_us_per_event if ours else None)


def _speed(race: Race) -> str:
    return "-" if race.events_per_second is None else f"{race.events_per_second:,} events/s"


def _compared(race: Race, ours: float | None) -> str:
    if race.absent:
        return race.absent
    if race.cpu_us_per_event is None:
        return "wrong: no speed"
    against = f", {race.cpu_us_per_event / ours:.1f} times ours" if ours else ""
    return f"{race.cpu_us_per_event:.1f} µs CPU{against}; {race.events:,} events; keeps {race.keeps}"


def _restart(restart: Restarts) -> Iterator[Row]:
    if restart.first_row_seconds:
        each = ", ".join(f"{one:.1f}" for one in restart.first_row_seconds)
        opened = ", ".join(f"{one:.1f}" for one in restart.ready_seconds)
        yield (
            "restart to first row",
            f"{max(restart.first_row_seconds):.1f} s",
            f"after SIGKILL: {each} s; opened: {opened} s",
        )


def _latency(latencies: Latencies) -> Iterator[Row]:
    for one in latencies.rates:
        kept = "" if one.reached >= 0.98 * one.rate else f" (the publishers kept {one.reached:,.0f}/s)"
        yield f"at {one.rate:,}/s to stored", f"p99 {one.stored.p99:,.0f} ms", f"{_each(one.stored)}{kept}"
        yield (
            f"at {one.rate:,}/s to SSE",
            f"p99 {one.on_stream.p99:,.0f} ms",
            f"{_each(one.on_stream)}; {one.clients} clients",
        )
        yield "  CPU, of one core", "", ", ".join(f"{name} {share:.0%}" for name, share in one.cpu.items())
        yield "  a flush, and what it does", "", ", ".join(f"{name} {ms:.0f} ms" for name, ms in one.flush_ms.items())


def _each(found: Percentiles) -> str:
    return f"p50 {found.p50:,.0f}, p90 {found.p90:,.0f}, max {found.max:,.0f} ms"


def _feed(load: FeedLoad) -> Iterator[Row]:
    for one in load.requests:
        cost = f"{one.feed_cpu_us:.0f} µs CPU, {one.answer_bytes:,} bytes"
        meaning = f"{cost}, p99 {one.p99_ms:.1f} ms, {one.connections} connections"
        yield f"GET {one.what}", f"{one.per_second:,}/s", meaning
    for fan in load.fan_outs:
        spread = f"first {fan.first_ms:.0f} ms, between them {fan.spread_ms:.0f} ms"
        meaning = f"until the last has it; {spread}; worst of {fan.events}"
        yield f"SSE, {fan.clients:,} clients", f"{fan.last_ms:.0f} ms", meaning
    if load.peak_rss_bytes is not None:
        yield "feed memory", f"{load.peak_rss_bytes / MIB:,.0f} MiB", "most resident at once"
