"""From touched cells to lines ready to be written: totals, flags, and which lines and rows changed. Pure.

Lines of one shape are reckoned together over all buckets of a map: a replay in no order touches few lines in each of
many buckets, and numpy wants many rows at once.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from streams.cube import Cube
from streams.flags import Years, sum_mismatch, watches_sums
from streams.layout import Layout, Shape
from streams.totals import Lines, reduce_lines

# What is needed while lines are totalled is many times what they come to.
LINES_AT_ONCE = 2048


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """What of a shape of a cube is to be totalled: ``lines`` by position in it, ``touched`` ``[lines, areas]``."""

    cube: Cube
    shape: Shape
    lines: NDArray[np.int64]
    touched: NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True)
class Reckoning:
    """Totals of lines of one shape, ready to be written.

    ``days`` are the buckets of the lines. ``publish`` picks the lines to write; ``rows`` (lines by areas) the rows of
    them that changed. ``mismatch`` and ``falls`` are the two flags of each line; ``newest`` is the broker time (ms) of
    the newest record in each.
    """

    layout: Layout
    totals: Lines
    days: NDArray[np.int64]
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

    def newest_by_indicator(self) -> Iterator[tuple[str, int]]:
        """Give the codes of the indicators that have lines to write, and when (ms) the newest record came."""
        shape = self.totals.shape
        at = np.flatnonzero(self.publish)
        newest = np.zeros(len(shape.indicators), np.int64)
        np.maximum.at(newest, self.totals.line[at] // shape.breakdowns, self.newest[at])
        for place in np.flatnonzero(newest).tolist():
            yield shape.indicators[place].code, int(newest[place])


def touched_parts(cube: Cube) -> Iterator[Part]:
    """Name what was touched, with all breakdowns of an indicator where sums are compared, and clear the marks."""
    for shape in cube.layout.shapes:
        marks = cube.touched[shape.first_touch : shape.first_touch + shape.lines * shape.width]
        marks = marks.reshape(shape.lines, shape.width)
        lines = np.flatnonzero(marks.any(axis=1))
        if not len(lines):
            continue
        if watches_sums(shape) and shape.breakdowns > 1:
            indicators = np.unique(lines // shape.breakdowns)
            lines = (indicators[:, None] * shape.breakdowns + np.arange(shape.breakdowns)).ravel()
        yield Part(cube, shape, lines, marks[lines])
    cube.touched[:] = False


def whole_indicator(cube: Cube, ordinal: int) -> Part:
    """Name all lines of one indicator, none of them touched."""
    for shape in cube.layout.shapes:
        for at, indicator in enumerate(shape.indicators):
            if indicator.ordinal == ordinal:
                lines = np.arange(at * shape.breakdowns, (at + 1) * shape.breakdowns)
                return Part(cube, shape, lines, np.zeros((len(lines), shape.width), np.bool_))
    raise LookupError(f"indicator {ordinal} is not laid out in this bucket")


def total(parts: Sequence[Part]) -> list[tuple[Sequence[Part], Lines]]:
    """Total parts, those of one shape and map together."""
    return [(group, reduce_lines([(p.cube, p.lines) for p in group], group[0].shape)) for group in _alike(parts)]


def _alike(parts: Sequence[Part]) -> list[list[Part]]:
    """Group parts of one shape and map, as many as come to LINES_AT_ONCE."""
    groups: list[list[Part]] = []
    filling: dict[tuple[int, int], tuple[list[Part], int]] = {}
    for part in parts:
        place = (id(part.cube.layout), part.shape.first_line)
        group, lines = filling.get(place, ([], 0))
        if not group or lines >= LINES_AT_ONCE:
            group, lines = [], 0
            groups.append(group)
        group.append(part)
        filling[place] = group, lines + len(part.lines)
    return groups


def nation_totals(parts: Sequence[Part], totals: Lines) -> Iterator[tuple[int, int, int | None]]:
    """Give VN's total of each `_T` line: the indicator's ordinal, the day, ticks or None."""
    shape = totals.shape
    nation = shape.width - 1
    days = _days(parts)
    for at in np.flatnonzero(totals.line % shape.breakdowns == 0).tolist():
        ordinal = shape.indicators[int(totals.line[at]) // shape.breakdowns].ordinal
        yield ordinal, int(days[at]), int(totals.value[at, nation]) if totals.valued[at, nation] else None


def settle(
    parts: Sequence[Part], totals: Lines, years: Years, flipped: set[tuple[int, int]], newest_ms: int
) -> Reckoning:
    """Add flags to totals; choose the lines and rows to write: those touched, and all rows where a flag changed.

    ``flipped`` names (indicator, day) whose NOT_MONOTONE changed; those that are among ``parts`` are taken out of it.
    """
    shape, layout = totals.shape, parts[0].cube.layout
    days = _days(parts)
    touched = np.concatenate([part.touched for part in parts])
    any_touched = touched.any(axis=1)
    mismatch, altered, falls = (np.zeros(len(days), np.bool_) for _ in range(3))
    if watches_sums(shape):
        mismatch[:: shape.breakdowns] = sum_mismatch(totals)
        known = np.concatenate([part.cube.mismatch[shape.first_line + part.lines] for part in parts])
        altered = mismatch != known
        for part, now in zip(parts, np.split(mismatch, _ends(parts)), strict=True):
            part.cube.mismatch[shape.first_line + part.lines] = now
    if shape.cumulative:
        for at in np.flatnonzero(totals.line % shape.breakdowns == 0).tolist():
            place = (shape.indicators[int(totals.line[at]) // shape.breakdowns].ordinal, int(days[at]))
            falls[at] = years.falls(*place)
            altered[at] |= place in flipped
            flipped.discard(place)
    rows = np.zeros(totals.value.shape, np.bool_)
    rows[:, : shape.width] = touched
    if shape.by_province:
        regions = np.array(layout.map.region_of)
        for region in range(len(layout.map.regions)):
            rows[:, shape.width + region] = touched[:, :-1][:, regions == region].any(axis=1)
        rows[:, shape.width - 1] |= any_touched
    rows |= altered[:, None]
    rows &= totals.said
    newest = np.concatenate([part.cube.newest[shape.first_line + part.lines] for part in parts])
    newest = np.where(newest == 0, newest_ms, newest)
    return Reckoning(layout, totals, days, any_touched | altered, rows, mismatch, falls, newest)


def _days(parts: Sequence[Part]) -> NDArray[np.int64]:
    return np.repeat(np.array([part.cube.day for part in parts]), [len(part.lines) for part in parts])


def _ends(parts: Sequence[Part]) -> NDArray[np.int64]:
    return np.cumsum([len(part.lines) for part in parts])[:-1]
