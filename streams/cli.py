"""The command `gris worker`."""

import gc
import os
import sys

import click

# Objects made between two collections of the youngest, and those between collections of the older generations.
COLLECTIONS = (1_000_000, 20, 1_000)


@click.command()
def worker() -> None:
    """Validate and aggregate events until stopped (SIGTERM flushes first). Settings are GRIS_ variables."""
    import faust  # noqa: PLC0415 - takes a second, which no other command should pay
    import structlog  # noqa: PLC0415

    from streams.app import create_app  # noqa: PLC0415
    from streams.memory import keep_little  # noqa: PLC0415
    from streams.parts import compose  # noqa: PLC0415
    from streams.settings import WorkerSettings  # noqa: PLC0415

    settings = WorkerSettings.read()
    structlog.get_logger(__name__).info("starting", **settings.masked())
    keep_little()
    parts = compose(settings)
    app = create_app(settings, parts)
    # Records come by the hundred thousand and hold no cycles; walking them again and again cost 2 µs an event.
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)
    runner = faust.Worker(app, override_logging=False, redirect_stdouts=False, quiet=True, loglevel="WARNING")
    try:
        runner.execute_from_commandline()
    except SystemExit as ended:
        fatal = parts.health.fatal
        if parts.threads.busy:
            # The interpreter would wait for a call to a database that hangs, for minutes. Nothing depends on it.
            if fatal is not None:
                click.echo(f"gris: {fatal}", err=True)
            sys.stderr.flush()
            os._exit(1 if fatal is not None else int(ended.code or 0))
        if fatal is not None:
            raise fatal from None
        raise
