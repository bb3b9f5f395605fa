"""Background processes: found by their pid file, never mistaken for another, gone when stopped."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.process import Service, identity, poll
from schemas.errors import Fatal

WAITS = [sys.executable, "-c", "print('here', flush=True); input_never = __import__('signal').pause()"]
DEAF = [
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()",
]
FAILS = [sys.executable, "-c", "raise SystemExit('no disk today')"]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Give a service that is not running, and leave none running."""
    one = Service("one", tmp_path)
    yield one
    one.kill()


def said(service: Service, text: str) -> bool:
    return bool(poll(lambda: text in service.log_tail(), 60))


def test_a_started_process_is_known_to_a_later_command_and_stopped_by_it(service: Service, tmp_path: Path) -> None:
    pid = service.start(WAITS, about="port 1")
    later = Service("one", tmp_path)
    assert (later.pid(), later.about()) == (pid, "port 1")
    assert later.stop()
    assert later.pid() is None
    assert not later.stop()


def test_a_second_start_is_refused_with_the_pid(service: Service) -> None:
    pid = service.start(WAITS)
    with pytest.raises(Fatal, match=rf"already running \(pid {pid}\)"):
        service.start(WAITS)


def test_a_stale_pid_file_whose_number_belongs_to_somebody_else_is_not_believed(service: Service) -> None:
    bystander = subprocess.Popen(WAITS, stdout=subprocess.DEVNULL)
    try:
        service.pid_file.parent.mkdir(parents=True)
        service.pid_file.write_text(json.dumps({"pid": bystander.pid, "began": "another boot 1"}))
        assert service.pid() is None
        assert not service.stop()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_pid_file_cut_short_counts_as_not_running(service: Service) -> None:
    service.pid_file.parent.mkdir(parents=True)
    service.pid_file.write_text('{"pid": 12')
    assert service.pid() is None
    assert service.start(WAITS) == service.pid()


def test_a_process_that_ignores_sigterm_is_killed_after_the_deadline(service: Service) -> None:
    service.start(DEAF)
    assert said(service, "deaf")
    assert service.stop(within=0.2)
    assert service.pid() is None


def test_a_process_that_dies_while_starting_is_told_with_the_end_of_its_log(service: Service) -> None:
    service.start(FAILS)
    with pytest.raises(Fatal, match=r"one stopped while starting.*\nno disk today"):
        service.wait_ready(lambda: False, within=60)


def test_a_process_that_never_gets_ready_is_told_with_the_deadline(service: Service) -> None:
    service.start(WAITS)
    assert said(service, "here")
    with pytest.raises(Fatal, match=r"one was not ready after 0 s.*\nhere"):
        service.wait_ready(lambda: False, within=0.05)


def test_a_process_is_told_from_another_and_a_gone_one_from_both(service: Service) -> None:
    pid = service.start(WAITS)
    assert identity(pid) not in (None, identity(os.getpid()))
    service.kill()
    assert identity(pid) is None
