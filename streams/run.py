"""Run a worker's app until a signal or a fault ends it: which signals are heeded, and how the process exits."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

import click
import faust
import structlog

from streams.parts import Parts

# What ending takes beyond the last flush; then the process is cut off, whatever it still waits for.
END_SECONDS = 1.8
LEFT_SECONDS = 1.0
TOLD_SECONDS = 1.5
STOPS = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger(__name__)


class Runner(faust.Worker):
    """Faust's worker, which SIGTERM and SIGINT stop in order, however often they come."""

    def __init__(self, app: faust.App, parts: Parts, seconds: float) -> None:
        super().__init__(app, override_logging=False, redirect_stdouts=False, quiet=True, loglevel="WARNING")
        self.spinner = None  # it writes control sequences also where there is no terminal
        self._parts = parts
        self._cut = threading.Timer(seconds, self._cut_off)
        self._cut.daemon = True

    def install_signal_handlers(self) -> None:
        """Heed the signals from now to the end of the process.

        asyncio's own handlers go with its loop: a second signal would kill what is about to exit in order.
        """
        self.loop.add_signal_handler(signal.SIGUSR1, self._on_sigusr1)
        for number in STOPS:
            signal.signal(number, self._told)

    def _told(self, number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(RuntimeError):  # the timer runs, or the loop is closed: it was told before
            self._cut.start()
            self.loop.call_soon_threadsafe(self._schedule_shutdown, signal.Signals(number))

    def _gather_all(self) -> None:
        """End at once what is left: what matters ended in order before, and mode would wait a second for the rest."""
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left, timeout=LEFT_SECONDS))

    async def _sentinel_task(self) -> None:
        """Let the loop run once more; for a moment longer where a fault is to be heard at /readyz."""
        if self._parts.health.fatal is not None:
            await asyncio.sleep(TOLD_SECONDS)

    def _cut_off(self) -> None:
        log.warning("cut_off", remedy="what was not stored is read again from the ledger")
        _exit_now(self._parts, 0)


def run(app: faust.App, parts: Parts, stop_seconds: float) -> NoReturn:
    """Run until stopped. Exits with 0 when told to stop, at whatever stage; raises the Fatal that stopped it."""
    try:
        Runner(app, parts, stop_seconds + END_SECONDS).execute_from_commandline()
    except SystemExit as ended:
        for number in STOPS:
            signal.signal(
                number, signal.SIG_IGN
            )  # as it ends, the interpreter gives handlers back: the next would kill
        parts.stop_status()
        if parts.threads.busy:
            # The interpreter would wait for a call to a database that hangs, for minutes. Nothing depends on it.
            _exit_now(parts, int(ended.code or 0))
        if parts.health.fatal is not None:
            raise parts.health.fatal from None
        raise


def _exit_now(parts: Parts, code: int) -> NoReturn:
    fatal = parts.health.fatal
    if fatal is not None:
        click.echo(f"gris: {fatal}", err=True)
    sys.stderr.flush()
    os._exit(1 if fatal is not None else code)
