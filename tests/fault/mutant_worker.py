"""A worker that is wrong on purpose: it writes the ledger first, before anything that the ledger vouches for.

Run as a program in the place of `gris worker`. The fault harness must find it out.
"""

from deploy.cli import main
from sinks.clickhouse.writer import Writer
from streams.aggregate import Aggregator
from streams.batch import Batch

take = Aggregator.take


async def take_and_vouch(aggregator: Aggregator, most: int | None = None) -> Batch | None:
    """Take a batch for a flush, and say at once that it is stored."""
    batch = await take(aggregator, most)
    if batch is not None:
        ledger = Writer(aggregator._client).ledger
        await aggregator._threads.database(ledger, list(batch.positions.values()))
    return batch


if __name__ == "__main__":
    Aggregator.take = take_and_vouch  # type: ignore[method-assign, assignment]
    main()
