"""A worker that is wrong on purpose: it writes the ledger first, before anything that the ledger vouches for.

Run as a program in the place of `gris worker`. The fault harness must find it out.
"""

from deploy.cli import main
from streams.flush import Flusher


async def flush_ledger_first(flusher: Flusher, most: int | None = None) -> None:
    """Say of a batch that it is stored, and then store it."""
    async with flusher._whole():
        batch = await flusher._aggregator.take(most)
        if batch is not None:
            await flusher._threads.database(flusher._writer.ledger, list(batch.positions.values()))
            await flusher._store(batch.rows)
            await flusher._alongside(flusher._tell(batch))
            flusher._aggregator.stored(batch)


if __name__ == "__main__":
    Flusher.flush = flush_ledger_first  # type: ignore[method-assign]
    main()
