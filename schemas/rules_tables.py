"""The catalogue as numpy tables, and the few distinct texts of a block mapped to their rows.

Every ordinal table has one more row than the catalogue: the last one stands for "not in the catalogue", so that rows
already doomed can be carried along without a branch.
"""

import dataclasses
import datetime as dt

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.catalogue import Catalogue
from schemas.columns import arrow, bits, numbers
from schemas.partition import murmur2
from schemas.period import Calendar, PeriodError, parse

CEILING = 1e10  # always |value| < 10^10: Decimal(18,4) holds the sums of every province
SUBMISSION = r"\A[A-Za-z0-9._-]{1,64}\z"
CALENDARS = (Calendar.STATISTICAL, Calendar.ND09)
PERIODS_KEPT = 65_536  # distinct good texts remembered between blocks: 7 years of hours
DENSE = 1 << 22  # pairs of indicator and breakdown up to which one flat table answers
UNREADABLE = (-1, 0, 0, 0, 0, 0)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MILLISECOND = dt.timedelta(milliseconds=1)

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True)
class Distinct:
    """A text column by its distinct texts: ``at[row]`` is the place of a row's text in ``encoded.dictionary``."""

    encoded: pa.DictionaryArray
    at: Ints

    @classmethod
    def of(cls, column: pa.Array) -> "Distinct":
        """Encode a string column without nulls."""
        encoded = column.dictionary_encode()
        return cls(encoded, numbers(encoded.indices, np.int32))

    def texts(self) -> list[str]:
        """Give the distinct texts as Python has them."""
        found: list[str] = self.encoded.dictionary.to_pylist()
        return found

    def some(self, rows: Longs) -> list[str]:
        """Give the texts of some rows."""
        found: list[str] = self.encoded.dictionary.take(arrow(self.at[rows])).to_pylist()
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class Periods:
    """What each distinct time_period text means; ``frequency`` -1 where it means nothing.

    ``day`` is the bucket in days since 1970, ``starts[calendar]`` the window's begin in ms since 1970, ``map`` the map
    in force on the bucket.
    """

    frequency: Longs
    day: Longs
    slot: Longs
    starts: Longs
    map: Longs


class Breakdowns:
    """The ordinal of a breakdown in its indicator's list, for arrays of pairs; -1 where the indicator has it not."""

    def __init__(self, catalogue: Catalogue) -> None:
        names = dict.fromkeys(name for indicator in catalogue.indicators for name in indicator.breakdowns)
        self.ids = {name: at for at, name in enumerate(names)}
        self._width = len(self.ids) + 1
        pairs = {
            indicator.ordinal * self._width + self.ids[name]: at
            for indicator in catalogue.indicators
            for at, name in enumerate(indicator.breakdowns)
        }
        self._keys = np.array([*sorted(pairs), np.iinfo(np.int64).max], np.int64)
        self._ordinals = np.array([pairs.get(int(key), -1) for key in self._keys], np.int32)
        self._flat: Ints | None = None
        if (len(catalogue.indicators) + 1) * self._width <= DENSE:
            self._flat = np.full((len(catalogue.indicators) + 1) * self._width, -1, np.int32)
            self._flat[self._keys[:-1]] = self._ordinals[:-1]

    def ordinals(self, indicator: Ints, breakdown: Ints) -> Ints:
        """Look up pairs of an indicator's ordinal and a breakdown's id."""
        keys = indicator.astype(np.int64) * self._width + breakdown
        if self._flat is not None:
            found: Ints = self._flat[keys]
            return found
        at = np.searchsorted(self._keys, keys)
        return np.where(self._keys[at] == keys, self._ordinals[at], np.int32(-1))


