"""Reckoned totals as rows of day_totals and as lines of gris.daily. Pure."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.codec_lines import encode_line
from schemas.columns import arrow
from sinks.clickhouse.writer import DAY_TOTALS, ticks_to_decimal
from streams.flags import NOT_MONOTONE, SUM_MISMATCH
from streams.reckon import Reckoning
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
        nation = totals.shape.width - 1
        days = one.days.tolist()
        for at in np.flatnonzero(one.publish).tolist():
            indicator, breakdown = one.names(at)
            rows = zip(
                totals.said[at].tolist(),
                one.codes,
                _or_none(totals.value[at], totals.valued[at]),
                _or_none(totals.low[at], totals.bounded[at]),
                _or_none(totals.high[at], totals.bounded[at]),
                totals.reported[at].tolist(),
                totals.expected[at].tolist(),
                totals.cells[at].tolist(),
                strict=True,
            )
            value = encode_line(
                days[at],
                indicator,
                breakdown,
                version,
                int(one.newest[at]),
                RANKED[totals.rank[at, nation]] if totals.said[at, nation] else "M",
                FLAG_SETS[int(one.mismatch[at]) + 2 * int(one.falls[at])],
                [row[1:] for row in rows if row[0]],
            )
            yield Line(f"{np.datetime64(days[at], 'D')}|{indicator}|{breakdown}".encode(), value)


def empty_line(day: int, indicator: str, breakdown: str, version: int, newest_ms: int) -> Line:
    """Encode a line (``day`` is the epoch day of its bucket) of which nothing is said any more."""
    key = f"{np.datetime64(day, 'D')}|{indicator}|{breakdown}".encode()
    return Line(key, encode_line(day, indicator, breakdown, version, newest_ms, "M", [], []))


def _or_none(values: NDArray[np.int64], valid: NDArray[np.bool_]) -> list[int | None]:
    if valid.all():
        return list(values.tolist())
    return [value if ok else None for value, ok in zip(values.tolist(), valid.tolist(), strict=True)]


def total_rows(reckoned: Sequence[Reckoning], version: int) -> pa.Table:
    """Give the changed rows of all lines in the columns of day_totals; ``version`` is the next offset folded in."""
    picked = [(one, np.nonzero(one.rows)) for one in reckoned if one.rows.any()]
    if not picked:
        return DAY_TOTALS.empty_table()
    indicators, breakdowns, areas = _Texts(), _Texts(), _Texts()
    for one, (at, column) in picked:
        names = [one.names(line) for line in range(len(one.totals.line))]
        indicators.add([name for name, _ in names], at)
        breakdowns.add([name for _, name in names], at)
        areas.add(one.codes, column)

    def joined(of: Callable[[Reckoning], NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([of(one)[place] for one, place in picked])

    def by_line(of: Callable[[Reckoning], NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([of(one)[at] for one, (at, _) in picked])

    valued, bounded = joined(lambda one: one.totals.valued), joined(lambda one: one.totals.bounded)
    flags = by_line(lambda one: one.mismatch + 2 * one.falls.astype(np.int64))
    count = len(valued)
    arrays = {
        "bucket": arrow(by_line(lambda one: one.days).astype(np.int32), pa.date32()),
        "indicator": indicators.column(),
        "area": areas.column(),
        "breakdown": breakdowns.column(),
        "value": ticks_to_decimal(joined(lambda one: one.totals.value), valued),
        "min": ticks_to_decimal(joined(lambda one: one.totals.low), bounded),
        "max": ticks_to_decimal(joined(lambda one: one.totals.high), bounded),
        "areas_reported": arrow(joined(lambda one: one.totals.reported).astype(np.uint32), pa.uint32()),
        "areas_expected": arrow(joined(lambda one: one.totals.expected).astype(np.uint32), pa.uint32()),
        "cells": arrow(joined(lambda one: one.totals.cells).astype(np.uint32), pa.uint32()),
        "status": pa.DictionaryArray.from_arrays(
            arrow(joined(lambda one: one.totals.rank).astype(np.int32)), pa.array(list(RANKED), pa.string())
        ),
        "flags": pa.array([FLAG_SETS[flag] for flag in flags.tolist()], pa.list_(pa.string())),
        "version": arrow(np.full(count, version, np.uint64)),
        "updated_at": arrow(by_line(lambda one: one.newest), pa.timestamp("ms", "UTC")),
    }
    return pa.table([arrays[field.name].cast(field.type) for field in DAY_TOTALS], schema=DAY_TOTALS)


class _Texts:
    """A column of few distinct texts, gathered a part at a time."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._parts: list[NDArray[np.int32]] = []

    def add(self, texts: Sequence[str], at: NDArray[np.int64]) -> None:
        """Append ``texts[at]``."""
        codes = [self._codes.setdefault(text, len(self._codes)) for text in texts]
        self._parts.append(np.array(codes, np.int32)[at])

    def column(self) -> pa.DictionaryArray:
        """Give the column."""
        return pa.DictionaryArray.from_arrays(
            arrow(np.concatenate(self._parts)), pa.array(list(self._codes), pa.string())
        )
