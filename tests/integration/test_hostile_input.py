"""What a hostile or broken client can publish, on the real broker, engine and worker: bounded, and refused by name."""

import asyncio
import csv
import io
import math
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.support.record_batch import GZIP, LZ4, ZSTD, batch, batch_of, bomb, header_bomb, produce, record
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
        batch(1, b"".join(header_bomb(ZSTD, 1, (16 << 20) - 4)), ZSTD),
        batch(20, b"".join(header_bomb(LZ4, 20, 1 << 20)), LZ4),
    ]
    odd = batch_of([record(0, KEY, frame(GOOD), [(b"\xff\xfe", b"a name that is no text")])])
    places = asyncio.run(produce(stack.bootstrap, TOPIC, [good, *(b for one in bombs for b in (one, good)), odd]))
    first, end = places[0], places[-1] + 1
    stack.wait_caught_up(alive=[worker], within=240)
    rows = verdicts(stack, first, end - first)
    assert {row[1] for row in rows} == {"UNKNOWN_SCHEMA", "SHORT_FRAME"}
    lengths = [row[3] for row in rows]
    assert lengths == [16 << 20] * 5 + [1 << 20] * 200 + [4_000] * 50_000 + [1] * 21
    accepted = stack.query(f"SELECT offset FROM observations FINAL WHERE topic = '{TOPIC}' AND offset >= {first}")
    assert len(accepted) == len(bombs) + 2
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


def test_numbers_and_dates_at_the_edges_of_what_can_be_written(stack: Stack, worker: Process) -> None:
    largest, smallest = 1.7976931348623157e308, 5e-324
    expected: dict[str, tuple[Event, str]] = {
        "not a number": ({"value": math.nan}, "NOT_FINITE"),
        "infinity": ({"value": math.inf}, "NOT_FINITE"),
        "minus infinity": ({"value": -math.inf}, "NOT_FINITE"),
        "largest": ({"value": largest}, "OUT_OF_RANGE"),
        "smallest": ({"value": smallest}, "TOO_PRECISE"),
        "below zero": ({"value": -smallest}, "OUT_OF_RANGE"),
        "minus zero": ({"value": -0.0}, "accepted"),
        "the bound": ({"value": 200.0}, "accepted"),
        "a step above": ({"value": math.nextafter(200, 201)}, "OUT_OF_RANGE"),
        "a step below": ({"value": math.nextafter(200, 199)}, "TOO_PRECISE"),
        "half": ({"value": 6.5}, "TOO_PRECISE"),
        "base that does not count": ({"base": math.nan}, "accepted"),
        "year 1": ({"time_period": "0001-01-01"}, "BAD_PERIOD"),
        "year 1900": ({"time_period": "1900-01-01"}, "BAD_PERIOD"),
        "year 1990": ({"time_period": "1990-01-01"}, "accepted"),
        "year 2099": ({"time_period": "2099-12-31"}, "FUTURE_PERIOD"),
        "year 2099, forecast": ({"time_period": "2099-12-31", "status": "F"}, "accepted"),
        "year 9999": ({"time_period": "9999-12-31"}, "BAD_PERIOD"),
        "year 10000": ({"time_period": "10000-01-01"}, "BAD_PERIOD"),
        "first long": ({"observed_at": -(1 << 63)}, "BAD_OBSERVED_AT"),
        "last long": ({"observed_at": (1 << 63) - 1}, "BAD_OBSERVED_AT"),
        "1969": ({"observed_at": -1}, "BAD_OBSERVED_AT"),
        "1970": ({"observed_at": 0}, "accepted"),
        "end of 2099": ({"observed_at": 4_102_444_799_999}, "OBSERVED_IN_FUTURE"),
        "2100": ({"observed_at": 4_102_444_800_000}, "BAD_OBSERVED_AT"),
        "first int": ({"revision": -(1 << 31)}, "BAD_REVISION"),
        "last int": ({"revision": (1 << 31) - 1}, "BAD_REVISION"),
        "last revision": ({"revision": (1 << 23) - 1}, "accepted"),
        "one revision more": ({"revision": 1 << 23}, "BAD_REVISION"),
        "nul": ({"area": "0\x001"}, "UNKNOWN_AREA"),
        "right to left": ({"area": "\u202e10"}, "UNKNOWN_AREA"),
        "combining": ({"area": "01\u0301"}, "UNKNOWN_AREA"),
        "full width": ({"area": "\uff10\uff11"}, "UNKNOWN_AREA"),
        "half a character": ({"area": b"\xed\xa0\x80"}, "BAD_TEXT"),
        "deep breakdown": ({"breakdown": "sex:F;" * 10_000}, "UNKNOWN_BREAKDOWN"),
        "note of 2,000": ({"note": "\U0001f600" * 2_000}, "accepted"),
        "note of 2,001": ({"note": "\U0001f600" * 2_001}, "BAD_NOTE"),
    }
    found = refused(stack, worker, {name: (KEY, GOOD | wrong) for name, (wrong, _) in expected.items()})
    assert found == {name: reason for name, (_, reason) in expected.items()}


