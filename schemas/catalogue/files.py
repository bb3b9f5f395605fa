"""Load the catalogue from its folder and check all that the platform leans on.

What only the bundled catalogue promises (its counts, names, sources) is checked by check.py in its folder.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path

from schemas.catalogue.catalogue import Catalogue
from schemas.catalogue.entries import (
    CODE,
    NATION,
    TOTAL,
    Agency,
    Area,
    Coverage,
    Holiday,
    Indicator,
    Kind,
    Level,
    Regime,
    Rollup,
)
from schemas.catalogue.maps import AreaMap, maps_of
from schemas.catalogue.tables import CatalogueError, Row, read_table, unique
from schemas.period import Calendar, Frequency
from schemas.reasons import quote

BUNDLED = Path(__file__).parent

AREA_COLUMNS = "code level parent name_vi name_en valid_from valid_to"
COLUMNS = {
    "agencies.csv": "code qcvn_code name_vi name_en kind standardised notes",  # and perhaps partitions
    "areas.csv": AREA_COLUMNS,
    "areas_2025.csv": f"{AREA_COLUMNS} merged_from",
    "indicators.csv": "code agency domain name_vi name_en kind area_rollup unit decimals min max frequency geography "
    "breakdowns channel connected_since regime basis",
    "regimes.csv": "code agency name_vi name_en legal_basis frequency calendar window_rule deadline_offset receives "
    "method form_code basis",
    "holidays.csv": "date name_vi name_en",
    "coverage_history.csv": "date indicators_total electronic connected direct_entry agencies_connected "
    "regimes_connected source note",
}

BREAKDOWN = re.compile(rf"{CODE.pattern}:{CODE.pattern}")
TICKS = 10_000
BOUND = Decimal(10**10)
MAX_DECIMALS = 4
MAX_PARTITIONS = (1 << 16) - 1  # the ledger counts partitions in 16 bits
# A day of 24 slots of values below 10^10 from this many provinces stays below the 10^14 of Decimal(18, 4).
MAX_PROVINCES = 400


def load(folder: Path | None = None) -> Catalogue:
    """Load the catalogue in ``folder``, or the bundled one; CatalogueError names the file, the row and the reason."""
    root = BUNDLED if folder is None else folder
    digest = hashlib.sha256()
    tables: dict[str, list[Row]] = {}
    for name in sorted(COLUMNS):
        try:
            content = (root / name).read_bytes()
        except OSError as error:
            raise CatalogueError(
                name, 0, f"cannot be read in {root} ({error.strerror}); check GRIS_CATALOGUE"
            ) from None
        digest.update(f"{name} {len(content)}\n".encode() + content)
        tables[name] = read_table(name, content, COLUMNS[name].split())
    agencies = _agencies(tables["agencies.csv"])
    regimes = _regimes(tables["regimes.csv"], agencies)
    return Catalogue(
        agencies=tuple(agencies.values()),
        indicators=_indicators(tables["indicators.csv"], agencies, regimes),
        maps=_maps(tables["areas.csv"] + tables["areas_2025.csv"]),
        regimes=tuple(regimes.values()),
        holidays=_holidays(tables["holidays.csv"]),
        history=_history(tables["coverage_history.csv"]),
        digest=digest.hexdigest(),
    )


def _agencies(rows: list[Row]) -> dict[str, Agency]:
    agencies: dict[str, Agency] = {}
    topics: dict[str, str] = {}
    for row in rows:
        code = row.code("code")
        # Kafka refuses a topic whose name differs from another's only in "." against "_".
        other = topics.setdefault(code.replace(".", "_"), code)
        if other != code:
            row.refuse(f"code {quote(code)} would name the same topic as {quote(other)}")
        if code in agencies:
            row.refuse(f"code {quote(code)} repeats an agency")
        agencies[code] = Agency(
            code=code,
            qcvn_code=row.text("qcvn_code"),
            name_vi=row.text("name_vi"),
            name_en=row.text("name_en"),
            kind=row.text("kind"),
            standardised=row.one_of("standardised", ("true", "false")) == "true",
            notes=row.text("notes"),
            partitions=row.whole("partitions", 1, MAX_PARTITIONS) if row.text("partitions") else 1,
        )
    return agencies


def _regimes(rows: list[Row], agencies: Mapping[str, Agency]) -> dict[str, Regime]:
    unique(rows, "code")
    regimes = {}
    for row in rows:
        receives = row.codes("receives")
        for code in receives:
            if code not in agencies:
                row.refuse(f"receives {quote(code)} is not in agencies.csv")
        regimes[row.code("code")] = Regime(
            code=row.code("code"),
            agency=row.reference("agency", agencies, "agencies.csv"),
            name_vi=row.text("name_vi"),
            name_en=row.text("name_en"),
            legal_basis=row.text("legal_basis"),
            frequency=row.member("frequency", Frequency),
            calendar=row.member("calendar", Calendar),
            window_rule=row.text("window_rule"),
            deadline_offset=row.optional_duration("deadline_offset"),
            receives=receives,
            method=row.one_of("method", ("stream", "form", "file")),
            form_code=row.text("form_code"),
            basis=row.text("basis"),
        )
    return regimes


def _indicators(
    rows: list[Row], agencies: Mapping[str, Agency], regimes: Mapping[str, Regime]
) -> tuple[Indicator, ...]:
    unique(rows, "code")
    indicators: list[Indicator] = []
    for row in rows:
        low, high = _bound(row, "min"), _bound(row, "max")
        if low is not None and high is not None and low > high:
            row.refuse(f"min {low} is above max {high}")
        regime = row.reference("regime", regimes, "regimes.csv") if row.text("regime") else None
        indicators.append(
            Indicator(
                ordinal=len(indicators),
                code=row.code("code"),
                agency=row.reference("agency", agencies, "agencies.csv"),
                domain=row.text("domain"),
                name_vi=row.text("name_vi"),
                name_en=row.text("name_en"),
                kind=row.member("kind", Kind),
                area_rollup=row.member("area_rollup", Rollup),
                unit=row.text("unit"),
                decimals=row.whole("decimals", 0, MAX_DECIMALS),
                min_ticks=None if low is None else int((low * TICKS).to_integral_value(ROUND_CEILING)),
                max_ticks=None if high is None else int((high * TICKS).to_integral_value(ROUND_FLOOR)),
                min=None if low is None else float(low),
                max=None if high is None else float(high),
                frequency=row.member("frequency", Frequency),
                geography=row.one_of("geography", ("nation", "province")),
                breakdowns=(TOTAL, *_breakdowns(row)),
                channel=row.one_of("channel", ("electronic", "direct_entry")),
                connected_since=row.optional_date("connected_since"),
                regime=regime,
                calendar=regimes[regime].calendar if regime else Calendar.STATISTICAL,
                basis=row.text("basis"),
            )
        )
    return tuple(indicators)


def _bound(row: Row, column: str) -> Decimal | None:
    bound = row.optional_decimal(column)
    if bound is not None and abs(bound) >= BOUND:
        row.refuse(f"{column} {quote(bound)} is not below 10^10 in size")
    return bound


def _breakdowns(row: Row) -> tuple[str, ...]:
    breakdowns = row.codes("breakdowns")
    for breakdown, times in Counter(breakdowns).items():
        if not BREAKDOWN.fullmatch(breakdown):
            row.refuse(f"breakdown {quote(breakdown)} is not like sex:F")
        if times > 1:
            row.refuse(f"breakdown {quote(breakdown)} is there {times} times")
    return breakdowns


def _maps(rows: list[Row]) -> tuple[AreaMap, ...]:
    areas = [_area(row) for row in rows]
    if not any(area.level is Level.NATION for area in areas):
        raise CatalogueError("areas.csv", 0, f"has no area {NATION} of level nation")
    by_code: dict[str, list[tuple[Row, Area]]] = {}
    for row, area in zip(rows, areas, strict=True):
        for before, other in by_code.setdefault(area.code, []):
            if _overlap(area, other):
                row.refuse(f"code {quote(area.code)} is valid at the same time in {before.file} row {before.number}")
        by_code[area.code].append((row, area))
    maps = maps_of(areas)
    places = {id(area): row for row, area in zip(rows, areas, strict=True)}
    for chart in maps:
        for count, province in enumerate(chart.provinces, 1):
            row = places[id(province)]
            if province.parent != NATION and province.parent not in {region.code for region in chart.regions}:
                row.refuse(f"parent {quote(province.parent)} is no region in force from {chart.valid_from or 'ever'}")
            if count > MAX_PROVINCES:
                row.refuse(f"is one province more than the {MAX_PROVINCES} in force together that sums have room for")
    return maps


def _area(row: Row) -> Area:
    area = Area(
        code=row.code("code"),
        level=row.member("level", Level),
        parent=row.text("parent"),
        name_vi=row.text("name_vi"),
        name_en=row.text("name_en"),
        valid_from=row.optional_date("valid_from"),
        valid_to=row.optional_date("valid_to"),
    )
    if (area.code == NATION) != (area.level is Level.NATION):
        row.refuse(f"code {quote(area.code)} of level {area.level}: the nation, and only it, is {NATION}")
    parent = "" if area.level is Level.NATION else NATION
    if area.level is not Level.PROVINCE and area.parent != parent:
        row.refuse(f"parent {quote(area.parent)} of a {area.level} is not {quote(parent)}")
    if area.valid_from and area.valid_to and area.valid_from >= area.valid_to:
        row.refuse(f"valid_from {area.valid_from} is not before valid_to {area.valid_to}")
    return area


def _overlap(one: Area, other: Area) -> bool:
    starts = [area.valid_from for area in (one, other) if area.valid_from]
    ends = [area.valid_to for area in (one, other) if area.valid_to]
    return not starts or not ends or max(starts) < min(ends)


def _holidays(rows: list[Row]) -> tuple[Holiday, ...]:
    unique(rows, "date")
    return tuple(Holiday(row.date("date"), row.text("name_vi"), row.text("name_en")) for row in rows)


def _history(rows: list[Row]) -> tuple[Coverage, ...]:
    unique(rows, "date")
    return tuple(
        Coverage(
            day=row.date("date"),
            indicators_total=row.optional_whole("indicators_total"),
            electronic=row.optional_whole("electronic"),
            connected=row.optional_whole("connected"),
            direct_entry=row.optional_whole("direct_entry"),
            agencies_connected=row.optional_whole("agencies_connected"),
            regimes_connected=row.optional_whole("regimes_connected"),
            source=row.text("source"),
            note=row.text("note"),
        )
        for row in rows
    )
