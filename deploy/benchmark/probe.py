"""What a process has used up and what its metrics say, as the operating system and Prometheus' text format tell it."""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

KIB = 1024


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
    """What workers' metrics say of the run: seconds and calls by stage, flushes, when the first block was unpacked."""

    stages: dict[str, tuple[float, int]]
    flushes: int
    first_block: float | None  # seconds since 1970


def told(metrics: Iterable[str]) -> Told:
    """Read the metrics of all workers together."""
    seconds: dict[str, float] = {}
    calls: dict[str, int] = {}
    begun: list[float] = []
    flushes = 0
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
                    case "gris_flush_seconds_count":
                        flushes += int(sample.value)
    stages = {stage: (round(seconds[stage], 3), calls[stage]) for stage in seconds}
    return Told(stages, flushes, min(begun, default=None))
