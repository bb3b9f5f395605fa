"""What a process has used up and what its metrics say, as the operating system and Prometheus' text format tell it."""

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

KIB = 1024
LAG = re.compile(r'^gris_lag_events\{partition="(\d+)",topic="([^"]+)"\} (\S+)$', re.MULTILINE)
JUDGE = "judge"  # the call whose stages are timed one by one
CALLS = frozenset(
    {
        *(JUDGE, "fold", "reckon", "reckon_flipped", "report", "load", "load_year", "cells"),
        *("observations", "rejected", "day_totals", "delete_totals", "ledger"),
        *("floors", "give_back"),
    }
)
"""What threads are called for; all else that tells of its CPU is a stage of judging."""
OPENING = frozenset({"starts", "<lambda>", "next"})
"""What they are called for before the worker is ready, and once in five seconds; and what is told as a stage, too."""


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds in user and system mode, all threads, and the most memory that was resident at once, in bytes."""

    cpu_seconds: float
    peak_bytes: int


def usage(pid: int) -> Usage | None:
    """Read what a process has used up; None where there is no /proc, or no such process any more."""
    try:
        # The command in brackets may hold spaces and brackets itself: the fields after the last one are safe.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    ticks = int(fields[11]) + int(fields[12])
    peak = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), peak * KIB)


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What workers' metrics say of the run.

    ``stages``: wall seconds and calls by stage. ``cpu``: CPU seconds by what the threads beside the event loop did.
    ``first_block``: when the first block was unpacked; ``last_flush``: when the last one was done (seconds since 1970).
    """

    stages: dict[str, tuple[float, int]]
    cpu: dict[str, float]
    flushes: int
    flush_seconds: float
    first_block: float | None
    last_flush: float | None


def told(metrics: Iterable[str]) -> Told:  # noqa: C901 - a list of names
    """Read the metrics of all workers together."""
    seconds: dict[str, float] = {}
    calls: dict[str, int] = {}
    cpu: dict[str, float] = {}
    begun: list[float] = []
    ended: list[float] = []
    flushes, flush_seconds = 0, 0.0
    for text in metrics:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                stage = sample.labels.get("stage", "")
                match sample.name:
                    case "gris_stage_seconds_sum":
                        seconds[stage] = seconds.get(stage, 0.0) + sample.value
                    case "gris_stage_seconds_count":
                        calls[stage] = calls.get(stage, 0) + int(sample.value)
                    case "gris_stage_seconds_created" if stage == "frame":
                        begun.append(sample.value)
                    case "gris_cpu_seconds_total":
                        cpu[sample.labels["work"]] = cpu.get(sample.labels["work"], 0.0) + sample.value
                    case "gris_flush_seconds_count":
                        flushes += int(sample.value)
                    case "gris_flush_seconds_sum":
                        flush_seconds += sample.value
                    case "gris_ledger_written_timestamp_seconds":
                        ended.append(sample.value)
    stages = {stage: (round(seconds[stage], 3), calls[stage]) for stage in seconds}
    return Told(stages, _apart(cpu), flushes, flush_seconds, min(begun, default=None), max(ended, default=None))


def _apart(cpu: Mapping[str, float]) -> dict[str, float]:
    """Count nothing twice: the stages of judging are timed one by one, and what is between them is its rest."""
    found = {work: seconds for work, seconds in cpu.items() if work not in OPENING}
    if JUDGE in found:
        parts = sum(seconds for work, seconds in found.items() if work not in CALLS)
        found[JUDGE] = max(found[JUDGE] - parts, 0.0)
    return found


def lags(metrics: Iterable[str]) -> dict[tuple[str, int], int]:
    """Tell by topic and partition how many records are not done with, of the partitions of which workers tell."""
    found: dict[tuple[str, int], int] = {}
    for text in metrics:
        for partition, topic, lag in LAG.findall(text):
            found[topic, int(partition)] = int(float(lag))
    return found
