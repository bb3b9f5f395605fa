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


def statements_by_day(
    catalogue: Catalogue, indicators: Sequence[Indicator], cells: pa.Table
) -> Iterator[tuple[int, Statements]]:
    """Turn the rows of ``queries.cells`` into statements, a day (epoch) at a time, in ascending order.

    A cell that the catalogue of today no longer knows (an indicator that left, a code that was dropped) has no place in
    a cube and no line in the report; its statements stay in ClickHouse.
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
    ordinal = np.array([-1 if i is None else i.ordinal for i in known], np.int32)[indicator_at]
    breakdowns = np.array(
        [
            [-1 if i is None or text not in i.breakdowns else i.breakdowns.index(text) for text in breakdown_texts]
            for i in known
        ],
        np.int32,
    )
    breakdown = breakdowns[indicator_at, breakdown_at]
    slot = _slots(period_texts, period_at)
    ticks, base = _integers(table, "ticks", np.int64), _integers(table, "base", np.int64)
    status, version = _integers(table, "status", np.uint8), _integers(table, "version", np.uint64).astype(np.int64)
    order = np.argsort(day, kind="stable")
    days, starts = np.unique(day[order], return_index=True)
    for one, rows in zip(days.tolist(), np.split(order, starts[1:]), strict=True):
        position = catalogue.maps[catalogue.map_ordinal_on(one)].position
        area = np.array([position.get(text, -1) for text in area_texts], np.int32)[area_at[rows]]
        kept = (ordinal[rows] >= 0) & (breakdown[rows] >= 0) & (area >= 0)
        rows, area = rows[kept], area[kept]  # noqa: PLW2901 - the same rows, less the unknown
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


def _slots(texts: Sequence[str], at: NDArray[np.int32]) -> NDArray[np.int32]:
    # ClickHouse's dictionaries hold the empty text too, used or not.
    slots = np.full(len(texts), -1, np.int32)
    for used in np.unique(at).tolist():
        slots[used] = parse(texts[used]).slot
    return np.asarray(slots[at])


def _integers(table: pa.Table, name: str, dtype: type[np.generic]) -> NDArray[Any]:
    column = table.column(name).combine_chunks()
    return numbers(column.chunk(0) if isinstance(column, pa.ChunkedArray) else column, dtype)


def _distinct(table: pa.Table, name: str) -> tuple[NDArray[np.int32], list[str]]:
    column = table.column(name).combine_chunks()
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    encoded = column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()
    return numbers(encoded.indices.cast(pa.int32()), np.int32), encoded.dictionary.to_pylist()
