"""Rejects as a work queue, on the real stack: look at them, replay them, and never twice."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from deploy.cli import Program
from deploy.local.ports import free_port
from schemas.partition import partition_for
from tests.support.catalogue_folders import change
from tests.support.figures import EVENTS
from tests.support.sending import Record, of_event, send
from tests.support.small_catalogue import write_catalogue
from tests.support.stack import Process, Stack, running_stack
from tests.support.wire import Event, event, frame

Z01, Z04 = f"{EVENTS}z01", f"{EVENTS}z04"
HOURLY = "Z01.001"  # a flow by the hour and province, from 0 to 500 and whole
ROW_OF_HOURLY = 2


@click.group(cls=Program)
def gris() -> None:
    """Run the program without its logs, which are not ours to send elsewhere."""


@dataclasses.dataclass
class Running:
    """The stack, its one worker, and catalogues with other upper bounds of HOURLY."""

    stack: Stack
    worker: Process
    folder: Path

    def bound(self, high: int) -> str:
        """Give a catalogue with this upper bound."""
        folder = self.folder / f"up-to-{high}"
        if not folder.exists():
            change(write_catalogue(folder), "indicators.csv", ROW_OF_HOURLY, max=str(high))
        return str(folder)

    def deploy(self, high: int) -> None:
        """Stop the worker and start it with another catalogue, which commands use from then on."""
        assert self.worker.stop() == 0, self.worker.tail()
        self.stack.environment["GRIS_CATALOGUE"] = self.bound(high)
        self.worker = self.stack.worker()

    def send(self, *records: Record) -> list[str]:
        """Send records and wait until they are judged; answers their places."""
        places = send(self.stack.bootstrap, records)
        self.stack.wait_caught_up(alive=[self.worker])
        return [f"{one.topic}:{at}:{offset}" for one, (at, offset) in zip(records, places, strict=True)]

    def gris(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Run a command that prints JSON."""
        answer: dict[str, Any] = json.loads(self.say(*words, "--json", code=code))
        return answer

    def say(self, *words: str, code: int = 0) -> str:
        """Run a command in this process, which saves a second each; it must exit with ``code``."""
        ran = CliRunner(env=self.stack.environment).invoke(gris, words)
        assert ran.exit_code == code, f"gris {' '.join(words)} exited {ran.exit_code}:\n{ran.output}\n{ran.exception!r}"
        return ran.stdout

    def open(self, *words: str) -> set[str]:
        """Name the open rejects."""
        return {one["place"] for one in self.gris("rejects", "list", *words)["rejects"]}

    def ends(self) -> int:
        return sum(self.stack.ends().values())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("rejects")
    with running_stack(folder, write_catalogue(folder / "catalogue")) as stack:
        yield Running(stack, stack.worker(), folder)


def hourly(hour: int, value: float | None, **others: object) -> Event:
    return event(HOURLY, "01", f"2024-08-01T{hour:02}:00:00/PT1H", value, **others)


def elsewhere(code: str) -> int:
    """Name a partition of z04 that is not the one of ``code``."""
    return (partition_for(code.encode(), 4) + 1) % 4


Z04_EVENT = event("Z04.002", "01", "2024-08-01", 1)


@pytest.fixture(scope="module")
def batch(running: Running) -> dict[str, str]:
    """Send a batch that goes wrong in several ways, with a good event among it; places by what is wrong."""
    good = hourly(0, 7, submission="BATCH-1")
    records = {
        "good": of_event(good),
        "600": of_event(hourly(1, 600)),
        "700": of_event(hourly(2, 700, note="sửa\x1b[2J")),
        "key": Record(Z01, b"Z01.002", frame(hourly(3, 3))),
        "cut": Record(Z01, HOURLY.encode(), frame(hourly(4, 4, submission="CUT-1"))[:-4]),
        "text": Record(Z01, HOURLY.encode(), frame(hourly(5, 5) | {"area": b"\xff"})),
        "null": Record(Z01, HOURLY.encode(), None),
        "partition": Record(Z04, b"Z04.002", frame(Z04_EVENT), elsewhere("Z04.002")),
    }
    return dict(zip(records, running.send(*records.values()), strict=True))