class Tables:
    """Everything that the rules ask of a catalogue, addressed by ordinals."""

    def __init__(self, catalogue: Catalogue) -> None:
        known = catalogue.indicators
        self._catalogue = catalogue
        self._periods: dict[str, tuple[int, ...]] = {}
        self.indicators = {indicator.code: indicator.ordinal for indicator in known}
        self.unknown = len(known)
        self.frequency = np.array([*(i.frequency.ordinal for i in known), -2], np.int32)
        self.calendar = np.array([*(CALENDARS.index(i.calendar) for i in known), 0], np.int32)
        self.national = np.array([*(i.geography == "nation" for i in known), False], np.bool_)
        self.sums = np.array([*(i.geography == "province" and i.area_rollup == "sum" for i in known), False], np.bool_)
        self.needs_base = np.array([*(i.needs_base for i in known), False], np.bool_)
        below = float(np.nextafter(CEILING, 0))
        self.low = np.array([*(-below if i.min is None else max(i.min, -below) for i in known), -below], np.float64)
        self.high = np.array([*(below if i.max is None else min(i.max, below) for i in known), below], np.float64)
        self.scale = np.array([*(10.0**i.decimals for i in known), 1.0], np.float64)
        self.breakdowns = Breakdowns(catalogue)
        self._agencies = [i.agency for i in known]
        self._hashes = [murmur2(i.code.encode()) & 0x7FFFFFFF for i in known]
        codes = dict.fromkeys(area.code for map_ in catalogue.maps for area in map_.areas)
        self._area_ids = {code: at for at, code in enumerate(codes)}
        self.nation_id = self._area_ids[catalogue.maps[0].nation.code]
        self._areas = np.full(len(catalogue.maps) * (len(codes) + 1), -1, np.int32)
        for map_ in catalogue.maps:
            for code, ordinal in map_.position.items():
                self._areas[map_.ordinal * (len(codes) + 1) + self._area_ids[code]] = ordinal
        # In a map the provinces come first, then the nation, then the regions: one number tells them apart.
        self.nation = np.array([len(map_.provinces) for map_ in catalogue.maps], np.int32)

    def indicator_ordinals(self, texts: list[str]) -> Ints:
        """Map texts to ordinals, ``unknown`` where the catalogue has none."""
        return np.array([self.indicators.get(text, self.unknown) for text in texts], np.int32)

    def owned(self, ordinals: Ints, agency: str) -> Bools:
        """Say which indicators ``agency`` owns; nobody owns an unknown one."""
        owners = self._agencies
        return np.array([o < self.unknown and owners[o] == agency for o in ordinals.tolist()], np.bool_)

    def partitions(self, texts: list[str], ordinals: Ints, count: int) -> Longs:
        """Name the partition of each text in a topic of ``count``."""
        if count == 1:  # spares hashing what may be megabytes
            return np.zeros(len(texts), np.int64)
        hashes = [
            self._hashes[ordinal] if ordinal < self.unknown else murmur2(text.encode()) & 0x7FFFFFFF
            for text, ordinal in zip(texts, ordinals.tolist(), strict=True)
        ]
        return np.array(hashes, np.int64) % count

    def periods(self, texts: list[str]) -> Periods:
        """Map texts to what they mean."""
        found = np.array([self._period(text) for text in texts], np.int64).reshape(-1, len(UNREADABLE)).T
        return Periods(found[0], found[1], found[2], found[3:5], found[5])

    def area_ids(self, texts: list[str]) -> Ints:
        """Map texts to what ``areas_in`` takes."""
        nowhere = len(self._area_ids)
        return np.array([self._area_ids.get(text, nowhere) for text in texts], np.int32)

    def areas_in(self, map_: Ints, area_id: Ints) -> Ints:
        """Look up pairs of a map's ordinal and an area's id: the ordinal in the map, -1 where it has no such area."""
        found: Ints = self._areas[map_ * np.int32(len(self._area_ids) + 1) + area_id]
        return found

    def breakdown_ids(self, texts: list[str]) -> Ints:
        """Map texts to what ``breakdowns.ordinals`` takes."""
        ids = self.breakdowns.ids
        return np.array([ids.get(text, len(ids)) for text in texts], np.int32)

    def _period(self, text: str) -> tuple[int, ...]:
        # Only good texts are kept: there are finitely many, so no sender can make a block push out what others use.
        known = self._periods.get(text)
        if known is not None:
            return known
        try:
            period = parse(text)
        except PeriodError:
            return UNREADABLE
        starts = ((period.start(calendar) - EPOCH) // MILLISECOND for calendar in CALENDARS)
        map_ = self._catalogue.map_ordinal_on(period.day)
        known = (period.frequency.ordinal, period.day, period.slot, *starts, map_)
        if len(self._periods) >= PERIODS_KEPT:
            self._periods.clear()
        self._periods[text] = known
        return known


def good_submissions(texts: pa.Array) -> Bools:
    """Say which texts are a reference that an agency may use."""
    return bits(pc.match_substring_regex(texts, SUBMISSION))
