"""Statements of the oracle as rows of the database, ledger and all, as a worker would have written them."""

import collections
import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from sinks.clickhouse.client import Client
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.ticks import ticks_to_decimal
from sinks.clickhouse.writer import DAY_TOTALS, OBSERVATIONS, REJECTED, Writer
from tests.support.oracle import Key, Statement, Total, bucket_and_slot

RULES = "0123456789abcdef"
RECEIVED = dt.datetime(2024, 8, 1, 12, tzinfo=dt.UTC)


def topic_of(indicator: str) -> str:
    """Name the topic of a small catalogue's indicator."""
    return f"gris.events.{indicator[:3].lower()}"


def observation_rows(statements: Sequence[Statement], received_at: dt.datetime = RECEIVED) -> pa.Table:
    """Write accepted statements as a table for `Writer.observations`."""
    columns: dict[str, list[object]] = {name: [] for name in OBSERVATIONS.names}
    for statement in statements:
        row = {
            "agency": statement.indicator[:3].lower(),
            "indicator": statement.indicator,
            "area": statement.area,
            "breakdown": statement.breakdown,
            "time_period": statement.time_period,
            "bucket": bucket_and_slot(statement.time_period)[0],
            "status": statement.status,
            "revision": statement.revision,
            "note": None,
            "submission": "r-1",
            "observed_at": received_at,
            "received_at": received_at,
            "topic": topic_of(statement.indicator),
            "partition": 0,
            "offset": statement.offset,
            "version": (statement.revision << 40) + statement.offset + 1,
            "rules": RULES,
            "replay_of": "",
        }
        for name, value in row.items():
            columns[name].append(value)
    figures = {
        "value": ticks([statement.value for statement in statements]),
        "base": ticks([statement.base for statement in statements]),
    }
    arrays = [
        figures[field.name] if field.name in figures else pa.array(columns[field.name], field.type)
        for field in OBSERVATIONS
    ]
    return pa.Table.from_arrays(arrays, schema=OBSERVATIONS)


def total_rows(totals: Iterable[tuple[Key, Total]], version: int = 1) -> pa.Table:
    """Write totals of the oracle as a table for `Writer.day_totals`."""
    pairs = list(totals)
    plain = [
        {
            "bucket": bucket,
            "indicator": indicator,
            "area": area,
            "breakdown": breakdown,
            **{k: v for k, v in dataclasses.asdict(total).items() if k not in ("value", "min", "max")},
            "flags": list(total.flags),
            "version": version,
            "updated_at": RECEIVED,
        }
        for (bucket, indicator, area, breakdown), total in pairs
    ]
    arrays = [
        ticks([getattr(total, field.name) for _, total in pairs])
        if field.name in ("value", "min", "max")
        else pa.array([row[field.name] for row in plain], field.type)
        for field in DAY_TOTALS
    ]
    return pa.Table.from_arrays(arrays, schema=DAY_TOTALS)


def rejected_rows(topic: str, offsets: Sequence[int]) -> pa.Table:
    """Write refused records as a table for `Writer.rejected`."""
    row = {
        "topic": topic,
        "partition": 0,
        "reason": "BAD_MAGIC",
        "field": "value",
        "detail": "first byte 1, must be 0",
        "raw": b"\x01\xff\x00",
        "schema_id": None,
        "agency": topic.rpartition(".")[2],
        "indicator": "",
        "submission": "",
        "received_at": RECEIVED,
        "rules": RULES,
    }
    return pa.Table.from_pylist([{**row, "offset": offset} for offset in offsets], schema=REJECTED)


def positions(statements: Iterable[Statement], rejected: int = 0) -> list[Position]:
    """Write the ledger of these statements, each topic's rejected ones after its accepted ones."""
    accepted = collections.Counter(topic_of(statement.indicator) for statement in statements)
    return [
        Position(topic, 0, count + rejected, count, rejected, 0, RULES, f"id-{topic}", 1)
        for topic, count in accepted.items()
    ]


def store(client: Client, statements: Sequence[Statement], totals: Iterable[tuple[Key, Total]]) -> None:
    """Write statements, totals and ledger, as after a last flush."""
    writer = Writer(client)
    writer.observations(observation_rows(statements))
    writer.day_totals(total_rows(totals))
    writer.ledger(positions(statements))


def ticks(values: Sequence[int | None]) -> pa.Array:
    """Write ticks or None as decimals."""
    valid = np.array([value is not None for value in values], np.bool_)
    return ticks_to_decimal(np.array([value or 0 for value in values], np.int64), valid)
