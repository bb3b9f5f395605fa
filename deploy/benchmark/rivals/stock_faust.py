"""Stock Faust: one agent, one event at a time, as its documentation shows it. ``python -m … JOB ANSWER``.

Its tables would write a changelog for every event; the cells stay in a dictionary, which favours it.
"""

import os
import sys
from pathlib import Path
from typing import Any

import faust

from deploy.benchmark.rivals.job import Answer, Clock, Job, main
from deploy.benchmark.rivals.one_by_one import OneByOne
from schemas.catalogue import load


def work(job: Job) -> Answer:
    """Run a worker until it has seen every record."""
    known = OneByOne(load(Path(job.catalogue)))
    app = faust.App(
        f"gris-bench-stock-{os.getpid()}",
        broker=[f"kafka://{job.kafka}"],
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
    )
    events = app.topic(*job.upto, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    found: list[Answer] = []

    @app.agent(events)
    async def totals(stream: Any) -> None:
        taken, clock = 0, None
        async for event in stream.events():
            clock = clock or Clock()
            message = event.message
            if message.offset < job.upto[message.topic]:
                known.take(message.topic, message.offset, round(message.timestamp * 1000), message.key, message.value)
                taken += 1
            if taken == job.events and not found:
                found.append(clock.answer(taken, dict(known.accepted), known.totals()))
                await app.stop()

    sys.argv = [sys.argv[0], "worker", "--without-web", "-l", "error"]
    try:
        app.main()
    except SystemExit:
        if not found:
            raise
    return found[0]


if __name__ == "__main__":
    main(work)
