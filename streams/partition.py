"""All that a worker knows of one partition: its place in the log, and the cubes of its buckets."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from schemas.catalogue import Catalogue, Indicator
from schemas.partition import partition_for
from schemas.rules import Accepted, Block
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.tail import Key, LineKey
from streams.cube import Cube, Statements
from streams.flags import Years, sum_mismatch, watches_sums, year_of
from streams.layout import Layout, lay_out
from streams.readback import statements_by_day
from streams.reckon import Part, Reckoning, nation_totals, settle, total, touched_parts, whole_indicator
from streams.totals import reduce_lines


def held_by(catalogue: Catalogue, agency: str, partition: int, partitions: int) -> list[Indicator]:
    """Name an agency's indicators whose events lie in one partition of its topic."""
    return [i for i in catalogue.owned_by(agency) if partition_for(i.code.encode(), partitions) == partition]


class Partition:
    """State of one partition between its opening from the ledger and its revocation."""

    def __init__(
        self, catalogue: Catalogue, agency: str, start: Position, stored: Iterable[int], uses: Iterator[int]
    ) -> None:
        self.agency = agency
        self.position = start
        """Counts of the whole prefix that is folded in; ahead of the ledger by what is not yet stored."""
        self.flushed = start.next_offset
        self.floor = 0
        """The highest version that any line may have; no flush before it, or a line's version would fall."""
        self.restoring: dict[LineKey, Sequence[str]] = {}
        """Lines of day_totals with their areas that a flush left behind the ledger; the next flush replaces them."""
        self.newest = 0
        """Broker time (ms) of the newest record read."""
        self.cubes: dict[int, Cube] = {}
        self.stored = set(stored)
        """Days of buckets of which ClickHouse holds statements of this partition."""
        self._catalogue = catalogue
        self._indicators = held_by(catalogue, agency, start.partition, start.partitions)
        self._layouts: dict[int, Layout] = {}
        self._years = Years()
        self._flipped: set[tuple[int, int]] = set()
        self._uses = uses
        self._cumulative = np.zeros(len(catalogue.indicators) + 1, np.bool_)
        for shape in lay_out(catalogue, self._indicators, catalogue.maps[0]).shapes:
            self._cumulative[[i.ordinal for i in shape.indicators]] = shape.cumulative

    @property
    def codes(self) -> list[str]:
        """Codes of the indicators whose events lie in this partition."""
        return [indicator.code for indicator in self._indicators]

    @property
    def due(self) -> bool:
        """Whether there is something to flush, and it may be."""
        return self.position.next_offset > self.flushed and self.position.next_offset >= self.floor

    def restore(self, lines: Mapping[LineKey, Sequence[str]]) -> None:
        """Have these lines written anew, whole, by the next flush.

        Their buckets, and the years of the cumulative indicators among them, must be in memory. A row is flagged
        together with its line: even under the same rules a flush that is cut off elsewhere may leave other flags.
        """
        self.restoring = dict(lines)
        for day, code, breakdown in lines:
            cube = self.cubes.get(day)
            if cube is None:
                cube = self.cubes[day] = self._cube_of(day)
            indicator = self._catalogue.by_code[code]
            if breakdown in indicator.breakdowns:
                width = int(cube.layout.width[indicator.ordinal])
                first = int(cube.layout.first_touch[indicator.ordinal]) + indicator.breakdowns.index(breakdown) * width
                cube.touched[first : first + width] = True

    def superfluous(self, reckoned: Iterable[Reckoning]) -> list[Key]:
        """Name the rows of restored lines that nothing accounts for any more: ``reckoned`` does not write them."""
        written: dict[LineKey, set[str]] = {}
        for one in reckoned:
            codes = one.codes
            for at, (day, rows) in enumerate(zip(one.days.tolist(), one.rows, strict=True)):
                line = (day, *one.names(at))
                if line in self.restoring:
                    written[line] = {codes[column] for column in np.flatnonzero(rows).tolist()}
        return [
            (*line, area)
            for line, areas in self.restoring.items()
            for area in areas
            if area not in written.get(line, ())
        ]

    # What must be read back before a fold.

    def absent(self, days: Iterable[int]) -> list[int]:
        """Name the days whose buckets are stored but not in memory."""
        return sorted(day for day in set(days) if day in self.stored and day not in self.cubes)

    def unknown_years(self, accepted: Accepted) -> dict[int, list[Indicator]]:
        """Name a block's cumulative indicators, by year, whose totals of the year's other buckets are not known."""
        at = np.flatnonzero(self._cumulative[accepted.indicator])
        return self._unknown_years(zip(accepted.indicator[at].tolist(), accepted.day[at].tolist(), strict=True))

    def unknown_years_of(self, lines: Iterable[LineKey]) -> dict[int, list[Indicator]]:
        """Name the same of lines that are to be restored."""
        said = ((self._catalogue.by_code[code].ordinal, day) for day, code, _ in lines)
        return self._unknown_years((indicator, day) for indicator, day in said if self._cumulative[indicator])

    def _unknown_years(self, said: Iterable[tuple[int, int]]) -> dict[int, list[Indicator]]:
        pairs = {(indicator, year_of(day)) for indicator, day in set(said)}
        unknown: dict[int, list[Indicator]] = {}
        for indicator, year in sorted(pair for pair in pairs if pair not in self._years):
            unknown.setdefault(year, []).append(self._catalogue.indicators[indicator])
        return unknown

    def stored_in(self, year: int) -> list[int]:
        """Name the days of a year of which ClickHouse holds statements."""
        return sorted(day for day in self.stored if year_of(day) == year)

    def load(self, days: Sequence[int], cells: pa.Table) -> None:
        """Make cubes of what ClickHouse holds of ``days`` below the flushed offset."""
        for day in days:
            self.cubes[day] = self._cube_of(day)
        for day, said in statements_by_day(self._catalogue, self._indicators, cells):
            self.cubes[day].load(said, self.flushed)
        for day in days:
            self._mark_flags(self.cubes[day])

    def load_year(self, year: int, indicators: Sequence[Indicator], cells: pa.Table) -> None:
        """Take VN's totals of cumulative ``indicators`` in all buckets of ``year`` from their stored cells."""
        for indicator in indicators:
            self._years.begin(indicator.ordinal, year)
        parts: list[Part] = []
        for day, said in statements_by_day(self._catalogue, self._indicators, cells):
            cube = self._cube_of(day)
            cube.load(said, self.flushed)
            parts += [whole_indicator(cube, indicator.ordinal) for indicator in indicators]
        for some, lines in total(parts):
            for one in nation_totals(some, lines):
                self._years.note(*one)

    def evictable(self) -> list[Cube]:
        """Name the cubes that ClickHouse can give back: stored to the last record, and with no total outstanding."""
        return [cube for cube in self.cubes.values() if cube.folded <= self.flushed and not cube.touched.any()]

    def evict(self, cube: Cube) -> None:
        """Forget a cube; its bucket is read back when an event touches it."""
        del self.cubes[cube.day]

    def stored_up_to(self, next_offset: int, days: Iterable[int]) -> None:
        """Note that a flush is complete: all below ``next_offset`` is in ClickHouse, ``days`` among it."""
        self.flushed = next_offset
        self.restoring = {}
        self.stored.update(days)

    # Folding and reckoning.

    def fold(self, block: Block, accepted: Accepted) -> None:
        """Fold what was accepted of a block into the cubes, which must all be in memory."""
        next_offset = int(block.offsets[-1]) + 1
        order = np.argsort(accepted.day, kind="stable")
        days, starts = np.unique(accepted.day[order], return_index=True)
        for day, rows in zip(days.tolist(), np.split(order, starts)[1:], strict=True):  # nothing accepted: no days
            cube = self.cubes.get(day)
            if cube is None:
                cube = self.cubes[day] = self._cube_of(day)
            cube.used = next(self._uses)
            cube.fold(
                Statements(
                    accepted.indicator[rows],
                    accepted.breakdown[rows],
                    accepted.area[rows],
                    accepted.slot[rows],
                    accepted.ticks[rows],
                    accepted.base[rows],
                    accepted.status[rows],
                    accepted.version[rows].astype(np.int64, copy=False),
                    block.timestamps[accepted.rows[rows]],
                ),
                next_offset,
            )

    def advance(self, block: Block, accepted: int, refused: int) -> None:
        """Move the position past a block and count it; offsets not delivered are counted where they are seen."""
        before = self.position
        next_offset = int(block.offsets[-1]) + 1
        gaps = np.diff(block.offsets, prepend=before.next_offset - 1) - 1
        self.position = dataclasses.replace(
            before,
            next_offset=next_offset,
            accepted=before.accepted + accepted,
            rejected=before.rejected + refused,
            skipped=before.skipped + int(gaps.sum()),
        )
        self.newest = int(block.timestamps[-1])

    def reckon(self) -> list[Reckoning]:
        """Total all touched lines and clear their marks.

        Lines of which only a flag changed, through another bucket, are left: ``fallen_elsewhere`` names their days.
        """
        touched = [cube for cube in self.cubes.values() if cube.touched.any()]
        totals = total([part for cube in touched for part in touched_parts(cube)])
        said = [one for parts, lines in totals if lines.shape.cumulative for one in nation_totals(parts, lines)]
        keys = {(indicator, year_of(day)) for indicator, day, _ in said}
        before = {key: self._years.fallen(key) for key in keys}
        for indicator, day, ticks in said:
            self._years.note(indicator, day, ticks)
        self._flipped = {(key[0], day) for key in keys for day in before[key] ^ self._years.fallen(key)}
        return [settle(parts, lines, self._years, self._flipped, self.newest) for parts, lines in totals]

    def fallen_elsewhere(self) -> set[int]:
        """Name the days whose lines must be written only because a flag of theirs changed."""
        return {day for _, day in self._flipped}

    def reckon_flipped(self) -> list[Reckoning]:
        """Total the lines that ``fallen_elsewhere`` speaks of; their buckets must be in memory."""
        parts = [whole_indicator(self.cubes[day], indicator) for indicator, day in sorted(self._flipped)]
        return [settle(some, lines, self._years, self._flipped, self.newest) for some, lines in total(parts)]

    def _mark_flags(self, cube: Cube) -> None:
        for shape in cube.layout.shapes:
            if watches_sums(shape) and cube.stale[shape.first_touch :][: shape.lines * shape.width].any():
                totals = reduce_lines([(cube, np.arange(shape.lines))], shape)
                flags = cube.mismatch[shape.first_line : shape.first_line + shape.lines]
                flags[:: shape.breakdowns] = sum_mismatch(totals)

    def _cube_of(self, day: int) -> Cube:
        at = self._catalogue.map_ordinal_on(day)
        layout = self._layouts.get(at)
        if layout is None:
            layout = self._layouts[at] = lay_out(self._catalogue, self._indicators, self._catalogue.maps[at])
        cube = Cube(layout, day)
        cube.used = next(self._uses)
        return cube
