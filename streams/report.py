"""Reckoned totals as rows of day_totals and as lines of gris.daily. Pure."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from schemas.codec_lines import encode_line
from sinks.clickhouse.writer import DAY_TOTALS, ticks_to_decimal
from streams.flags import NOT_MONOTONE, SUM_MISMATCH
from streams.partition import Reckoning
from streams.totals import RANKED

FLAG_SETS: tuple[list[str], ...] = ([], [SUM_MISMATCH], [NOT_MONOTONE], [SUM_MISMATCH, NOT_MONOTONE])


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """A message of gris.daily."""

    key: bytes
    value: bytes


def lines(reckoned: Sequence[Reckoning], version: int) -> Iterator[Line]:
    """Encode every line to publish, whole, with all its areas; ``version`` is the next offset folded in."""
    for one in reckoned:
        totals = one.totals
        shape = totals.shape
        codes = one.codes
        nation = shape.width - 1
        day = np.datetime64(one.day, "D").item().isoformat()
        for at in np.flatnonzero(one.publish).tolist():
            indicator, breakdown = one.names(at)
            columns = np.flatnonzero(totals.said[at])
            rows = zip(
                [codes[column] for column in columns.tolist()],
                _or_none(totals.value[at, columns], totals.valued[at, columns]),
                _or_none(totals.low[at, columns], totals.bounded[at, columns]),
                _or_none(totals.high[at, columns], totals.bounded[at, columns]),
                totals.reported[at, columns].tolist(),
                totals.expected[at, columns].tolist(),
                totals.cells[at, columns].tolist(),
                strict=True,
            )
            status = RANKED[totals.rank[at, nation]] if totals.said[at, nation] else "M"
            value = encode_line(
                one.day,
                indicator,
                breakdown,
                version,
                int(one.newest[at]),
                status,
                FLAG_SETS[int(one.mismatch[at]) + 2 * int(one.falls[at])],
                list(rows),
            )
            yield Line(f"{day}|{indicator}|{breakdown}".encode(), value)


def _or_none(values: np.ndarray, valid: np.ndarray) -> list[int | None]:
    return [value if ok else None for value, ok in zip(values.tolist(), valid.tolist(), strict=True)]


def total_rows(reckoned: Sequence[Reckoning], version: int) -> pa.Table:
    """Give the changed rows of all lines in the columns of day_totals; ``version`` is the next offset folded in."""
    parts = [part for one in reckoned if one.rows.any() for part in [_rows(one, version)]]
    return pa.concat_tables(parts) if parts else DAY_TOTALS.empty_table()


def _rows(one: Reckoning, version: int) -> pa.Table:
    totals = one.totals
    at, column = np.nonzero(one.rows)
    names = [one.names(line) for line in range(len(totals.line))]
    codes = one.codes
    count = len(at)
    flags = one.mismatch[at] + 2 * one.falls[at].astype(np.int64)
    valued, bounded = totals.valued[at, column], totals.bounded[at, column]
    arrays = {
        "bucket": pa.array(np.full(count, one.day, np.int32)).cast(pa.date32()),
        "indicator": _taken([name for name, _ in names], at),
        "area": _taken(codes, column),
        "breakdown": _taken([name for _, name in names], at),
        "value": ticks_to_decimal(totals.value[at, column], valued),
        "min": ticks_to_decimal(totals.low[at, column], bounded),
        "max": ticks_to_decimal(totals.high[at, column], bounded),
        "areas_reported": pa.array(totals.reported[at, column]),
        "areas_expected": pa.array(totals.expected[at, column]),
        "cells": pa.array(totals.cells[at, column]),
        "status": _taken(list(RANKED), totals.rank[at, column]),
        "flags": pa.array([FLAG_SETS[flag] for flag in flags.tolist()], pa.list_(pa.string())),
        "version": pa.array(np.full(count, version, np.uint64)),
        "updated_at": pa.array(one.newest[at]).cast(pa.timestamp("ms", "UTC")),
    }
    return pa.table([arrays[field.name].cast(field.type) for field in DAY_TOTALS], schema=DAY_TOTALS)


def _taken(texts: list[str], at: np.ndarray) -> pa.Array:
    return pa.array(texts, pa.string()).take(pa.array(at.astype(np.int64)))
