"""Stock Faust: one agent, one event at a time, as its documentation shows it. ``python -m … JOB ANSWER``.

Its tables would write a changelog for every event; the cells stay in a dictionary, which favours it.
"""

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import faust

from deploy.benchmark.rivals.job import Clock, Job, write
from deploy.benchmark.rivals.one_by_one import OneByOne
from schemas.catalogue import load


def main() -> None:
    """Run a worker until it has seen every record; then the answer is written, and the process ends at once."""
    told, answers = map(Path, sys.argv[1:3])
    job = Job.read(told)
    known = OneByOne(load(Path(job.catalogue)))
    app = faust.App(
        f"gris-bench-stock-{os.getpid()}",
        broker=[f"kafka://{job.kafka}"],
        store="memory://",
        datadir=answers.parent / "faust",  # else a folder in the one it is started from
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
    )
    events = app.topic(*job.upto, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    @app.agent(events)
    async def totals(stream: Any) -> None:
        taken, clock = 0, None
        async for event in stream.events():
            clock = clock or Clock()
            message = event.message
            if message.offset < job.upto[message.topic]:
                try:
                    known.take(
                        message.topic, message.offset, round(message.timestamp * 1000), message.key, message.value
                    )
                except Exception:  # noqa: BLE001 - whatever it is
                    # Faust would start the agent again, past this event, for ever.
                    traceback.print_exc()
                    os._exit(1)
                taken += 1
            if taken == job.events:
                write(clock.answer(taken, dict(known.accepted), known.totals()), answers)
                os._exit(0)

    sys.argv = [sys.argv[0], "worker", "--without-web", "-l", "error"]
    app.main()


if __name__ == "__main__":
    main()