def test_rejects_are_listed_and_counted_by_what_is_asked(running: Running, batch: dict[str, str]) -> None:
    assert running.open() == set(batch.values()) - {batch["good"]}
    assert running.open("--agency", "z04") == {batch["partition"]}
    assert running.open("--reason", "out_of_range", "--reason", "TOMBSTONE") == {
        batch["600"],
        batch["700"],
        batch["null"],
    }
    assert running.open("--submission", "CUT-1") == running.open("--reason", "UNDECODABLE") == {batch["cut"]}
    assert running.open("--indicator", "Z04.002") == {batch["partition"]}
    assert running.open("--since", "2020-01-01", "--until", "2020-01-02") == set()
    assert running.open("--since", "2020-01-01", "--agency", "z04") == {batch["partition"]}
    assert running.open("--closed") == set()
    assert len(running.open("--limit", "2")) == 2
    assert running.gris("rejects", "list", "--limit", "2")["more"]
    counted = running.gris("rejects", "count")
    assert {(one["reason"], one["agency"]): one["open"] for one in counted["counts"]} == {
        ("OUT_OF_RANGE", "z01"): 2,
        ("KEY_MISMATCH", "z01"): 1,
        ("UNDECODABLE", "z01"): 1,
        ("BAD_TEXT", "z01"): 1,
        ("TOMBSTONE", "z01"): 1,
        ("WRONG_PARTITION", "z04"): 1,
    }
    assert (counted["open"], counted["closed"]) == (7, 0)
    listed = running.say("rejects", "list")
    assert all(place in listed for name, place in batch.items() if name != "good")
    assert "7 open, 0 closed." in running.say("rejects", "count")


def test_one_reject_shows_verdict_fields_and_bytes(running: Running, batch: dict[str, str]) -> None:
    shown = running.gris("rejects", "show", batch["700"])
    raw = frame(hourly(2, 700, note="sửa\x1b[2J"))
    assert (shown["reason"], shown["field"], shown["size"]) == ("OUT_OF_RANGE", "value", len(raw))
    assert bytes.fromhex(shown["raw"]) == raw
    assert {one["name"]: one["value"] for one in shown["decoded"]} == hourly(2, 700, note="sửa\x1b[2J")
    assert HOURLY in shown["key_hint"]
    said = running.say("rejects", "show", batch["700"])
    assert "\x1b" not in said
    assert "00000000  00 00 00 00 01 04 53 31" in said

    cut = running.say("rejects", "show", batch["cut"], "--bytes", "16")
    assert "observed_at" in cut
    assert "bytes more" in cut
    assert "open" in cut
    assert "U+FFFD" not in running.say("rejects", "show", batch["text"])
    assert running.gris("rejects", "show", batch["null"])["raw"] is None
    running.say("rejects", "show", batch["good"], code=1)


def test_a_dry_run_says_what_would_become_of_each_and_publishes_nothing(
    running: Running, batch: dict[str, str]
) -> None:
    before = running.ends()
    report = running.gris("replay", "--dry-run", code=1)
    verdicts = {one["place"]: (one["verdict"], one["reason"]) for one in report["rejects"]}
    assert verdicts == {
        batch["600"]: ("refused", "OUT_OF_RANGE"),
        batch["700"]: ("refused", "OUT_OF_RANGE"),
        batch["key"]: ("accepted", ""),
        batch["cut"]: ("refused", "UNDECODABLE"),
        batch["text"]: ("refused", "BAD_TEXT"),
        batch["null"]: ("refused", "TOMBSTONE"),
        batch["partition"]: ("accepted", ""),
    }
    assert report["published"] == 0
    running.stack.environment |= {"GRIS_CATALOGUE": running.bound(1_000)}
    try:
        wider = running.gris("replay", "--dry-run", "--reason", "OUT_OF_RANGE")
        unlike = running.gris("replay", "--reason", "OUT_OF_RANGE", code=2)
    finally:
        running.stack.environment |= {"GRIS_CATALOGUE": str(running.folder / "catalogue")}
    assert wider["judged"] == {"accepted": 2, "refused": 0, "superseded": 0}
    assert "the worker judges gris.events.z01 by other rules" in unlike["error"]
    assert "--all" in running.say("replay", "--dry-run", "--id", batch["cut"], code=1)
    assert running.ends() == before


