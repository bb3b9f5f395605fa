"""`gris up` and `gris down` as a person runs them, on free ports and with a data folder of the test."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from deploy.local.ports import free_port, is_taken
from deploy.local.process import identity, poll
from deploy.topics import reachable

DEADLINE = 400  # a start has deadlines of its own, and says which part was late


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


def services(environment: Mapping[str, str]) -> dict[str, tuple[str, int | None]]:
    rows = json.loads(gris(environment, "status", "--json").stdout)["services"]
    return {row["service"]: (row["state"], row["pid"]) for row in rows}


def states(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: state for name, (state, _) in services(environment).items()}


def test_bare_then_the_rest_then_a_crash_then_down(environment: Mapping[str, str]) -> None:
    """One life of a machine, as each step needs the state that the one before has left."""
    bare = gris(environment, "up", "--bare")
    assert bare.returncode == 0, bare.stderr
    assert "Kafka started" in bare.stdout
    # Asked more than once, here and below: what does not answer within a second or two is not ready to `status`.
    assert poll(lambda: reachable(environment["GRIS_KAFKA"]), 30)
    bare_states = {"kafka": "ready", "clickhouse": "ready", "worker": "stopped", "feed": "stopped"}
    assert poll(lambda: states(environment) == bare_states, 30), states(environment)

    elsewhere = gris({**environment, "GRIS_KAFKA": f"127.0.0.1:{free_port()}"}, "up", "--bare")
    assert elsewhere.returncode == 1
    assert "already runs" in elsewhere.stderr
    assert "./deploy/down" in elsewhere.stderr

    rest = gris(environment, "up", "--no-sample")
    assert rest.returncode == 0, rest.stderr
    assert "Kafka was running already." in rest.stdout
    assert "Topics: all there." in rest.stdout
    assert f"http://127.0.0.1:{environment['GRIS_FEED_PORT']}/" in rest.stdout
    assert poll(lambda: set(states(environment).values()) == {"ready"}, 30), states(environment)
    before = services(environment)

    # A crash of the machine leaves every pid file behind.
    for _, pid in before.values():
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    assert poll(lambda: not any(identity(pid or 0) for _, pid in before.values()), 20)
    again = gris(environment, "up", "--no-sample")
    assert again.returncode == 0, again.stderr

    down = gris(environment, "down")
    assert down.returncode == 0
    assert "worker stopped" in down.stdout
    assert not is_taken(int(environment["GRIS_KAFKA"].rpartition(":")[2]))
    assert set(states(environment).values()) == {"stopped"}
