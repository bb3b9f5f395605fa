"""A background process that outlives the command that started it: known by its pid file, stopped by its pid."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from schemas.errors import Fatal

T = TypeVar("T")

KEEP_LOG_BYTES = 64 << 20  # a larger log is set aside as .log.1 at the next start
TAIL_BYTES = 8192


def poll(probe: Callable[[], T | None], within: float, every: float = 0.05) -> T | None:
    """Call ``probe`` until it answers something true or ``within`` seconds are over; return its last answer."""
    end = time.monotonic() + within
    while not (answer := probe()) and time.monotonic() < end:
        time.sleep(min(every, max(0.0, end - time.monotonic())))
    return answer


def identity(pid: int) -> str | None:
    """Tell a process from every other that ever had its pid: when it began. None when it is gone (or a zombie)."""
    if pid <= 0:
        return None
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # The command in brackets may hold spaces and brackets itself: the fields after the last one are safe.
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        state, threads, began = fields[0], int(fields[17]), fields[19]
        # While other threads of it still end, a zombie still holds its sockets and files.
        if state in "ZX" and threads <= 1:
            return None
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {began}"
    shown = subprocess.run(
        ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)], check=False, capture_output=True, text=True
    ).stdout.split(None, 1)
    return None if not shown or shown[0].startswith("Z") else shown[1].strip()


class Service:
    """One background process called ``name``: ``run/<name>.pid`` and ``log/<name>.log`` in ``folder``.

    A pid alone is not trusted: the file also says when that process began, so a number that the system
    has given to somebody else since is neither believed nor signalled.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.pid_file = folder / "run" / f"{name}.pid"
        self.log_file = folder / "log" / f"{name}.log"
        self._child: subprocess.Popen[bytes] | None = None

    def pid(self) -> int | None:
        """Answer the pid of the running process, or None. A stale file counts as not running."""
        if self._child is not None and self._child.poll() is None:  # which also reaps it
            return self._child.pid
        try:
            noted = json.loads(self.pid_file.read_text())
            pid, began = int(noted["pid"]), str(noted["began"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        if self._child is not None and self._child.pid == pid:
            return None
        return pid if identity(pid) == began else None

    def exit_code(self) -> int | None:
        """Answer how the process ended, negative for a signal; None while it runs, or when it was not started here."""
        return None if self._child is None else self._child.poll()

    def about(self) -> str:
        """Answer what was said about the process when it was started; empty when nothing is known."""
        try:
            return str(json.loads(self.pid_file.read_text()).get("about", ""))
        except (FileNotFoundError, ValueError):
            return ""

    def start(self, command: Sequence[str], about: str = "", environment: Mapping[str, str] | None = None) -> int:
        """Start ``command`` in a session of its own with its output in the log file; return its pid.

        ``about`` is kept in the pid file: what tells this start from one with other settings. No secrets.
        ``environment`` adds to this process's own.
        """
        if (running := self.pid()) is not None:
            raise Fatal(f"{self.name} is already running (pid {running}).")
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        if self.log_file.exists() and self.log_file.stat().st_size > KEEP_LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with self.log_file.open("ab") as log:
            self._child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if environment is None else os.environ | environment,
                start_new_session=True,  # a closed terminal must not take it along
            )
        began = identity(self._child.pid)
        staged = self.pid_file.with_suffix(".new")
        staged.write_text(json.dumps({"pid": self._child.pid, "began": began, "about": about}))
        staged.replace(self.pid_file)
        return self._child.pid

    def wait_ready(self, ready: Callable[[], bool], within: float) -> None:
        """Return once ``ready``; Fatal, with the end of the log, when the process dies or the time is over."""

        def state() -> str | None:
            if ready():
                return "ready"
            return None if self.pid() is not None else "dead"

        outcome = poll(state, within)
        if outcome == "dead":
            raise Fatal(f"{self.name} stopped while starting; {self.log_file} ends with:\n{self.log_tail()}")
        if outcome is None:
            raise Fatal(
                f"{self.name} was not ready after {within:.0f} s; {self.log_file} ends with:\n{self.log_tail()}"
            )

    def stop(self, within: float = 20.0) -> bool:
        """End the process: SIGTERM, and SIGKILL after ``within`` seconds. False when it was not running."""
        pid = self.pid()
        if pid is not None:
            self._signal(pid, signal.SIGTERM)
            if not poll(lambda: self.pid() is None, within):
                self.kill()
        self.pid_file.unlink(missing_ok=True)
        return pid is not None

    def kill(self) -> None:
        """End the process at once (SIGKILL), as a crash would; its pid file stays, as after a crash."""
        pid = self.pid()
        if pid is not None:
            self._signal(pid, signal.SIGKILL)
            if not poll(lambda: self.pid() is None, 10.0):
                raise Fatal(f"{self.name} (pid {pid}) does not end, not even by SIGKILL: look for a hanging disk.")

    def log_tail(self, lines: int = 8) -> str:
        """Answer the last lines of the log file."""
        if not self.log_file.exists():
            return "(nothing)"
        with self.log_file.open("rb") as log:
            log.seek(max(0, self.log_file.stat().st_size - TAIL_BYTES))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:]) or "(nothing)"

    @staticmethod
    def _signal(pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself in this moment
            os.kill(pid, number)