def test_a_wrong_key_or_partition_is_mended_by_a_replay_and_a_second_one_does_nothing(
    running: Running, batch: dict[str, str]
) -> None:
    words = ("replay", "--reason", "KEY_MISMATCH", "--reason", "WRONG_PARTITION")
    report = running.gris(*words)
    assert report["results"] == {"accepted": 2, "refused": 0, "waiting": 0, "unconfirmed": 0}
    assert running.open("--closed") == {batch["key"], batch["partition"]}
    assert "5 open, 2 closed." in running.say("rejects", "count")
    counted = {(one["reason"], one["closed"]) for one in running.gris("rejects", "count", "--closed")["counts"]}
    assert counted == {("KEY_MISMATCH", 1), ("WRONG_PARTITION", 1)}
    replays = {one["place"]: one["replay"] for one in report["rejects"]}
    assert running.gris("rejects", "show", batch["key"])["closed_by"] == replays[batch["key"]]
    assert replays[batch["partition"]].startswith(f"{Z04}:{partition_for(b'Z04.002', 4)}:")
    assert running.stack.query(
        "SELECT topic, replay_of, indicator FROM observations FINAL WHERE replay_of != '' ORDER BY topic"
    ) == [
        [Z01, batch["key"].partition(":")[2], HOURLY],
        [Z04, batch["partition"].partition(":")[2], "Z04.002"],
    ]
    before = running.ends()
    assert "2 that fit are closed already" in running.say(*words)
    assert running.gris(*words, "--all")["open"] == 0
    assert running.gris("replay", "--id", batch["key"])["open"] == 0
    assert running.ends() == before


def test_a_replay_that_is_refused_again_is_a_reject_of_its_own_and_the_old_one_stays_open(
    running: Running, batch: dict[str, str]
) -> None:
    before = running.ends()
    assert running.gris("replay", "--id", batch["600"], code=1)["published"] == 0
    report = running.gris("replay", "--id", batch["600"], "--id", batch["cut"], "--id", batch["null"], "--all", code=1)
    found = {one["place"]: one for one in report["rejects"]}
    assert {place: one["result"] for place, one in found.items()} == {
        batch["600"]: "refused",
        batch["cut"]: "refused",
        batch["null"]: "",
    }
    assert found[batch["600"]]["reason"] == "OUT_OF_RANGE"
    assert running.ends() == before + 2
    assert running.open("--reason", "OUT_OF_RANGE") == {batch["600"], batch["700"], found[batch["600"]]["replay"]}
    again = running.gris("rejects", "show", found[batch["cut"]]["replay"])
    assert again["raw"] == running.gris("rejects", "show", batch["cut"])["raw"]


def test_after_a_catalogue_with_wider_bounds_a_replay_closes_what_was_out_of_range(
    running: Running, batch: dict[str, str]
) -> None:
    running.deploy(1_000)
    closed = running.open("--reason", "OUT_OF_RANGE")
    report = running.gris("replay", "--reason", "OUT_OF_RANGE")
    assert report["results"]["accepted"] == len(closed) == 3
    assert running.open("--reason", "OUT_OF_RANGE") == set()
    assert closed <= running.open("--closed")
    assert batch["600"] in running.say("rejects", "list", "--closed")
    assert running.stack.query(
        "SELECT toFloat64(value) FROM day_totals FINAL"
        f" WHERE indicator = '{HOURLY}' AND area = '01' AND breakdown = '_T' AND bucket = '2024-08-01'"
    ) == [[7 + 600 + 700 + 3]]
    running.say("check")


