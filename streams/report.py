"""Reckoned totals as rows of day_totals and as lines of gris.daily. Pure."""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.codec_lines import Head, encode_line, encode_lines
from schemas.columns import arrow
from sinks.clickhouse.writer import DAY_TOTALS, ticks_to_decimal
from streams.flags import NOT_MONOTONE, SUM_MISMATCH
from streams.reckon import Reckoning
from streams.totals import RANKED

FLAG_SETS: tuple[list[str], ...] = ([], [SUM_MISMATCH], [NOT_MONOTONE], [SUM_MISMATCH, NOT_MONOTONE])


# So many lines at once fill numpy's loops, and stay within a core's cache.
ENCODED_LINES = 256
# Of so many lines the rows of day_totals are picked at once: some 100 bytes a row.
LINES_OF_ROWS = 4096


class Line(NamedTuple):
    """A message of gris.daily."""

    key: bytes
    value: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Encoding:
    """Lines that are encoded while they are gone through, each time anew: together they are larger than all else."""

    reckoned: Sequence[Reckoning]
    version: int

    def __len__(self) -> int:
        """Count the lines."""
        return sum(int(one.publish.sum()) for one in self.reckoned)

    def __iter__(self) -> Iterator[Line]:
        """Encode the lines."""
        return lines(self.reckoned, self.version)


def lines(reckoned: Sequence[Reckoning], version: int) -> Iterator[Line]:
    """Encode every line to publish, whole, with all its areas; ``version`` is the next offset folded in."""
    for one in reckoned:
        published = np.flatnonzero(one.publish)
        for start in range(0, len(published), ENCODED_LINES):
            at = published[start : start + ENCODED_LINES]
            heads = [*_heads(one, at, version)]
            values = encode_lines(heads, one.totals.columns(one.codes, at))
            for head, value in zip(heads, values, strict=True):
                yield Line(_key(head.bucket_day, head.indicator, head.breakdown), value)


def _heads(one: Reckoning, at: NDArray[np.int64], version: int) -> Iterator[Head]:
    totals = one.totals
    nation = totals.shape.width - 1
    status = np.where(totals.said[at, nation], totals.rank[at, nation], RANKED.index("M"))
    flags = one.mismatch[at] + 2 * one.falls[at].astype(np.int64)
    columns = (column.tolist() for column in (at, one.days[at], one.newest[at], status, flags))
    for line, day, newest, rank, flag in zip(*columns, strict=True):
        yield Head(day, *one.names(line), version, newest, RANKED[rank], FLAG_SETS[flag])


def empty_line(day: int, indicator: str, breakdown: str, version: int, newest_ms: int) -> Line:
    """Encode a line (``day`` is the epoch day of its bucket) of which nothing is said any more."""
    value = encode_line(day, indicator, breakdown, version, newest_ms, "M", [], [])
    return Line(_key(day, indicator, breakdown), value)


def _key(day: int, indicator: str, breakdown: str) -> bytes:
    return f"{_date(day)}|{indicator}|{breakdown}".encode()


@lru_cache(1 << 12)
def _date(day: int) -> str:
    return str(np.datetime64(day, "D"))


def total_rows(reckoned: Sequence[Reckoning], version: int) -> pa.Table:
    """Give the changed rows of all lines in the columns of day_totals; ``version`` is the next offset folded in."""
    return pa.concat_tables([DAY_TOTALS.empty_table(), *total_tables(reckoned, version)]).unify_dictionaries()


def total_tables(reckoned: Sequence[Reckoning], version: int) -> Iterator[pa.Table]:
    """Give the same a part at a time, so that never all of them are in memory."""
    for one in reckoned:
        changed = np.flatnonzero(one.rows.any(axis=1))
        for start in range(0, len(changed), LINES_OF_ROWS):
            yield _total_table(one, changed[start : start + LINES_OF_ROWS], version)


def _total_table(one: Reckoning, lines: NDArray[np.int64], version: int) -> pa.Table:
    picked = one.rows[lines]
    at, column = np.nonzero(picked)
    line = lines[at]
    said = one.totals.columns(one.codes, lines)
    valued, bounded = said.valued[picked], said.bounded[picked]
    names = [one.names(each) for each in lines.tolist()]
    arrays = {
        "bucket": arrow(one.days[line].astype(np.int32), pa.date32()),
        "indicator": _texts([indicator for indicator, _ in names], at),
        "area": _texts(one.codes, column),
        "breakdown": _texts([breakdown for _, breakdown in names], at),
        "value": ticks_to_decimal(said.value[picked], valued),
        "min": ticks_to_decimal(said.low[picked], bounded),
        "max": ticks_to_decimal(said.high[picked], bounded),
        "areas_reported": arrow(said.reported[picked].astype(np.uint32), pa.uint32()),
        "areas_expected": arrow(said.expected[picked].astype(np.uint32), pa.uint32()),
        "cells": arrow(said.cells[picked].astype(np.uint32), pa.uint32()),
        "status": _texts(RANKED, one.totals.rank[line, column]),
        "flags": _flags(one.mismatch[line] + 2 * one.falls[line].astype(np.int64)),
        "version": arrow(np.full(len(line), version, np.uint64)),
        "updated_at": arrow(one.newest[line], pa.timestamp("ms", "UTC")),
    }
    return pa.table([arrays[field.name] for field in DAY_TOTALS], schema=DAY_TOTALS)


def _texts(texts: Sequence[str], at: NDArray[Any]) -> pa.DictionaryArray:
    """Give ``texts[at]``, each text once in the dictionary."""
    codes: dict[str, int] = {}
    of_text = np.array([codes.setdefault(text, len(codes)) for text in texts], np.int32)
    return pa.DictionaryArray.from_arrays(arrow(of_text[at]), pa.array(list(codes), pa.string()))


def _flags(flags: NDArray[np.int64]) -> pa.ListArray:
    sets = pa.array(FLAG_SETS, pa.list_(pa.string()))
    return sets.take(arrow(flags)) if flags.any() else _none(len(flags))


def _none(count: int) -> pa.ListArray:
    return pa.ListArray.from_arrays(arrow(np.zeros(count + 1, np.int32)), pa.array([], pa.string()))
