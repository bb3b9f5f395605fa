"""The load of the bench on a real feed: what it counts is what there was."""

import datetime as dt
import os
from pathlib import Path

import pytest

from deploy.benchmark.crowd import gets, listening
from schemas.errors import Fatal
from sinks.feed.line import AreaTotal, Line, day_of
from tests.support.feed import RunningFeed, announce, make_log, settings_for
from tests.support.kafka import running_kafka

DAY = dt.date(2026, 11, 23)


def line(version: int) -> Line:
    """Make a line of VN alone."""
    areas = (AreaTotal("VN", version * 10000, None, None, 1, 1, 1),)
    return Line(day_of(DAY), "G18.001", "_T", version, 1_795_413_600_000, "A", (), areas)


def test_a_load_hears_what_it_is_told_and_counts_what_it_gets(tmp_path: Path, database: str) -> None:
    with running_kafka(tmp_path) as running, RunningFeed(settings_for(running.bootstrap, database)) as feed:
        kafka = running.bootstrap
        make_log(kafka)
        feed.ready()
        for headers in ({}, {"Accept-Encoding": "deflate"}):
            with listening(feed.url, clients=30, headers=headers, silent=2, pid=os.getpid()) as listeners:
                announce(kafka, [line(version) for version in range(1, 21)])
                heard = listeners.wait(20, within=30)
            assert (heard.clients, heard.events, heard.fewest, heard.repeated, heard.left) == (30, 20, 20, 0, 0)
            assert len(heard.spread_ms) == len(heard.behind_ms) == 20
        tag = feed.http.get(f"/v1/daily/{DAY}", headers={"Accept-Encoding": "gzip"}).headers["etag"]
        asked = {"Accept-Encoding": "gzip", "If-None-Match": tag}
        found = gets(feed.url, f"/v1/daily/{DAY}", headers=asked, seconds=0.2, connections=2, pid=os.getpid())
        assert (set(found.statuses), found.size) == ({304}, 0)
        assert found.answers == sum(found.statuses.values()) > 0
    with pytest.raises(Fatal):
        gets(feed.url, "/healthz", seconds=0.1)
