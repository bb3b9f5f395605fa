"""Maps: which provinces and regions are in force together, and from which day to which."""

import dataclasses
import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from schemas.catalogue.entries import Area, Level


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class AreaMap:
    """The areas in force from ``valid_from`` until before ``valid_to``; None being open.

    An area's ordinal in the map is its place in ``areas``: provinces from 0 in the order of the files, then the nation,
    then the regions. ``position`` gives it by code; ``region_of`` gives per province the place of its region in
    ``regions``, or -1 when the nation is its parent.
    """

    ordinal: int
    valid_from: dt.date | None
    valid_to: dt.date | None
    provinces: tuple[Area, ...]
    nation: Area
    regions: tuple[Area, ...]
    areas: tuple[Area, ...] = dataclasses.field(init=False, repr=False)
    position: Mapping[str, int] = dataclasses.field(init=False, repr=False)
    region_of: tuple[int, ...] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        areas = (*self.provinces, self.nation, *self.regions)
        region = {area.code: place for place, area in enumerate(self.regions)}
        object.__setattr__(self, "areas", areas)
        object.__setattr__(self, "position", MappingProxyType({area.code: at for at, area in enumerate(areas)}))
        object.__setattr__(self, "region_of", tuple(region.get(area.parent, -1) for area in self.provinces))


def maps_of(areas: Sequence[Area]) -> tuple[AreaMap, ...]:
    """Cut time where any area begins or ends, and give the map of each stretch, earliest first; never empty.

    Stretches before the first province are left out: the first map holds for them. A later stretch without provinces
    (a gap, or the time after the last map) is a map of only the nation. ``areas`` must hold a nation.
    """
    bounds = {bound for area in areas for bound in (area.valid_from, area.valid_to) if bound is not None}
    edges = [dt.date.min, *sorted(bounds), dt.date.max]
    maps: list[AreaMap] = []
    for start, end in itertools.pairwise(edges):
        if start == end:  # an area that says it begins or ends at the edge of time
            continue
        here = [area for area in areas if area.in_force(start, end)]
        provinces = tuple(area for area in here if area.level is Level.PROVINCE)
        if not provinces and not maps and end != dt.date.max:
            continue
        regions = tuple(area for area in here if area.level is Level.REGION) if provinces else ()
        nation = next(area for area in (*here, *areas) if area.level is Level.NATION)
        valid_from = None if start == dt.date.min else start
        valid_to = None if end == dt.date.max else end
        maps.append(AreaMap(len(maps), valid_from, valid_to, provinces, nation, regions))
    return tuple(maps)
