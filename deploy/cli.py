"""The program ``gris``: one name for every command; each is loaded only when it is called."""

import importlib
import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

import click

from schemas.errors import GrisError, Retry

EXIT_FATAL = 1
EXIT_RETRY = 75  # EX_TEMPFAIL of sysexits.h: the same command may succeed later

# name → (module, function, what --help says). Listed here so that `gris --help` imports none of them.
COMMANDS = {
    "up": ("deploy.local.cli", "up", "Start everything on this machine, with a week of sample figures."),
    "down": ("deploy.local.cli", "down", "Stop what up started; the data stay."),
    "status": ("deploy.local.cli", "status", "Show what runs, where, and how far the worker is behind."),
    "migrate": ("sinks.cli", "migrate", "Bring the database's tables up to date."),
    "worker": ("streams.cli", "worker", "Validate and aggregate events as they arrive, into ClickHouse."),
    "feed": ("sinks.cli", "feed", "Serve the live daily report over HTTP."),
    "publish": ("producers.cli", "publish", "Publish an agency's figures from files."),
    "sample": ("producers.cli", "sample", "Publish a believable week of figures."),
    "check": ("sinks.cli", "check", "Prove that nothing is lost, doubled or added up wrongly."),
    "rejects": ("sinks.rejects_cli", "rejects", "Look at what was refused: list, show, count."),
    "replay": ("deploy.replay_cli", "replay", "Publish refused records again, once they would be accepted."),
    "rebuild": ("deploy.rebuild.cli", "rebuild", "Make totals, or everything, once more, and prove it equal."),
    "bench": ("deploy.benchmark.cli", "bench", "Measure how fast events get in, and that they are right."),
}
# Commands that run until they are told to stop; to be told so early is no failure either.
SERVICES = ("worker", "feed")


class Program(click.Group):
    """A group whose commands are imported when called, and whose errors are one sentence and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """List the names in the order of the table, which is the order in which one needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command called ``cmd_name``."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name in SERVICES:
            for number in (signal.SIGINT, signal.SIGTERM):  # whoever sees that SIGTERM is heeded may send either
                signal.signal(number, _leave)
        module, function, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), function)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{function} is not a click command.")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table's sentences instead of importing every command for its own."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of ours becomes its sentence on stderr and exit code 1 or 75."""
        try:
            return super().invoke(ctx)
        except GrisError as error:
            click.echo(f"gris: {error}", err=True)
            ctx.exit(EXIT_RETRY if isinstance(error, Retry) else EXIT_FATAL)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Exit at once, as a service does that is stopped before it is ready; it takes over the signals when it is.

    Nothing was begun: there is nothing to finish, and nobody to wait for who may not answer.
    """
    os.write(sys.stderr.fileno(), b"gris: stopped before it was ready; nothing had been begun\n")
    os._exit(0)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
def program() -> None:
    """Government Reporting Indicator Streams: figures of ministries, live and kept for ever."""
    from deploy import logs  # noqa: PLC0415  # --help must not wait for it

    logs.configure()


def main() -> NoReturn:
    """Run ``gris``."""
    program(prog_name="gris")
    sys.exit()  # click has exited already


if __name__ == "__main__":
    main()
