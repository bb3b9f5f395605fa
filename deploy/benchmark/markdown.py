"""The tables of the page on performance, written from what `gris bench --json` wrote: no figure is typed by hand."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from schemas.errors import Fatal

Said = Mapping[str, Any]
MIB = 1 << 20
MARK = re.compile(r"(<!-- bench:(\w+) -->\n).*?(<!-- /bench -->)", re.DOTALL)


def fill(page: Path, said: Said) -> list[str]:
    """Put tables between the page's marks `<!-- bench:NAME -->` and `<!-- /bench -->`; the names that were filled.

    A mark of whose part ``said`` has nothing keeps what it has: a page may be filled from several runs.
    """
    filled = []

    def written(found: re.Match[str]) -> str:
        name = found[2]
        if name not in TABLES:
            raise Fatal(f"{page.name} asks for a table {name}; there are {', '.join(TABLES)}.")
        rows = list(TABLES[name](said))
        if not rows:
            return found[0]
        filled.append(name)
        return f"{found[1]}{_table(rows)}\n{found[3]}"

    page.write_text(MARK.sub(written, page.read_text(encoding="utf-8")), encoding="utf-8")
    return filled


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def _machine(said: Said) -> Iterator[Sequence[str]]:
    machine = said["machine"]
    if machine:
        libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
        yield ("machine", "cores", "load before", "seed", "Python", "libraries")
        what = f"{machine['system']}, {machine['architecture']}"
        load, seed = str(machine["load_average_before"]), str(said["plan"]["seed"])
        yield what, str(machine["cpus"]), load, seed, machine["python"], libraries


def _throughput(said: Said) -> Iterator[Sequence[str]]:
    runs = [run for run in said["throughput"] if run["measures"]]
    if runs:
        yield ("run", "events", "events/s", "worker CPU, µs/event", "by fifths of the run", "peak memory, MiB")
    for run in runs:
        found = run["measures"]
        kept = "" if run["inserts"] else ", inserts off: nothing was kept"
        yield (
            f"{said['plan']['shape']}, {run['workers']} worker{'s' * (run['workers'] > 1)}{kept}",
            f"{run['events']:,}",
            f"{found['events_per_second']:,}",
            f"{found['cpu_us_per_event'] or 0:.2f}",
            ", ".join(f"{one:.2f}" for one in found["cpu_slices"]),
            f"{(found['peak_rss_bytes'] or 0) / MIB:,.0f}",
        )


def _stages(said: Said) -> Iterator[Sequence[str]]:
    runs = [run for run in said["throughput"] if run["measures"] and run["workers"] == 1 and run["inserts"]]
    if runs:
        found = runs[0]["measures"]
        yield ("stage of a worker", "CPU, µs/event", "share")
        whole = found["cpu_us_per_event"] or 1
        for work, spent in found["cpu_stages"].items():
            yield work, f"{spent:.3f}", f"{spent / whole:.0%}"
        yield "**all**", f"**{whole:.2f}**", ""


def _floors(said: Said) -> Iterator[Sequence[str]]:
    if said["floors"]:
        yield ("what the library alone takes", "CPU, µs/event", "by the clock, µs/event")
    for floor in said["floors"]:
        yield floor["what"], f"{floor['cpu_us']:.3f}", f"{floor['wall_us']:.3f}"


def _rivals(said: Said) -> Iterator[Sequence[str]]:
    races = [race for race in said["rivals"] if race["events_per_second"]]
    runs = [run for run in said["throughput"] if run["measures"] and run["workers"] == 1 and run["inserts"]]
    if not races:
        return
    yield ("in the same call", "events", "events/s", "CPU, µs/event", "CPU against GRIS", "keeps")
    ours = runs[0]["measures"]["cpu_us_per_event"] if runs else None
    if runs:
        speed = f"{runs[0]['measures']['events_per_second']:,}"
        kept = "observations, rejected, totals, ledger, lines"
        yield "**GRIS, one worker**", f"{runs[0]['events']:,}", f"**{speed}**", f"**{ours:.2f}**", "1", kept
    for race in races:
        cpu = race["cpu_us_per_event"]
        times = f"{cpu / ours:.1f} times" if ours else ""
        yield race["name"], f"{race['events']:,}", f"{race['events_per_second']:,}", f"{cpu:.2f}", times, race["keeps"]


def _latency(said: Said) -> Iterator[Sequence[str]]:
    rates = (said["latency"] or {}).get("rates", ())
    if rates:
        percents = [f"{to}, {name}" for to in ("stored", "SSE") for name in ("p50", "p90", "p99", "max")]
        yield ("events/s", *percents, "a flush", "worker", "feed", "ClickHouse", "SSE clients")
    for one in rates:
        times = [f"{one[to][name]:,.0f} ms" for to in ("stored", "on_stream") for name in ("p50", "p90", "p99", "max")]
        asked = f"{one['rate']:,}" + ("" if one["reached"] >= 0.98 * one["rate"] else f" (kept {one['reached']:,.0f})")
        shares = [f"{one['cpu'][name]:.0%}" if name in one["cpu"] else "" for name in ("worker", "feed", "clickhouse")]
        flush = f"{one['flush_ms']['flush']:.0f} ms" if one["flush_ms"] else ""
        yield asked, *times, flush, *shares, f"{one['clients']:,}"


def _restart(said: Said) -> Iterator[Sequence[str]]:
    found = said["restart"]
    if found and found["first_row_seconds"]:
        yield ("after SIGKILL and an immediate start", "1st", "2nd", "3rd")
        yield "partitions opened", *(f"{one:.1f} s" for one in found["ready_seconds"])
        yield "first row in the ledger", *(f"{one:.1f} s" for one in found["first_row_seconds"])


def _feed(said: Said) -> Iterator[Sequence[str]]:
    if said["feed"]:
        yield ("feed", "", "bytes", "p50", "p99", "CPU of the feed")
        for one in said["feed"]["requests"]:
            times = f"{one['p50_ms']:.1f} ms", f"{one['p99_ms']:.1f} ms"
            size = f"{one['answer_bytes']:,}"
            yield f"GET {one['what']}", f"{one['per_second']:,}/s", size, *times, f"{one['feed_cpu_us']:.0f} µs"


def _fan_out(said: Said) -> Iterator[Sequence[str]]:
    if said["feed"]:
        yield ("SSE clients", "first has the event", "last has the event", "between the two")
        for fan in said["feed"]["fan_outs"]:
            yield f"{fan['clients']:,}", *(f"{fan[name]:,.0f} ms" for name in ("first_ms", "last_ms", "spread_ms"))


def _of(shape: str, most: float, least: int = 0) -> Callable[[Said], bool]:
    return lambda said: said["plan"]["shape"] == shape and least < said["plan"]["events"] <= most


def _when(fits: Callable[[Said], bool], rows: Callable[[Said], Iterable[Sequence[str]]]) -> "Rows":
    return lambda said: rows(said) if fits(said) else ()


LONG = 5_000_000  # events: above them it is a long run
QUICK = _of("week", LONG)
Rows = Callable[[Said], Iterable[Sequence[str]]]
TABLES: dict[str, Rows] = {
    "machine": _when(QUICK, _machine),
    "throughput": _when(QUICK, _throughput),
    "stages": _when(QUICK, _stages),
    "floors": _floors,
    "rivals": _when(QUICK, _rivals),
    "latency": _latency,
    "restart": _restart,
    "feed": _feed,
    "fan_out": _fan_out,
    "shuffled": _when(_of("shuffled", math.inf), _throughput),
    "long": _when(_of("week", math.inf, LONG), _throughput),
}
