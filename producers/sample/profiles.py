"""What is believable of each indicator: its size in the whole country, its week, its parts, how it is first reported.

Sizes are of the years 2020-2026 in general, from common knowledge, not from any source: the sample is fiction. An
indicator that is not here, or not with this unit, gets a profile made from its bounds.
"""

import dataclasses
import enum
from collections.abc import Mapping

from schemas.catalogue import Indicator, Kind
from schemas.period import Frequency


class Model(enum.Enum):
    """How the figures behave."""

    AMOUNT = enum.auto()  # a share of a national size, with a week, a season and chance
    WATER = enum.auto()  # a station's level, with tides
    RAIN = enum.auto()  # mostly nothing, then showers
    AIR = enum.auto()  # worse in the rush hours
    HEAT = enum.auto()  # warmer in the south, cooler in winter
    WALK = enum.auto()  # wanders around a size, one figure for all or close to it in each area


class Week(enum.Enum):
    """How active the days of a week are, Monday to Sunday; holidays count as Sundays."""

    FLAT = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    OFFICE = (1.1, 1.05, 1.0, 1.0, 0.95, 0.12, 0.06)
    TRADE = (0.95, 1.05, 1.05, 1.05, 1.1, 0.85, 0.55)
    HEALTH = (1.1, 1.05, 1.05, 1.0, 1.0, 0.85, 0.7)
    POWER = (1.02, 1.03, 1.03, 1.03, 1.02, 0.98, 0.88)
    AUCTION = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)


class Spread(enum.Enum):
    """How provinces share a national size."""

    PEOPLE = 1.0
    BUSINESS = 1.7  # large provinces take more than their people's share
    PORTS = 1.2  # coastal provinces only


@dataclasses.dataclass(frozen=True, slots=True)
class Profile:
    """The believable of one indicator.

    ``size`` is national, for one bucket (a whole day, a month; of a cumulative: what one month adds). ``swing`` is the
    relative noise, ``season`` the relative amplitude over a year (December highest), ``parts`` the breakdowns' shares.
    ``base`` is the nation's denominator of a ratio. ``first`` is the status of a first report; ``confirmed`` says that
    a revision A follows it.
    """

    unit: str
    size: float
    model: Model = Model.AMOUNT
    week: Week = Week.FLAT
    spread: Spread = Spread.PEOPLE
    swing: float = 0.08
    season: float = 0.0
    parts: Mapping[str, float] = dataclasses.field(default_factory=dict)
    first: str = "A"
    confirmed: bool = False
    base: float = 0.0


_MODES = {"ROAD": 0.74, "INLAND_WATER": 0.2, "SEA": 0.05, "RAIL": 0.008, "AIR": 0.002}
_OWNERS = {"DOMESTIC": 0.26, "FDI": 0.74}
_BUDGETS = {"CENTRAL": 0.3, "LOCAL": 0.7}
_POWER = {"HYDRO": 0.27, "COAL": 0.47, "GAS": 0.08, "SOLAR": 0.09, "WIND": 0.04, "OTHER": 0.02, "IMPORT": 0.03}
_REVENUE = {"DOMESTIC": 0.84, "CUSTOMS": 0.13, "CRUDE_OIL": 0.028, "GRANTS": 0.002}
_EXPENDITURE = {"RECURRENT": 0.58, "CAPITAL": 0.3, "OTHER": 0.07, "DEBT_INTEREST": 0.05}

