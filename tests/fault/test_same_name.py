"""Two workers under one name take the partitions from each other: both say so, and nothing is lost or doubled."""

import contextlib
from pathlib import Path

import httpx

from tests.support.small_catalogue import write_catalogue
from tests.support.stack import running_stack
from tests.support.wait import wait_for
from tests.support.workload import Workload, publish


def test_two_workers_of_one_name_say_what_is_wrong_until_one_is_gone(tmp_path: Path) -> None:
    with running_stack(tmp_path, write_catalogue(tmp_path / "catalogue")) as stack:
        first = stack.worker("worker-1")
        url = f"{stack.metrics['worker-1']}/readyz"

        def told() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return "the same name" in httpx.get(url).text
            return False

        second = stack.worker("worker-1", ready=False)
        publish(Workload(5_000), stack.bootstrap)
        wait_for(told, "it to be told", within=90)
        second.kill()
        stack.wait_ready(first, url)
        stack.wait_caught_up(alive=[first])
        assert "GRIS_WORKER_ID" in first.log.read_text()
        stack.run("check")
