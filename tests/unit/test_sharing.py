"""Two workers under one name are told, however long their session is; workers that come and go are not."""

from types import SimpleNamespace
from typing import Any

import pytest

from streams.health import Health
from streams.opening import RESTLESS, Opener
from streams.settings import WorkerSettings

SESSIONS = pytest.mark.parametrize("settings", [WorkerSettings(session_seconds=each) for each in (6, 10, 30, 60)])


class Clock:
    """Stands in for ``time``."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Give what it was set to."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("streams.opening.time", found)
    return found


def opener(settings: WorkerSettings) -> tuple[Opener, Health]:
    nothing: Any = SimpleNamespace()
    health = Health()
    return Opener(settings, *[nothing] * 9, health, nothing), health


def assign(opener: Opener, clock: Clock, every: float) -> None:
    for _ in range(RESTLESS):
        clock.now += every
        opener._note_assignment()


@SESSIONS
@pytest.mark.parametrize("heartbeats", [1, 2])
def test_places_taken_at_every_heartbeat_are_told_until_they_are_kept(
    clock: Clock, settings: WorkerSettings, heartbeats: int
) -> None:
    one, health = opener(settings)
    assign(one, clock, heartbeats * settings.heartbeat_seconds)
    assert "the same name" in str(health.sentence())
    clock.now += 2 * settings.heartbeat_seconds
    one._note_rest()
    assert "the same name" in str(health.sentence()), "the other may only not have had its turn"
    clock.now += settings.heartbeat_seconds
    one._note_rest()
    assert health.obstacles == {}


@SESSIONS
def test_workers_that_come_and_go_are_not_told(clock: Clock, settings: WorkerSettings) -> None:
    one, health = opener(settings)
    assign(one, clock, settings.session_seconds)
    assert health.obstacles == {}