PROFILES: Mapping[str, Profile] = {
    "G02.001": Profile(
        "GWh", 890.0, week=Week.POWER, swing=0.025, season=-0.08, parts=_POWER, first="P", confirmed=True
    ),
    "G04.001": Profile("kt", 238_000.0, swing=0.04, season=0.06, parts=_MODES, first="E", confirmed=True),
    "G04.002": Profile(
        "thousand_passengers", 470_000.0, swing=0.05, season=0.05, parts=_MODES, first="E", confirmed=True
    ),
    "G04.003": Profile(
        "kt",
        74_000.0,
        spread=Spread.PORTS,
        swing=0.05,
        season=0.04,
        parts={"IMPORT": 0.29, "EXPORT": 0.26, "DOMESTIC": 0.41, "TRANSIT": 0.04},
    ),
    "G04.004": Profile("percent", 82.0, Model.WALK, swing=0.05, base=1_050.0),
    "G05.001": Profile(
        "usd_mn",
        2_850.0,
        spread=Spread.BUSINESS,
        swing=0.3,
        parts={"NEW": 0.5, "ADJUSTED": 0.36, "SHARES": 0.14},
        first="P",
    ),
    "G05.002": Profile("usd_mn", 2_150.0, swing=0.06, season=0.05, first="P"),
    "G05.003": Profile("vnd_bn", 58_000.0, swing=0.15, season=0.25, parts=_BUDGETS, first="P"),
    "G05.004": Profile("enterprises", 790.0, week=Week.OFFICE, spread=Spread.BUSINESS, swing=0.1),
    "G05.005": Profile("points", 103.4, Model.WALK, swing=0.004),
    "G12.001": Profile(
        "vnd_bn",
        9_600.0,
        week=Week.OFFICE,
        spread=Spread.BUSINESS,
        swing=0.2,
        season=0.08,
        parts=_REVENUE,
        first="P",
        confirmed=True,
    ),
    "G12.002": Profile(
        "vnd_bn", 8_700.0, week=Week.OFFICE, swing=0.2, season=0.2, parts=_EXPENDITURE, first="P", confirmed=True
    ),
    "G12.003": Profile(
        "usd_mn",
        1_290.0,
        week=Week.TRADE,
        spread=Spread.BUSINESS,
        swing=0.12,
        season=0.06,
        parts=_OWNERS,
        first="P",
        confirmed=True,
    ),
    "G12.004": Profile(
        "usd_mn",
        1_230.0,
        week=Week.TRADE,
        spread=Spread.BUSINESS,
        swing=0.12,
        season=0.05,
        parts=_OWNERS,
        first="P",
        confirmed=True,
    ),
    "G12.005": Profile("vnd_bn", 2_600.0, week=Week.OFFICE, swing=0.25, season=0.3, parts=_BUDGETS),
    "G12.006": Profile("vnd_bn", 9_500.0, week=Week.AUCTION, swing=0.2),
    "G12.007": Profile("points", 1_650.0, Model.WALK, swing=0.03),
    "G13.001": Profile("m", 12.0, Model.WATER, first="P", confirmed=True),
    "G13.002": Profile("mm", 0.25, Model.RAIN, first="P", confirmed=True),
    "G13.003": Profile("points", 72.0, Model.AIR, swing=0.25, first="P", confirmed=True),
    "G13.004": Profile("Cel", 30.0, Model.HEAT, swing=0.05),
    "G13.005": Profile("certificates", 118_000.0, swing=0.1),
    "G14.001": Profile("documents", 46_000.0, week=Week.OFFICE, swing=0.08, parts={"SENT": 0.42, "RECEIVED": 0.58}),
    "G14.002": Profile("transactions", 2_900_000.0, week=Week.TRADE, swing=0.05),
    "G14.003": Profile(
        "incidents", 28.0, week=Week.TRADE, parts={"PHISHING": 0.55, "MALWARE": 0.3, "DEFACEMENT": 0.15}
    ),
    "G14.004": Profile("subscriptions", 126_000_000.0, swing=0.003),
    "G14.005": Profile("items", 285_000_000.0, spread=Spread.BUSINESS, swing=0.05, season=0.12),
    "G18.001": Profile(
        "cases",
        46.0,
        week=Week.HEALTH,
        spread=Spread.BUSINESS,
        swing=0.2,
        parts={"LOCAL": 0.93, "IMPORTED": 0.07},
        first="P",
    ),
    "G18.002": Profile("cases", 41.0, week=Week.HEALTH, spread=Spread.BUSINESS, swing=0.2),
    "G18.003": Profile("cases", 0.7, week=Week.HEALTH, swing=0.2),
    "G18.004": Profile("persons", 940.0, swing=0.06, parts={"HOSPITAL": 0.55, "HOME": 0.37, "FACILITY": 0.08}),
    "G18.005": Profile("tests", 4_600.0, week=Week.HEALTH, spread=Spread.BUSINESS, swing=0.12),
    "G18.006": Profile("cases", 430.0, week=Week.HEALTH, swing=0.15, season=0.3),
}

_AREAS = 40.0  # a province's share when nothing is known: the bounds are of one area


def profile_of(indicator: Indicator) -> Profile:
    """Give the profile written for the indicator, or one made from its bounds, kind and breakdowns."""
    found = PROFILES.get(indicator.code)
    if found is not None and found.unit == indicator.unit:
        return found
    low = indicator.min if indicator.min is not None else 0.0
    high = indicator.max if indicator.max is not None else max(1_000.0, low * 2.0 + 1_000.0)
    middle = low + (high - low) * 0.4
    if indicator.kind not in {Kind.FLOW, Kind.STOCK, Kind.CUMULATIVE}:
        return Profile(indicator.unit, middle, Model.WALK, swing=0.05, base=1_000.0)
    # An amount of a thousandth of what an area may say, but never below what it must say.
    area = max(low * 3.0, low + (high - low) * 0.02)
    size = area * (_AREAS if indicator.geography == "province" else 1.0)
    if indicator.kind is Kind.CUMULATIVE:
        size /= 12.0
    week = Week.TRADE if indicator.frequency is Frequency.DAILY and indicator.kind is Kind.FLOW else Week.FLAT
    return Profile(indicator.unit, size, week=week)