WORDS = (
    "'; DROP TABLE observations; --",
    "\\'); SELECT 1; --",
    "<script>alert(1)</script>",
    "x\n\nevent: line\nid: 99999\ndata: {}\n\n",
    '=HYPERLINK("http://x","y")',
    "@SUM(A1:A9)",
    "\x1b]0;owned\x07\x1b[2J",
    "a\x00b",
    "{value} %s $(id) `id` ${x}",
    "\u202e\u2066",
)


def test_words_of_other_languages_are_kept_as_they_are_and_obeyed_by_nobody(stack: Stack, worker: Process) -> None:
    day = "2026-01-06"
    first = send(
        stack.bootstrap,
        [of_event(GOOD | {"time_period": day, "note": words, "revision": at}) for at, words in enumerate(WORDS)],
    )[0][1]
    refused(stack, worker, {words: (KEY, GOOD | {"submission": words}) for words in WORDS})
    refused(stack, worker, {words: (KEY, GOOD | {"area": words, "submission": "WORDS"}) for words in WORDS})

    path = f"/v1/observations?indicator=G01.001&area=01&from={day}&to={day}"
    page = stack.get(path).json()["observations"]
    assert {row["note"] for row in page} == set(WORDS)
    table = list(csv.DictReader(io.StringIO(stack.get(f"{path}&format=csv").text, newline="")))
    shown = {row["note"] for row in table}
    assert shown == {f"'{words}" if words[0] in "=@" else words for words in WORDS}

    verdict = stack.get("/v1/submissions/g01/WORDS").json()
    assert [row["reason"] for row in verdict["rejected"]] == ["UNKNOWN_AREA"] * len(WORDS)
    for words in WORDS:
        answer = stack.get(f"/v1/submissions/g01/{quote(words, safe='')}")
        if answer.status_code == httpx.codes.OK:
            assert [row["reason"] for row in answer.json()["rejected"]] == ["BAD_SUBMISSION"]
        else:
            assert answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.UNPROCESSABLE_ENTITY}
    for arguments in (("list", "--agency", "g01"), ("show", f"{TOPIC}:0:{first + len(WORDS)}")):
        said = stack.run("rejects", *arguments)
        assert "\x1b" not in said
        assert "\x00" not in said


def labels(stack: Stack) -> set[str]:
    """Name every series that the worker's metrics have."""
    text = httpx.get(f"{stack.metrics['worker-1']}/metrics", timeout=30).text
    return {row.rpartition(" ")[0] for row in text.splitlines() if not row.startswith("#")}


def test_a_hundred_thousand_distinct_texts_are_refused_one_by_one_and_leave_no_trace_in_memory_or_metrics(
    stack: Stack, worker: Process
) -> None:
    def spoilt(at: int) -> Record:
        wrong = ({"submission": f"no {at}"}, {"area": f"a{at}"}, {"indicator": f"I{at}"})[at % 3]
        said = GOOD | wrong
        return Record(TOPIC, str(said["indicator"]).encode(), frame(said))

    send(stack.bootstrap, [spoilt(at) for at in range(3)])
    stack.wait_caught_up(alive=[worker])
    before, memory, count = labels(stack), most_memory(worker), 100_000
    first = send(stack.bootstrap, [spoilt(at) for at in range(3, count + 3)])[0][1]
    stack.wait_caught_up(alive=[worker])
    found = stack.query(
        "SELECT reason, count(), uniqExact(submission), uniqExact(indicator), uniqExact(raw) FROM rejected FINAL"
        f" WHERE topic = '{TOPIC}' AND offset >= {first} GROUP BY reason ORDER BY reason"
    )
    third = count // 3
    assert found == [
        ["BAD_SUBMISSION", third + 1, third + 1, 1, third + 1],
        ["UNKNOWN_AREA", third, 1, 1, third],
        ["UNKNOWN_INDICATOR", third, 1, third, third],
    ]
    assert labels(stack) == before
    assert most_memory(worker) - memory < 200 << 10


def test_after_all_this_the_check_finds_no_difference(stack: Stack, worker: Process) -> None:
    stack.wait_caught_up(alive=[worker])
    stack.run("check")
    assert worker.stop() == 0
