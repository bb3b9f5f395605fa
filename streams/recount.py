"""The totals of one partition once more, by the worker's own cubes, from the statements that ClickHouse holds."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from faust.types import TP

from schemas.catalogue import Catalogue
from schemas.topics import agency_of
from sinks.clickhouse import queries
from sinks.clickhouse.client import Client
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.tail import Key, LineKey
from streams.flags import EPOCH
from streams.partition import Partition
from streams.reckon import Reckoning
from streams.report import Line, lines, total_rows

DAYS_AT_ONCE = 16
COLUMNS = ("value", "min", "max", "areas_reported", "areas_expected", "cells", "status", "flags")

Row = tuple[Any, ...]
"""A row of day_totals in the order of COLUMNS: decimals or None, counts, text, list of texts."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What the totals of some days must be, and where the stored ones are different.

    ``wrong`` gives by key what must be (None for no row) and what is stored (None for no row). ``rows`` (as in
    day_totals) mends those that must be, ``superfluous`` names those that must not; ``messages`` are the lines in which
    there is a difference, whole, as they go to gris.daily.
    """

    compared: int
    wrong: Mapping[Key, tuple[Row | None, Row | None]]
    rows: pa.Table
    messages: Sequence[Line]
    superfluous: Sequence[Key]


class Recount:
    """One partition as the ledger has it: statements from the ledger's next offset on do not count.

    Versions are the ledger's next offset: rows written by a recount win over all that came before, and lose to whatever
    a worker writes later.
    """

    def __init__(self, client: Client, catalogue: Catalogue, position: Position) -> None:
        self._client = client
        self.position = position
        self.place = TP(position.topic, position.partition)
        place = *self.place, position.next_offset
        self._stored = queries.stored_days(client, *place)
        self._state = Partition(catalogue, agency_of(position.topic) or "", position, self._stored, itertools.count())
        self.newest = self._state.newest = queries.newest(client, *place)
        """Broker time (ms) of the newest statement: what is written without an event of its own is of then."""

    @property
    def codes(self) -> list[str]:
        """Codes of the indicators whose events lie in this partition."""
        return self._state.codes

    @property
    def days(self) -> list[int]:
        """Days (epoch) of which there are statements or totals, ascending."""
        return sorted({*self._stored, *queries.total_days(self._client, self.codes)})

    def chunks(self, days: Sequence[int] | None = None, *, every: bool = False) -> Iterator[tuple[list[int], Found]]:
        """Recount ``days`` (None: all), a few at a time. ``every`` makes messages of all lines, different or not.

        Raises Retry or Fatal.
        """
        remaining = self.days if days is None else list(days)
        for at in range(0, len(remaining), DAYS_AT_ONCE):
            some = remaining[at : at + DAYS_AT_ONCE]
            yield some, self._recount(some, every=every)

    def _recount(self, days: Sequence[int], *, every: bool) -> Found:
        state = self._state
        stored = _by_key(queries.totals(self._client, state.codes, days))
        reckoned = self._reckoned(days, stored)
        table = total_rows(reckoned, self.position.next_offset)
        rows = _by_key(table)
        wrong = {
            key: (rows.get(key), stored.get(key))
            for key in rows.keys() | stored.keys()
            if rows.get(key) != stored.get(key)
        }
        changed = {(day, indicator, breakdown) for day, indicator, breakdown, _ in wrong}
        chosen = reckoned if every else [_only(one, changed) for one in reckoned]
        return Found(
            compared=len(rows.keys() | stored.keys()),
            wrong=wrong,
            rows=table.filter(pa.array([key in wrong for key in rows], pa.bool_())),
            messages=list(lines(chosen, self.position.next_offset)),
            superfluous=sorted(stored.keys() - rows.keys()),
        )

    def _reckoned(self, days: Sequence[int], stored: Iterable[Key]) -> list[Reckoning]:
        """Total every line of which anything is said or stored."""
        state = self._state
        cells = self._cells(days)
        state.load(days, cells)
        known = set(state.codes)
        touched: dict[LineKey, list[str]] = {line: [] for line in _distinct_lines(cells) if line[1] in known}
        for day, code, breakdown, area in stored:
            touched.setdefault((day, code, breakdown), []).append(area)
        for year, indicators in state.unknown_years_of(touched).items():
            codes = [indicator.code for indicator in indicators]
            state.load_year(year, indicators, self._cells(state.stored_in(year), codes))
        state.restore(touched)
        reckoned = state.reckon()
        for cube in list(state.cubes.values()):
            state.evict(cube)
        return reckoned

    def _cells(self, days: Sequence[int], indicators: Sequence[str] = ()) -> pa.Table:
        if not days:
            return queries.CELL_COLUMNS.empty_table()
        return queries.cells(self._client, *self.place, days, self.position.next_offset, indicators=indicators)


def _by_key(table: pa.Table) -> dict[Key, Row]:
    columns = [table.column(name).to_pylist() for name in ("bucket", "indicator", "breakdown", "area", *COLUMNS)]
    return {
        ((bucket - EPOCH).days, indicator, breakdown, area): tuple(row)
        for bucket, indicator, breakdown, area, *row in zip(*columns, strict=True)
    }


def _distinct_lines(cells: pa.Table) -> Iterator[LineKey]:
    names = ["day", "indicator", "breakdown"]
    texts = [cells.column("day"), *(cells.column(name).cast(pa.string()) for name in names[1:])]
    found = pa.table(texts, names=names).group_by(names).aggregate([])
    return zip(*(found.column(name).to_pylist() for name in names), strict=True)


def _only(one: Reckoning, chosen: set[LineKey]) -> Reckoning:
    """Leave only some lines to be published."""
    keys = ((day, *one.names(at)) for at, day in enumerate(one.days.tolist()))
    return dataclasses.replace(one, publish=np.fromiter((key in chosen for key in keys), np.bool_, len(one.days)))
