"""Whether a run that stored nothing was right: what it announced on gris.rejected and gris.daily, against the count."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Self

from deploy.benchmark.catalogue import NATION, PROVINCES
from deploy.benchmark.expected import TICKS, WATCHED, Expected, Key, Total
from deploy.benchmark.log import read
from deploy.benchmark.workload import TOPICS
from deploy.topics import ends
from schemas.codec import decode_line, decode_rejected
from schemas.topics import DAILY, REJECTED

SHOWN = 20  # differences named of each kind


@dataclasses.dataclass(frozen=True, slots=True)
class Ends:
    """Where the topics of announcements ended before a run."""

    daily: int
    rejected: int

    @classmethod
    def of(cls, bootstrap: str) -> Self:
        """Ask the broker."""
        found = ends(bootstrap, (DAILY, REJECTED))
        return cls(found[DAILY, 0], found[REJECTED, 0])


def announced_differences(bootstrap: str, since: Ends, expected: Expected) -> Iterator[str]:
    """Name what is wrong of what was announced since; nothing when all is right."""
    yield from _rejected(bootstrap, since.rejected, expected)
    found: dict[Key, tuple[int, Total]] = {}
    watched = {NATION, *(PROVINCES[at] for at in WATCHED)}
    for _, value in read(bootstrap, DAILY, since.daily):
        line = decode_line(value)
        for area in line["areas"]:
            key = line["bucket"], line["indicator"], area["area"]
            if area["area"] in watched and found.get(key, (0,))[0] <= line["version"]:
                status = line["status"] if area["area"] == NATION else ""
                found[key] = line["version"], _total(area, status)
    wanted = {
        key: total if key[2] == NATION else dataclasses.replace(total, status="") for key, total in expected.totals()
    }
    wrong = sorted(key for key in found.keys() | wanted.keys() if found.get(key, (0, None))[1] != wanted.get(key))
    for key in wrong[:SHOWN]:
        bucket, indicator, area = key
        yield f"{bucket} {indicator} {area}: announced {found.get(key)}, expected {wanted.get(key)}"
    if len(wrong) > SHOWN:
        yield f"and {len(wrong) - SHOWN:,} more of {len(wanted):,} totals"


def _rejected(bootstrap: str, since: int, expected: Expected) -> Iterator[str]:
    places: dict[tuple[str, int, int], str] = {}
    for _, value in read(bootstrap, REJECTED, since):
        record = decode_rejected(value)
        places[record["topic"], record["partition"], record["offset"]] = record["reason"]
    found = Counter((topic, reason) for (topic, _, _), reason in places.items())
    wanted = Counter(
        {(topic, reason): n for topic, bad in zip(TOPICS, expected.rejected, strict=True) for reason, n in bad.items()}
    )
    for topic, reason in sorted(found.keys() | wanted.keys()):
        if found[topic, reason] != wanted[topic, reason]:
            said = f"{found[topic, reason]:,} announced as rejected for {reason}"
            yield f"{topic}: {said}, {wanted[topic, reason]:,} expected"


def _total(area: Mapping[str, Any], status: str) -> Total:
    value, low, high = (None if area[name] is None else int(area[name] * TICKS) for name in ("value", "min", "max"))
    return Total(value, low, high, area["areas_reported"], area["cells"], status)
