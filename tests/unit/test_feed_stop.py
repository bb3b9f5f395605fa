"""A feed that is told to stop, however often, ends in order and in time."""

import os
import signal
from typing import Any

import pytest
import uvicorn

from deploy.faults.rig import STOPS_WITHIN
from sinks.feed.app import GRACE_SECONDS, STOP_SECONDS, STOPS, FeedServer


class Timer:
    """Stands in for the timer that would end this process."""

    started: list[tuple[Any, ...]]

    def __init__(self, *what: Any) -> None:
        self._what = what

    def start(self) -> None:
        """Note it."""
        Timer.started.append(self._what)


@pytest.mark.parametrize("again", STOPS)
@pytest.mark.parametrize("first", STOPS)
def test_only_the_first_signal_counts(
    monkeypatch: pytest.MonkeyPatch, first: signal.Signals, again: signal.Signals
) -> None:
    monkeypatch.setattr("sinks.feed.app.threading.Timer", Timer)
    Timer.started = []
    nothing: Any = None
    server = FeedServer(uvicorn.Config(nothing), nothing)
    for number in (first, again):
        server.handle_exit(number, None)
    assert server.should_exit
    assert not server.force_exit, "the follower and the store would not be ended"
    assert Timer.started == [(STOP_SECONDS, os._exit, (0,))]


def test_a_feed_cuts_itself_off_before_it_has_taken_as_long_as_it_may() -> None:
    assert GRACE_SECONDS < STOP_SECONDS < STOPS_WITHIN
