"""One partition without broker and database: blocks of known verdicts, and a store that keeps what a flush writes."""

import datetime as dt
import itertools
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

import numpy as np
import pyarrow as pa

from schemas.catalogue import Catalogue, Indicator
from schemas.codec import STATUSES
from schemas.codec_lines import decode_line
from schemas.period import parse
from schemas.rules import Accepted, Block
from schemas.spans import NOTHING
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.queries import CELL_COLUMNS
from streams.flags import EPOCH
from streams.partition import Partition
from streams.report import lines, total_rows
from streams.settings import Step
from tests.support import oracle


def block_of(
    catalogue: Catalogue, said: list[oracle.Statement], refused: AbstractSet[int] = frozenset()
) -> tuple[Block, Accepted]:
    """Make the columns that the validate agent hands on; ``refused`` are offsets."""
    rows = []
    for place, one in enumerate(said):
        if one.offset in refused:
            continue
        indicator = catalogue.by_code[one.indicator]
        period = parse(one.time_period)
        ordinal = catalogue.map_ordinal_on(period.day)
        rows.append(
            (
                indicator.ordinal,
                indicator.breakdowns.index(one.breakdown),
                ordinal,
                catalogue.maps[ordinal].position[one.area],
                period.slot,
                period.day,
                one.value or 0,
                one.base or 0,
                STATUSES.index(one.status),
                one.revision,
                (one.revision << 40) + one.offset + 1,
                place,
            )
        )
    column = np.array(rows, np.int64).reshape(-1, 12).T
    offsets = np.array([one.offset for one in said])
    block = Block("gris.events.z", "z", 0, 1, offsets, offsets + 1_000, NOTHING, NOTHING, {})
    small = [column[n].astype(np.int32) for n in range(6)]
    accepted = Accepted(
        column[11],
        *small,
        column[6],
        column[7],
        column[8].astype(np.uint8),
        column[9],
        column[10],
        pa.table({}),
    )
    return block, accepted


class Store:
    """What ClickHouse would hold: statements by offset, totals by key and version, lines by key."""

    def __init__(self) -> None:
        self.said: list[oracle.Statement] = []
        self.totals: dict[oracle.Key, tuple[int, oracle.Total]] = {}
        self.lines: dict[oracle.Line, tuple[int, dict[str, int | None], tuple[str, ...]]] = {}
        self.floor = 0

    def cells(self, days: list[int], below: int, indicators: list[str]) -> pa.Table:
        """Give the newest statement below an offset of each cell of some days; of all indicators when none is named."""
        newest: dict[tuple[str, ...], oracle.Statement] = {}
        for one in self.said:
            day = parse(one.time_period).day
            if day in days and one.offset < below and (not indicators or one.indicator in indicators):
                key = (one.indicator, one.area, one.breakdown, one.time_period)
                newest[key] = max(newest.get(key, one), one, key=lambda s: s.version)
        rows = [
            {
                "indicator": one.indicator,
                "area": one.area,
                "breakdown": one.breakdown,
                "time_period": one.time_period,
                "day": parse(one.time_period).day,
                "ticks": one.value or 0,
                "base": one.base or 0,
                "status": STATUSES.index(one.status),
                "version": (one.revision << 40) + one.offset + 1,
            }
            for one in newest.values()
        ]
        return pa.Table.from_pylist(rows, schema=CELL_COLUMNS)

    def behind(self, next_offset: int) -> dict[tuple[int, str, str], list[str]]:
        """Name the lines and areas of which a flush beyond ``next_offset`` wrote totals."""
        lines: dict[tuple[int, str, str], list[str]] = {}
        for (bucket, indicator, area, breakdown), (version, _) in self.totals.items():
            if version > next_offset:
                lines.setdefault(((bucket - EPOCH).days, indicator, breakdown), []).append(area)
        return lines

    def write(self, partition: Partition, version: int, last: Step = "deletions") -> None:
        """Keep totals and lines of what was touched, and drop the rows that nothing accounts for.

        ``last`` is the last step of the flush that is done.
        """
        found = partition.reckon()
        days = partition.absent(partition.fallen_elsewhere())
        partition.load(days, self.cells(days, partition.flushed, []))
        found += partition.reckon_flipped()
        for row in total_rows(found, version).to_pylist():
            key = (row["bucket"], row["indicator"], row["area"], row["breakdown"])
            ticks = [None if row[n] is None else int(row[n] * 10_000) for n in ("value", "min", "max")]
            counts = [row[n] for n in ("areas_reported", "areas_expected", "cells")]
            self.totals[key] = (version, oracle.Total(*ticks, *counts, row["status"], tuple(row["flags"])))
        superfluous = partition.superfluous(found)
        if last == "totals":
            return
        if superfluous:
            self.floor = max(self.floor, version)
        if last == "floors":
            return
        for line in lines(found, version):
            said = decode_line(line.value)
            values = {a["area"]: None if a["value"] is None else int(a["value"] * 10_000) for a in said["areas"]}
            key = (said["bucket"], said["indicator"], said["breakdown"])
            assert line.key.decode() == "|".join(map(str, key))
            assert version >= self.lines.get(key, (0,))[0], "the last line of a key must be of the highest version"
            self.lines[key] = (version, values, tuple(said["flags"]))
        for day, indicator, breakdown, area in superfluous if last == "deletions" else ():
            del self.totals[EPOCH + dt.timedelta(days=day), indicator, area, breakdown]


def opened(catalogue: Catalogue, agency: str, store: Store, next_offset: int) -> Partition:
    """Open the partition where the ledger's prefix ends, as the aggregate agent does."""
    start = Position("gris.events.z", 0, next_offset, next_offset, 0, 0, "", "", 1)
    stored = {parse(one.time_period).day for one in store.said}
    partition = Partition(catalogue, agency, start, stored, itertools.count())
    partition.floor = max([store.floor, *(version for version, _ in store.totals.values())])
    behind = store.behind(next_offset)
    read_back(partition, store, partition.unknown_years_of(behind), [day for day, *_ in behind])
    partition.restore(behind)
    return partition


def read_back(partition: Partition, store: Store, years: dict[int, list[Indicator]], days: Iterable[int]) -> None:
    """Read back what is absent."""
    for year, indicators in years.items():
        codes = [indicator.code for indicator in indicators]
        partition.load_year(year, indicators, store.cells(partition.stored_in(year), partition.flushed, codes))
    absent = partition.absent(days)
    partition.load(absent, store.cells(absent, partition.flushed, []))
