"""What processes say: structlog and the standard library's loggers in one form, on stderr.

JSON, one object a line, when stderr is not a terminal or ``GRIS_LOG=json``; readable at a terminal or with
``GRIS_LOG=text``. ``GRIS_LOG_LEVEL`` is a level's name, INFO by default. Neither figures nor secrets are ever logged.
"""

import logging
import os
import sys

import structlog
from structlog.typing import Processor

from schemas.errors import Fatal

# Libraries that tell at INFO what only their authors need.
QUIET = ("faust", "mode", "urllib3", "uvicorn.access", "asyncio")
# Clients that write a line for every attempt to reach a server that is away: we tell of an obstacle once, and of its
# end. kafka-python also warns when its loop was held up for 0.1 s, which says that the machine is busy. Of urllib3 its
# pool is named, for clickhouse_connect sets the level of the logger above that one when it is imported, be it later.
MUTE = ("kafka", "aiokafka", "clickhouse_connect", "urllib3.connectionpool")
FORMS = ("json", "text")


def configure() -> None:
    """Send every logger of this process through one handler. Call once, before anything else logs."""
    form = os.environ.get("GRIS_LOG") or ("text" if sys.stderr.isatty() else "json")
    level = (os.environ.get("GRIS_LOG_LEVEL") or "INFO").upper()
    if form not in FORMS:
        raise Fatal(f"GRIS_LOG is '{form[:20]}'; it must be json or text.")
    if level not in logging.getLevelNamesMapping():
        raise Fatal(f"GRIS_LOG_LEVEL is '{level[:20]}'; it must be DEBUG, INFO, WARNING or ERROR.")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    last: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if form == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    if level != "DEBUG":
        for name in QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)
        for name in MUTE:
            logging.getLogger(name).setLevel(logging.CRITICAL)