def test_a_replay_leaves_a_newer_statement_of_the_same_revision_alone(running: Running) -> None:
    wrong, corrected, revised = running.send(
        of_event(hourly(10, 2_000)), of_event(hourly(10, 20)), of_event(hourly(11, 2_100, revision=1))
    )
    running.send(of_event(hourly(11, 21)))
    running.deploy(2_500)
    report = running.gris("replay", "--reason", "OUT_OF_RANGE", code=1)
    assert {one["place"]: (one["verdict"], one["result"]) for one in report["rejects"]} == {
        wrong: ("superseded", ""),
        revised: ("accepted", "accepted"),
    }
    assert corrected not in running.open("--closed")
    values = running.stack.query(
        "SELECT toFloat64(value) FROM latest_observations"
        f" WHERE indicator = '{HOURLY}' AND time_period LIKE '2024-08-01T1%' ORDER BY time_period"
    )
    assert values == [[20], [2_100]]
    assert running.gris("replay", "--id", wrong, "--all")["results"]["accepted"] == 1
    assert running.stack.query(
        "SELECT toFloat64(value) FROM latest_observations"
        f" WHERE indicator = '{HOURLY}' AND time_period = '2024-08-01T10:00:00/PT1H'"
    ) == [[2_000]]


def test_a_chain_of_rejects_of_one_cell_is_replayed_to_its_last_even_in_portions(running: Running) -> None:
    first, last = running.send(of_event(hourly(12, 3_000)), of_event(hourly(12, 3_100)))
    running.deploy(3_500)
    assert running.gris("replay", "--id", first)["results"]["accepted"] == 1
    assert running.gris("replay", "--id", last)["results"]["accepted"] == 1
    assert running.stack.query(
        "SELECT toFloat64(value) FROM latest_observations"
        f" WHERE indicator = '{HOURLY}' AND time_period = '2024-08-01T12:00:00/PT1H'"
    ) == [[3_100]]


def test_without_a_worker_a_replay_says_so_in_time_and_another_publishes_nothing_twice(running: Running) -> None:
    (place,) = running.send(Record(Z01, b"wrong", frame(hourly(13, 13))))
    assert running.worker.stop() == 0, running.worker.tail()
    before = running.ends()
    words = ("replay", "--id", place, "--wait", "1")
    assert running.gris(*words, code=75)["results"]["waiting"] == 1
    assert running.ends() == before + 1
    assert "has not read" in running.gris(*words, code=75)["error"]
    assert running.ends() == before + 1
    running.worker = running.stack.worker()
    running.stack.wait_caught_up(alive=[running.worker])
    report = running.gris(*words)
    assert (report["open"], report["closed_before"]) == (0, 1)
    assert running.ends() == before + 1


def test_what_cannot_be_done_is_a_sentence_and_an_exit_code_and_publishes_nothing(running: Running) -> None:
    before = running.ends()
    assert "more than --limit 1" in running.gris("replay", "--all", "--limit", "1", code=2)["error"]
    assert "was refused at" in running.gris("replay", "--id", f"{Z01}:0:123456", code=2)["error"]
    running.send(Record(Z01, b"wrong", frame(hourly(14, 14))))
    there = running.stack.environment["GRIS_KAFKA"]
    running.stack.environment["GRIS_KAFKA"] = f"127.0.0.1:{free_port()}"
    try:
        assert "GRIS_KAFKA" in running.gris("replay", "--reason", "KEY_MISMATCH", code=75)["error"]
    finally:
        running.stack.environment["GRIS_KAFKA"] = there
    assert running.ends() == before + 1
    running.say("check")
