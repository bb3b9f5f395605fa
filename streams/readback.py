"""Stored cells as statements on ordinals: how a bucket that is not in memory comes back from ClickHouse."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.catalogue import Catalogue, Indicator
from schemas.columns import numbers
from schemas.period import parse
from streams.cube import Statements
from streams.totals import WITHDRAWN


def statements_by_day(
    catalogue: Catalogue, indicators: Sequence[Indicator], cells: pa.Table
) -> Iterator[tuple[int, Statements]]:
    """Turn the rows of ``queries.cells`` into statements, a day (epoch) at a time, in ascending order, never none.

    A cell for which the catalogue of today has no place (its indicator left, its code was dropped, its area is not in
    the map, it is of another frequency than the indicator's, or a province's where only the nation reports) has no line
    in the report; its statements stay in ClickHouse. A figure that now needs a base and was stated without one counts
    as not reported.
    """
    if not cells.num_rows:
        return
    table = cells.combine_chunks()
    day = _integers(table, "day", np.int32)
    indicator_at, indicator_texts = _distinct(table, "indicator")
    area_at, area_texts = _distinct(table, "area")
    breakdown_at, breakdown_texts = _distinct(table, "breakdown")
    period_at, period_texts = _distinct(table, "time_period")
    own = {indicator.code: indicator for indicator in indicators}
    known = [own.get(text) for text in indicator_texts]
    ordinal, wanted, by_province, needs_base = np.array([_traits(i) for i in known], np.int32)[indicator_at].T
    breakdowns = np.array(
        [
            [-1 if i is None or text not in i.breakdowns else i.breakdowns.index(text) for text in breakdown_texts]
            for i in known
        ],
        np.int32,
    )
    breakdown = breakdowns[indicator_at, breakdown_at]
    frequency, slot = _periods(period_texts, period_at)
    ticks, base = _integers(table, "ticks", np.int64), _integers(table, "base", np.int64)
    status, version = _integers(table, "status", np.uint8), _integers(table, "version", np.uint64).astype(np.int64)
    baseless = (needs_base > 0) & (base == 0)
    ticks, status = np.where(baseless, 0, ticks), np.where(baseless, WITHDRAWN, status)
    order = np.argsort(day, kind="stable")
    days, starts = np.unique(day[order], return_index=True)
    for one, rows in zip(days.tolist(), np.split(order, starts[1:]), strict=True):
        map_ = catalogue.maps[catalogue.map_ordinal_on(one)]
        area = np.array([map_.position.get(text, -1) for text in area_texts], np.int32)[area_at[rows]]
        nation = len(map_.provinces)
        kept = (ordinal[rows] >= 0) & (breakdown[rows] >= 0) & (frequency[rows] == wanted[rows])
        kept &= (area == nation) | ((area >= 0) & (area < nation) & (by_province[rows] > 0))
        rows, area = rows[kept], area[kept]  # noqa: PLW2901 - the same rows, less the unknown
        if not len(rows):
            continue
        yield (
            one,
            Statements(
                ordinal[rows],
                breakdown[rows],
                area,
                slot[rows],
                ticks[rows],
                base[rows],
                status[rows],
                version[rows],
                np.zeros(len(rows), np.int64),
            ),
        )


def _traits(indicator: Indicator | None) -> tuple[int, int, int, int]:
    """Give ordinal, frequency, whether provinces report, and whether a base is needed; -1 for an unknown indicator."""
    if indicator is None:
        return (-1, -1, -1, -1)
    by_province = indicator.geography == "province"
    return indicator.ordinal, indicator.frequency.ordinal, int(by_province), int(indicator.needs_base)


def _periods(texts: Sequence[str], at: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give ordinals of frequency and slot of each row."""
    # ClickHouse's dictionaries hold the empty text too, used or not.
    frequencies, slots = np.full((2, len(texts)), -1, np.int32)
    for used in np.unique(at).tolist():
        period = parse(texts[used])
        frequencies[used], slots[used] = period.frequency.ordinal, period.slot
    return np.asarray(frequencies[at]), np.asarray(slots[at])


def _integers(table: pa.Table, name: str, dtype: type[np.generic]) -> NDArray[Any]:
    column = table.column(name).combine_chunks()
    return numbers(column.chunk(0) if isinstance(column, pa.ChunkedArray) else column, dtype)


def _distinct(table: pa.Table, name: str) -> tuple[NDArray[np.int32], list[str]]:
    column = table.column(name).combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    encoded = column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()
    return numbers(encoded.indices.cast(pa.int32()), np.int32), encoded.dictionary.to_pylist()
