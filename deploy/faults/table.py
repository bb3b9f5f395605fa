"""An outcome as a table for people and as JSON for programs."""

import dataclasses
import statistics
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from deploy.faults.outage import Outage
from deploy.faults.run import Outcome, Struck
from deploy.faults.schedule import Kind

MIB = 1 << 20


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Give everything there is to know of a run."""
    plan = outcome.plan
    return {
        "held": not outcome.violations,
        "seed": plan.seed,
        "events": plan.events,
        "stored": outcome.stored,
        "workload": plan.shape,
        "faults": [
            {"fault": str(one.fault), "kind": str(one.fault.kind), "recovery": one.recovery} for one in outcome.struck
        ],
        "violations": list(outcome.violations),
        "seconds": outcome.seconds,
        "rebalances": outcome.rebalances,
        "slowest_stop_seconds": outcome.slowest_stop,
        "most_resident_bytes": outcome.most_resident,
    }


def outage_as_json(outage: Outage) -> dict[str, Any]:
    """Give everything there is to know of a long outage."""
    return {"held": not outage.violations, **dataclasses.asdict(outage), "drain_rate": outage.drain_rate}


def outage_table(outage: Outage) -> Group:
    """Lay out how a long outage went, and say whether all held."""
    shown = Table(title=f"gris bench outage: {outage.seconds:.0f} s without the database", title_justify="left")
    shown.add_column("what")
    shown.add_column("seen", justify="right")
    shown.add_row("published meanwhile", f"{outage.rate:,.0f} events/s")
    shown.add_row("to be stored when it was back", f"{outage.behind:,} events")
    shown.add_row("stored after", f"{outage.drained:.1f} s: {outage.drain_rate:,.0f} events/s")
    shown.add_row("most resident memory of a worker", f"{outage.most_resident / MIB:,.0f} MiB")
    shown.add_row("CPU of both workers meanwhile", f"{outage.cpu:.1%} of a core")
    shown.add_row("lines of log of both meanwhile", str(outage.lines))
    if not outage.violations:
        return Group(shown, "No partition moved, nothing lost, nothing doubled, every total right.")
    return Group(shown, *(Text(f"VIOLATION {line}", "red") for line in outage.violations))


def table(outcome: Outcome) -> Group:
    """Lay the faults out by kind, and say whether all held; if not, with what it takes to see it again."""
    plan = outcome.plan
    shown = Table(title=f"gris bench faults: seed {plan.seed}, {plan.events:,} events", title_justify="left")
    shown.add_column("fault")
    for heading in ("struck", "recovered from in (median)", "at most"):
        shown.add_column(heading, justify="right")
    for kind in Kind:
        struck = [one for one in outcome.struck if one.fault.kind is kind]
        if struck:
            shown.add_row(str(kind), str(len(struck)), *_recoveries(struck))
    shown.add_section()
    shown.add_row("all", str(len(outcome.struck)), *_recoveries(outcome.struck))
    said = (
        f"{outcome.stored:,} events stored in {outcome.seconds:.0f} s. Most resident memory of a worker "
        f"{outcome.most_resident / MIB:,.0f} MiB, slowest stop in order {outcome.slowest_stop:.1f} s, "
        f"{outcome.rebalances} assignments of partitions."
    )
    if not outcome.violations:
        return Group(shown, said, "Nothing lost, nothing doubled, every total right.")
    wrong = [Text(f"VIOLATION {line}", "red") for line in outcome.violations]
    return Group(shown, said, *wrong, f"seed {plan.seed}, up to then:", *(f"  {one.fault}" for one in outcome.struck))


def _recoveries(struck: tuple[Struck, ...] | list[Struck]) -> tuple[str, str]:
    known = [one.recovery for one in struck if one.recovery is not None]
    if not known:
        return "with the next", ""
    return f"{statistics.median(known):.1f} s", f"{max(known):.1f} s"
