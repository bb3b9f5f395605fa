"""The catalogue as a whole, and what is asked of it."""

import dataclasses
import datetime as dt
from bisect import bisect_right
from collections.abc import Mapping
from types import MappingProxyType

from schemas.catalogue.entries import Agency, Coverage, Holiday, Indicator, Regime
from schemas.catalogue.maps import AreaMap
from schemas.period import EPOCH


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """All entries, each in the order of its file; ``indicators`` and ``maps`` by ordinal.

    ``digest`` is the SHA-256 of the files' content in hexadecimal digits.
    """

    agencies: tuple[Agency, ...]
    indicators: tuple[Indicator, ...]
    maps: tuple[AreaMap, ...]
    regimes: tuple[Regime, ...]
    holidays: tuple[Holiday, ...]
    history: tuple[Coverage, ...]
    digest: str
    by_code: Mapping[str, Indicator] = dataclasses.field(init=False, repr=False)
    _agencies: dict[str, Agency] = dataclasses.field(init=False, repr=False)
    _regimes: dict[str, Regime] = dataclasses.field(init=False, repr=False)
    _owned: dict[str, tuple[Indicator, ...]] = dataclasses.field(init=False, repr=False)
    _closed: frozenset[dt.date] = dataclasses.field(init=False, repr=False)
    _changes: list[int] = dataclasses.field(
        init=False, repr=False
    )  # epoch days on which the second and later maps begin

    def __post_init__(self) -> None:
        owned = {
            agency.code: tuple(indicator for indicator in self.indicators if indicator.agency == agency.code)
            for agency in self.agencies
        }
        changes = [chart.valid_from.toordinal() - EPOCH for chart in self.maps[1:] if chart.valid_from is not None]
        by_code = {indicator.code: indicator for indicator in self.indicators}
        object.__setattr__(self, "by_code", MappingProxyType(by_code))
        object.__setattr__(self, "_agencies", {agency.code: agency for agency in self.agencies})
        object.__setattr__(self, "_regimes", {regime.code: regime for regime in self.regimes})
        object.__setattr__(self, "_owned", owned)
        object.__setattr__(self, "_closed", frozenset(holiday.day for holiday in self.holidays))
        object.__setattr__(self, "_changes", changes)

    def indicator(self, code: str) -> Indicator | None:
        """Find an indicator by its code."""
        return self.by_code.get(code)

    def agency(self, code: str) -> Agency | None:
        """Find an agency by its code."""
        return self._agencies.get(code)

    def regime(self, code: str) -> Regime | None:
        """Find a regime by its code."""
        return self._regimes.get(code)

    def owned_by(self, agency: str) -> tuple[Indicator, ...]:
        """List the indicators of an agency, by ordinal; none for an agency that is unknown."""
        return self._owned.get(agency, ())

    def map_ordinal_on(self, day: int) -> int:
        """Give the ordinal of the map in force on a day counted from 1970-01-01; before the first map, the first."""
        return bisect_right(self._changes, day)

    def map_on(self, day: dt.date) -> AreaMap:
        """Give the map in force on a local day."""
        return self.maps[bisect_right(self._changes, day.toordinal() - EPOCH)]

    def is_holiday(self, day: dt.date) -> bool:
        """Whether a local day is a public holiday; weekends are not."""
        return day in self._closed
