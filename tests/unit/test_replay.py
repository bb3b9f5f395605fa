"""`gris replay` without broker and database: what is told, and by which exit code, when something fails on the way."""

import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, cast
from unittest.mock import Mock

import pytest
from click.testing import CliRunner

from deploy.replay_cli import replay
from producers.publisher import Failure, Message, Receipt
from schemas.errors import Fatal, GrisError, Retry
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.rejects import Count, Place, Refused, Reject
from tests.support.wire import event, frame

TOPIC = "gris.events.g01"
THEN = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
VALUE = frame(event("G01.001", "01", "2020-01-01", 1))


def reject(offset: int) -> Reject:
    place = Place(TOPIC, 0, offset)
    return Reject(place, THEN, "rules", "", "KEY_MISMATCH", "key", "", 1, "g01", "G01.001", "S1")


@dataclasses.dataclass
class Scene:
    """Two open rejects; what the broker does with each replay, and the database once something is published."""

    fails: Mapping[int, GrisError] = dataclasses.field(default_factory=dict)
    ledger: Callable[[], Mapping[tuple[str, int], Position]] = dict
    published: bool = False

    def read(self, _client: object, _topics: Sequence[str]) -> Mapping[tuple[str, int], Position]:
        return self.ledger() if self.published else {}

    def publisher(self, _settings: object) -> Self:
        return self

    def publish(self, messages: Iterable[Message], placed: Callable[[object, int, int], None]) -> Receipt:
        self.published = True
        failures = []
        for message in messages:
            offset = cast("Place", message.row).offset
            if offset in self.fails:
                failures.append(Failure(message.row, self.fails[offset]))
            else:
                placed(message.row, 0, 100 + offset)
        return Receipt(0, tuple(failures))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    found = Scene()
    stored = {
        "count": lambda *_: [Count(THEN, THEN, "KEY_MISMATCH", "g01", 2, 0)],
        "find": lambda *_: [reject(0), reject(1)],
        "sizes": lambda _, places: dict.fromkeys(places, len(VALUE)),
        "values": lambda _, places: dict.fromkeys(places, VALUE),
        "statements": lambda *_: {},
        "refused": lambda *_: dict[Place, Refused](),
    }
    for name, answer in stored.items():
        monkeypatch.setattr(f"sinks.clickhouse.rejects.{name}", answer)
    monkeypatch.setattr("sinks.clickhouse.ledger.read", found.read)
    monkeypatch.setattr("deploy.replay.Publisher", found.publisher)
    monkeypatch.setattr("deploy.replay_cli.connect", lambda _: Mock())
    monkeypatch.delenv("GRIS_CATALOGUE", raising=False)
    return found


def run(*words: str) -> tuple[int, dict[str, Any]]:
    ran = CliRunner().invoke(replay, ["--no-catch-up", "--all", "--json", *words], catch_exceptions=False)
    report: dict[str, Any] = json.loads(ran.stdout)
    assert report["exit_code"] == ran.exit_code
    return ran.exit_code, report


def judged() -> Mapping[tuple[str, int], Position]:
    return {(TOPIC, 0): Position(TOPIC, 0, 1_000, 1_000, 0, 0, "rules", "id", 1)}


def test_what_is_published_and_accepted_is_code_0(scene: Scene) -> None:
    scene.ledger = judged
    code, report = run()
    assert (code, report["results"]["accepted"]) == (0, 2)


@pytest.mark.parametrize(
    ("fails", "code"),
    [
        ({1: Fatal("too large")}, 1),
        ({0: Fatal("too large"), 1: Fatal("too large")}, 2),
        ({0: Fatal("too large"), 1: Retry("away")}, 75),
    ],
)
def test_nothing_was_published_is_said_only_when_nothing_was(
    scene: Scene, fails: Mapping[int, GrisError], code: int
) -> None:
    scene.ledger = judged
    scene.fails = fails
    found, report = run()
    assert (found, report["published"], report["results"]["unconfirmed"]) == (code, 2 - len(fails), len(fails))


def test_a_database_that_refuses_to_tell_the_verdicts_does_not_hide_what_was_published(scene: Scene) -> None:
    def refuse() -> Mapping[tuple[str, int], Position]:
        raise Fatal("the user may not read")

    scene.ledger = refuse
    scene.fails = {1: Fatal("too large")}
    code, report = run("--wait", "3600")  # no waiting helps against it
    assert (code, report["published"]) == (75, 1)
    assert [(one["result"], one["error"]) for one in report["rejects"]] == [
        ("waiting", "the user may not read"),
        ("unconfirmed", "too large"),
    ]


def test_a_reject_that_is_gone_by_the_time_it_would_be_published_is_not_published_empty(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.ledger = judged
    there = [{0: VALUE, 1: VALUE}, {0: VALUE}]
    stored = iter([{Place(TOPIC, 0, at): value for at, value in found.items()} for found in there])
    monkeypatch.setattr("sinks.clickhouse.rejects.values", lambda *_: next(stored))
    code, report = run()
    assert (code, report["published"]) == (1, 1)
    assert [one["result"] for one in report["rejects"]] == ["accepted", ""]
