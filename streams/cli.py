"""The command `gris worker`."""

import gc

import click

# Objects made between two collections of the youngest, and those between collections of the older generations.
COLLECTIONS = (1_000_000, 20, 1_000)


@click.command()
def worker() -> None:
    """Validate and aggregate events until stopped (SIGTERM flushes first). Settings are GRIS_ variables."""
    import structlog  # noqa: PLC0415 - Faust and its like take a second, which no other command should pay

    from streams.app import create_app  # noqa: PLC0415
    from streams.memory import keep_little  # noqa: PLC0415
    from streams.parts import compose  # noqa: PLC0415
    from streams.run import run  # noqa: PLC0415
    from streams.settings import WorkerSettings  # noqa: PLC0415

    settings = WorkerSettings.read()
    structlog.get_logger(__name__).info("starting", **settings.masked())
    keep_little()
    parts = compose(settings)
    app = create_app(settings, parts)
    # Records come by the hundred thousand and hold no cycles; walking them again and again cost 2 µs an event.
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)
    run(app, parts, settings.stop_seconds)
