"""`gris up` and `gris down` as a person runs them, on free ports and with a data folder of the test."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from deploy.local.ports import free_port, is_taken
from deploy.local.process import poll
from deploy.topics import reachable

DEADLINE = 120


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """Give an environment of free ports and a folder of its own; leave nothing running."""
    chosen = {
        "GRIS_DATA": str(tmp_path / "data"),
        "GRIS_KAFKA": f"127.0.0.1:{free_port()}",
        "GRIS_CLICKHOUSE": f"http://127.0.0.1:{free_port()}/gris",
        "GRIS_METRICS_PORT": str(free_port()),
        "GRIS_FEED_PORT": str(free_port()),
    }
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GRIS_")} | chosen
    yield environment
    gris(environment, "down")


def gris(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "deploy.cli", *arguments]
    return subprocess.run(command, env=dict(environment), check=False, capture_output=True, text=True, timeout=DEADLINE)


def states(environment: Mapping[str, str]) -> dict[str, str]:
    shown = gris(environment, "status", "--json")
    return {row["service"]: row["state"] for row in json.loads(shown.stdout)["services"]}


def test_bare_brings_broker_and_database_and_down_takes_them_away(environment: Mapping[str, str]) -> None:
    first = gris(environment, "up", "--bare")
    assert (first.returncode, first.stderr) == (0, "")
    assert "Kafka started" in first.stdout
    assert reachable(environment["GRIS_KAFKA"])
    assert states(environment) == {"kafka": "ready", "clickhouse": "ready", "worker": "stopped", "feed": "stopped"}

    again = gris(environment, "up", "--bare")
    assert again.returncode == 0
    assert "Kafka was running already." in again.stdout
    assert "Topics: all there." in again.stdout

    elsewhere = gris({**environment, "GRIS_KAFKA": f"127.0.0.1:{free_port()}"}, "up", "--bare")
    assert elsewhere.returncode == 1
    assert "already runs" in elsewhere.stderr
    assert "./deploy/down" in elsewhere.stderr

    assert gris(environment, "down").returncode == 0
    assert not is_taken(int(environment["GRIS_KAFKA"].rpartition(":")[2]))
    assert set(states(environment).values()) == {"stopped"}


def test_without_the_sample_all_is_ready_when_up_returns_and_again_after_a_crash(
    environment: Mapping[str, str],
) -> None:
    first = gris(environment, "up", "--no-sample")
    assert (first.returncode, first.stderr) == (0, "")
    assert set(states(environment).values()) == {"ready"}
    assert f"http://127.0.0.1:{environment['GRIS_FEED_PORT']}/" in first.stdout

    # A crash of the machine leaves pid files behind; the next `up` completes what is missing.
    pids = {row["service"]: row["pid"] for row in json.loads(gris(environment, "status", "--json").stdout)["services"]}
    for pid in pids.values():
        os.kill(pid, 9)
    assert poll(lambda: set(states(environment).values()) == {"stopped"}, 20)
    again = gris(environment, "up", "--no-sample")
    assert (again.returncode, again.stderr) == (0, "")
    assert set(states(environment).values()) == {"ready"}
