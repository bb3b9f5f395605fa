"""What a rival is told and what it answers: files of JSON, because each is a process of its own."""

import dataclasses
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from deploy.benchmark.catalogue import NATION, PROVINCES
from deploy.benchmark.expected import WATCHED

AREAS = (NATION, *(PROVINCES[at] for at in WATCHED))
"""The areas whose totals are set against the count."""

TotalRow = tuple[str, str, str, int | None, int]  # bucket, indicator, area, value in ticks, cells


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """Read every topic of one partition up to, and without, the offset of ``upto``."""

    kafka: str
    catalogue: str
    upto: Mapping[str, int]
    accepted: int  # how many of all must be: a rival that cannot count what it drops knows by it that it is done

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what is to be done."""
        return cls(**json.loads(file.read_text()))

    @property
    def events(self) -> int:
        """How many records that is."""
        return sum(self.upto.values())


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a rival made of it; ``seconds`` and ``cpu_seconds`` from its first record to its last total."""

    events: int
    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    accepted: dict[str, int]
    totals: list[TotalRow]

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what a rival wrote."""
        found = json.loads(file.read_text())
        return cls(**found | {"totals": [tuple(row) for row in found["totals"]]})


class Clock:
    """Measures a rival from its first record on."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._cpu = time.process_time()

    def answer(self, events: int, accepted: dict[str, int], totals: list[TotalRow]) -> Answer:
        """Stop, and answer."""
        seconds, cpu = time.perf_counter() - self._began, time.process_time() - self._cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return Answer(events, seconds, cpu, peak, accepted, totals)


def main(work: Callable[[Job], Answer]) -> None:
    """Do the job that the first argument names, and write the answer where the second says."""
    told, answers = map(Path, sys.argv[1:3])
    write(work(Job.read(told)), answers)


def write(answer: Answer, file: Path) -> None:
    """Write an answer, whole or not at all."""
    staged = file.with_suffix(".new")
    staged.write_text(json.dumps(dataclasses.asdict(answer)))
    staged.replace(file)
