"""What a hostile or broken client can publish, on the real broker, engine and worker: bounded, and refused by name."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.record_batch import GZIP, LZ4, NONE, ZSTD, batch, batch_of, bomb, produce, record
from tests.support.sending import Record, of_event, send
from tests.support.stack import Process, Stack, running_stack
from tests.support.wire import Event, event, frame

TOPIC = "gris.events.g01"
KEY = b"G01.001"
DAY = "2026-01-05"
GOOD = event("G01.001", "01", DAY, 7.0)
MEMORY = 600 << 10  # KiB that a worker may take
MILLION = 1_000_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run broker, database and feed on the bundled catalogue."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        running.feed()
        yield running


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Process:
    """Run one worker for all tests here: it has to survive each."""
    return stack.worker()


def most_memory(process: Process) -> int:
    """Read the most memory that a process has had so far, in KiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1])


def verdicts(stack: Stack, first: int, count: int) -> list[list[object]]:
    """Read offset, reason, field and length of the bytes of what was refused in a range of offsets."""
    return stack.query(
        "SELECT offset, reason, field, length(raw) FROM rejected FINAL"
        f" WHERE topic = '{TOPIC}' AND offset >= {first} AND offset < {first + count} ORDER BY offset"
    )


def refused(stack: Stack, worker: Process, said: dict[str, tuple[bytes, Event]]) -> dict[str, str]:
    """Send named events, each followed by a good one; answers each one's verdict, with the good ones accepted."""
    records = []
    for key, spoilt in said.values():
        records += [Record(TOPIC, key, frame(spoilt)), of_event(GOOD)]
    first = send(stack.bootstrap, records)[0][1]
    stack.wait_caught_up(alive=[worker])
    rows = verdicts(stack, first, len(records))
    found = {int(str(row[0])) - first: str(row[1]) for row in rows}
    assert not [at for at in found if at % 2], "a good event among the hostile ones was refused"
    return {name: found.get(2 * at, "accepted") for at, name in enumerate(said)}


def test_batches_that_unpack_to_gigabytes_are_read_in_bounded_memory_and_refused_record_by_record(
    stack: Stack, worker: Process
) -> None:
    good = batch_of([record(0, KEY, frame(GOOD))])
    bombs = [
        batch(1, b"".join(bomb(GZIP, 1, 1 << 30)), GZIP),
        batch(1, b"".join(bomb(ZSTD, 1, 1 << 30)), ZSTD),
        batch(3, b"".join(bomb(LZ4, 3, 300 << 20)), LZ4),
        batch(200, b"".join(bomb(ZSTD, 200, 1 << 20)), ZSTD),
        batch(50_000, b"".join(bomb(ZSTD, 50_000, 4_000)), ZSTD),
    ]
    odd = batch_of([record(0, KEY, frame(GOOD), [(b"\xff\xfe", b"a name that is no text")])])
    places = asyncio.run(produce(stack.bootstrap, TOPIC, [good, *(b for one in bombs for b in (one, good)), odd]))
    first, end = places[0], places[-1] + 1
    stack.wait_caught_up(alive=[worker], within=240)
    rows = verdicts(stack, first, end - first)
    assert {row[1] for row in rows} == {"UNKNOWN_SCHEMA"}
    lengths = [row[3] for row in rows]
    assert lengths == [16 << 20] * 5 + [1 << 20] * 200 + [4_000] * 50_000
    accepted = stack.query(f"SELECT offset FROM observations FINAL WHERE topic = '{TOPIC}' AND offset >= {first}")
    assert len(accepted) == len(bombs) + 2
    print("most memory", most_memory(worker) >> 10, "MiB")
    assert most_memory(worker) < MEMORY


def test_texts_of_a_million_characters_are_refused_in_every_field(stack: Stack, worker: Process) -> None:
    long = "ế" * MILLION
    assert refused(
        stack,
        worker,
        {
            "submission": (KEY, GOOD | {"submission": long}),
            "indicator": (long.encode(), GOOD | {"indicator": long}),
            "key": (b"k" * MILLION, GOOD),
            "area": (KEY, GOOD | {"area": long}),
            "breakdown": (KEY, GOOD | {"breakdown": long}),
            "time_period": (KEY, GOOD | {"time_period": long}),
            "note": (KEY, GOOD | {"note": long}),
        },
    ) == {
        "submission": "BAD_SUBMISSION",
        "indicator": "UNKNOWN_INDICATOR",
        "key": "KEY_MISMATCH",
        "area": "UNKNOWN_AREA",
        "breakdown": "UNKNOWN_BREAKDOWN",
        "time_period": "BAD_PERIOD",
        "note": "BAD_NOTE",
    }
    assert most_memory(worker) < MEMORY
