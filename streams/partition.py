"""All that a worker knows of one partition: its place in the log, and the cubes of its buckets."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.catalogue import Catalogue, Indicator
from schemas.partition import partition_for
from schemas.rules import Accepted, Block
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.tail import Key, LineKey
from streams.cube import Cube, Statements
from streams.flags import YearTotals, sum_mismatch, watches_sums
from streams.layout import Layout, Shape, lay_out
from streams.readback import statements_by_day
from streams.totals import Lines, reduce_lines

EPOCH = dt.date(1970, 1, 1)


def year_of(day: int) -> int:
    """Calendar year of an epoch day."""
    return (EPOCH + dt.timedelta(days=day)).year


def held_by(catalogue: Catalogue, agency: str, partition: int, partitions: int) -> list[Indicator]:
    """Name an agency's indicators whose events lie in one partition of its topic."""
    return [i for i in catalogue.owned_by(agency) if partition_for(i.code.encode(), partitions) == partition]


@dataclasses.dataclass(frozen=True, slots=True)
class Reckoning:
    """Totals of some lines of one cube, ready to be written.

    ``publish`` picks the lines to write; ``rows`` (lines by areas) the rows of them that changed. ``mismatch`` and
    ``falls`` are the two flags of each line; ``newest`` is the broker time (ms) of the newest record in each.
    """

    day: int
    layout: Layout
    totals: Lines
    publish: NDArray[np.bool_]
    rows: NDArray[np.bool_]
    mismatch: NDArray[np.bool_]
    falls: NDArray[np.bool_]
    newest: NDArray[np.int64]

    @property
    def codes(self) -> list[str]:
        """Area codes, by column."""
        areas = self.layout.map.areas if self.totals.shape.by_province else (self.layout.map.nation,)
        return [area.code for area in areas]

    def names(self, at: int) -> tuple[str, str]:
        """Name the indicator and breakdown of a line."""
        shape = self.totals.shape
        line = int(self.totals.line[at])
        indicator = shape.indicators[line // shape.breakdowns]
        return indicator.code, indicator.breakdowns[line % shape.breakdowns]


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
        """The highest version of any total stored; no flush before it, or a line's version would fall."""
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
        self._years: dict[tuple[int, int], YearTotals] = {}
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
            for at, rows in enumerate(one.rows):
                line = (one.day, *one.names(at))
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
        for indicator, year in sorted(pairs - self._years.keys()):
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
            self._years[indicator.ordinal, year] = YearTotals()
        wanted = {indicator.ordinal for indicator in indicators}
        for day, said in statements_by_day(self._catalogue, self._indicators, cells):
            cube = self._cube_of(day)
            cube.load(said, self.flushed)
            for shape in cube.layout.shapes:
                lines = np.array(
                    [n * shape.breakdowns for n, i in enumerate(shape.indicators) if i.ordinal in wanted], np.int64
                )
                if shape.cumulative and len(lines):
                    self._note_year(day, reduce_lines(cube, shape, lines))

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
        touched = [
            (cube, shape, marks)
            for cube in self.cubes.values()
            if cube.touched.any()
            for shape in cube.layout.shapes
            if (marks := _marks(cube, shape)).any()
        ]
        totals = [reduce_lines(cube, shape, _lines_to_total(shape, marks)) for cube, shape, marks in touched]
        before = self._fallen()
        for (cube, shape, _), lines in zip(touched, totals, strict=True):
            if shape.cumulative:
                self._note_year(cube.day, lines)
        flipped = {key: days ^ before.get(key, set()) for key, days in self._fallen().items()}
        self._flipped = {(indicator, day) for (indicator, _), days in flipped.items() for day in days}
        reckoned = []
        for (cube, shape, marks), lines in zip(touched, totals, strict=True):
            reckoned.append(self._settle(cube, shape, lines, marks))
            marks[:] = False
        return reckoned

    def fallen_elsewhere(self) -> set[int]:
        """Name the days whose lines must be written only because a flag of theirs changed."""
        return {day for _, day in self._flipped}

    def reckon_flipped(self) -> list[Reckoning]:
        """Total the lines that ``fallen_elsewhere`` speaks of; their buckets must be in memory."""
        reckoned = []
        for indicator, day in sorted(self._flipped):
            cube = self.cubes[day]
            shape = next(s for s in cube.layout.shapes if any(i.ordinal == indicator for i in s.indicators))
            at = [i.ordinal for i in shape.indicators].index(indicator)
            lines = np.arange(at * shape.breakdowns, (at + 1) * shape.breakdowns)
            marks = np.zeros((shape.lines, shape.width), np.bool_)
            reckoned.append(self._settle(cube, shape, reduce_lines(cube, shape, lines), marks))
        self._flipped = set()
        return reckoned

    def _settle(self, cube: Cube, shape: Shape, totals: Lines, marks: NDArray[np.bool_]) -> Reckoning:
        """Add flags to totals; choose the lines and rows to write: those touched, and all rows where a flag changed."""
        lines = totals.line
        width, columns = shape.width, totals.value.shape[1]
        touched = marks[lines]
        mismatch = np.zeros(len(lines), np.bool_)
        altered = np.zeros(len(lines), np.bool_)
        if watches_sums(shape):
            first = slice(0, None, shape.breakdowns)
            mismatch[first] = sum_mismatch(totals)
            known = cube.mismatch[shape.first_line + lines]
            altered = mismatch != known
            cube.mismatch[shape.first_line + lines] = mismatch
        falls = np.zeros(len(lines), np.bool_)
        if shape.cumulative:
            year = year_of(cube.day)
            for at, line in enumerate(lines.tolist()):
                if line % shape.breakdowns == 0:
                    ordinal = shape.indicators[line // shape.breakdowns].ordinal
                    falls[at] = cube.day in self._years[ordinal, year].fallen()
                    if (ordinal, cube.day) in self._flipped:
                        altered[at] = True
                        self._flipped.discard((ordinal, cube.day))
        rows = np.zeros((len(lines), columns), np.bool_)
        rows[:, :width] = touched
        if shape.by_province:
            regions = np.array(cube.layout.map.region_of)
            for region in range(columns - width):
                rows[:, width + region] = touched[:, :-1][:, regions == region].any(axis=1)
            rows[:, width - 1] |= touched.any(axis=1)
        rows |= altered[:, None]
        rows &= totals.said
        newest = cube.newest[shape.first_line + lines]
        newest = np.where(newest == 0, self.newest, newest)
        return Reckoning(cube.day, cube.layout, totals, touched.any(axis=1) | altered, rows, mismatch, falls, newest)

    def _note_year(self, day: int, totals: Lines) -> None:
        shape = totals.shape
        nation = shape.width - 1
        for at, line in enumerate(totals.line.tolist()):
            if line % shape.breakdowns == 0:
                ordinal = shape.indicators[line // shape.breakdowns].ordinal
                total = int(totals.value[at, nation]) if totals.valued[at, nation] else None
                self._years[ordinal, year_of(day)].note(day, total)

    def _fallen(self) -> dict[tuple[int, int], set[int]]:
        return {key: totals.fallen() for key, totals in self._years.items()}

    def _mark_flags(self, cube: Cube) -> None:
        for shape in cube.layout.shapes:
            if watches_sums(shape) and cube.stale[shape.first_touch :][: shape.lines * shape.width].any():
                totals = reduce_lines(cube, shape, np.arange(shape.lines))
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


def _marks(cube: Cube, shape: Shape) -> NDArray[np.bool_]:
    """Return a view ``[lines, areas]`` of the cube's marks for a shape."""
    return cube.touched[shape.first_touch : shape.first_touch + shape.lines * shape.width].reshape(
        shape.lines, shape.width
    )


def _lines_to_total(shape: Shape, marks: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Name the touched lines; with all breakdowns of their indicators where sums are compared."""
    touched = np.flatnonzero(marks.any(axis=1))
    if not watches_sums(shape):
        return touched
    indicators = np.unique(touched // shape.breakdowns)
    return np.asarray((indicators[:, None] * shape.breakdowns + np.arange(shape.breakdowns)).ravel())
