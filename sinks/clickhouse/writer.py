"""Rows into ClickHouse: one insert per call, by column, repeatable. What a retry inserts twice folds into one row."""

import dataclasses
from collections.abc import Mapping, Sequence

import pyarrow as pa

from sinks.clickhouse.client import Client
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.ticks import DECIMAL, ticks_to_decimal

__all__ = ["DAY_TOTALS", "FLOORS", "LEDGER", "OBSERVATIONS", "REJECTED", "Writer", "ticks_to_decimal"]

# Repeated texts come as dictionaries, which is cheaper to send and to take in; plain strings do as well.
TEXT = pa.dictionary(pa.int32(), pa.string())
INSTANT = pa.timestamp("ms", tz="UTC")

OBSERVATIONS = pa.schema(
    [
        pa.field("agency", TEXT, nullable=False),
        pa.field("indicator", TEXT, nullable=False),
        pa.field("area", TEXT, nullable=False),
        pa.field("breakdown", TEXT, nullable=False),
        pa.field("time_period", TEXT, nullable=False),
        pa.field("bucket", pa.date32(), nullable=False),
        pa.field("value", DECIMAL),
        pa.field("base", DECIMAL),
        pa.field("status", TEXT, nullable=False),
        pa.field("revision", pa.uint32(), nullable=False),
        pa.field("note", pa.string()),
        pa.field("submission", TEXT, nullable=False),
        pa.field("observed_at", INSTANT, nullable=False),
        pa.field("received_at", INSTANT, nullable=False),
        pa.field("topic", TEXT, nullable=False),
        pa.field("partition", pa.uint32(), nullable=False),
        pa.field("offset", pa.uint64(), nullable=False),
        pa.field("version", pa.uint64(), nullable=False),
        pa.field("rules", TEXT, nullable=False),
        pa.field("replay_of", TEXT, nullable=False),
    ]
)
REJECTED = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.uint32(), nullable=False),
        pa.field("offset", pa.uint64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("raw", pa.binary(), nullable=False),
        pa.field("schema_id", pa.int64()),
        pa.field("agency", pa.string(), nullable=False),
        pa.field("indicator", pa.string(), nullable=False),
        pa.field("submission", pa.string(), nullable=False),
        pa.field("received_at", INSTANT, nullable=False),
        pa.field("rules", pa.string(), nullable=False),
    ]
)
DAY_TOTALS = pa.schema(
    [
        pa.field("bucket", pa.date32(), nullable=False),
        pa.field("indicator", TEXT, nullable=False),
        pa.field("area", TEXT, nullable=False),
        pa.field("breakdown", TEXT, nullable=False),
        pa.field("value", DECIMAL),
        pa.field("min", DECIMAL),
        pa.field("max", DECIMAL),
        pa.field("areas_reported", pa.uint32(), nullable=False),
        pa.field("areas_expected", pa.uint32(), nullable=False),
        pa.field("cells", pa.uint32(), nullable=False),
        pa.field("status", TEXT, nullable=False),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
        pa.field("version", pa.uint64(), nullable=False),
        pa.field("updated_at", INSTANT, nullable=False),
    ]
)
LEDGER = pa.schema(  # written_at is the database's clock
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.uint32(), nullable=False),
        pa.field("next_offset", pa.uint64(), nullable=False),
        pa.field("accepted", pa.uint64(), nullable=False),
        pa.field("rejected", pa.uint64(), nullable=False),
        pa.field("skipped", pa.uint64(), nullable=False),
        pa.field("rules", pa.string(), nullable=False),
        pa.field("topic_id", pa.string(), nullable=False),
        pa.field("partitions", pa.uint32(), nullable=False),
    ]
)
FLOORS = pa.schema(
    [
        pa.field("topic", pa.string(), nullable=False),
        pa.field("partition", pa.uint32(), nullable=False),
        pa.field("version", pa.uint64(), nullable=False),
    ]
)


class Writer:
    """The inserts of a flush. Each blocks until the server has the rows; raises Retry or Fatal."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def observations(self, rows: pa.Table) -> None:
        """Insert accepted statements: the columns of OBSERVATIONS, by name."""
        self._client.insert("observations", rows)

    def rejected(self, rows: pa.Table) -> None:
        """Insert refused records: the columns of REJECTED, by name."""
        self._client.insert("rejected", rows)

    def day_totals(self, rows: pa.Table) -> None:
        """Insert totals: the columns of DAY_TOTALS, by name."""
        self._client.insert("day_totals", rows)

    def floors(self, versions: Mapping[tuple[str, int], int]) -> None:
        """Insert, by topic and partition, the versions at which lines are announced that may leave no total."""
        rows = [{"topic": at[0], "partition": at[1], "version": version} for at, version in versions.items()]
        self._client.insert("floors", pa.Table.from_pylist(rows, schema=FLOORS))

    def ledger(self, rows: Sequence[Position]) -> None:
        """Insert positions: the last act of a flush before Kafka's commit."""
        self._client.insert("ledger", pa.Table.from_pylist([dataclasses.asdict(row) for row in rows], schema=LEDGER))
