#!/usr/bin/env python3
"""Check the reference catalogue beside this file.

Run: python3 check.py [DIRECTORY]
Exit status 0 when every rule holds. Otherwise each broken rule is printed
as "FILE row N: what is wrong" (row 1 is the header) and the status is 1.
"""

import csv
import datetime as dt
import io
import pathlib
import re
import sys
import unicodedata
from collections import Counter
from decimal import Decimal, InvalidOperation

HEADERS = {
    "agencies.csv": "code,qcvn_code,name_vi,name_en,kind,standardised,notes",
    "areas.csv": "code,level,parent,name_vi,name_en,valid_from,valid_to",
    "areas_2025.csv": "code,level,parent,name_vi,name_en,valid_from,valid_to,merged_from",
    "indicators.csv": "code,agency,domain,name_vi,name_en,kind,area_rollup,unit,decimals,min,max,"
    "frequency,geography,breakdowns,channel,connected_since,regime,basis",
    "regimes.csv": "code,agency,name_vi,name_en,legal_basis,frequency,calendar,"
    "window_rule,deadline_offset,receives,method,form_code,basis",
    "holidays.csv": "date,name_vi,name_en",
    "coverage_history.csv": "date,indicators_total,electronic,connected,direct_entry,"
    "agencies_connected,regimes_connected,source,note",
}

SNAPSHOT = "2020-06-05"
MERGER = "2025-07-01"
NAMED_IN_SOURCE = {"g04", "g05", "g12", "g13", "g14", "g18"}

REGION_2020 = {
    "R1": "02 04 06 08 10 11 12 14 15 17 19 20 24 25",
    "R2": "01 22 26 27 30 31 33 34 35 36 37",
    "R3": "38 40 42 44 45 46 48 49 51 52 54 56 58 60",
    "R4": "62 64 66 67 68",
    "R5": "70 72 74 75 77 79",
    "R6": "80 82 83 84 86 87 89 91 92 93 94 95 96",
}
REGION_2025 = {
    "R7": "04 08 11 12 14 15 19 20 25",
    "R8": "01 22 24 31 33 37",
    "R9": "38 40 42 44 46",
    "R10": "48 51 52 56 66 68",
    "R11": "75 79 80",
    "R12": "82 86 91 92 96",
}

KINDS = {"flow", "stock", "level", "ratio", "index", "cumulative"}
ADDITIVE = {"flow", "stock", "cumulative"}
AREA_ROLLUPS = {
    "flow": {"sum", "mean"},
    "stock": {"sum"},
    "cumulative": {"sum"},
    "level": {"mean"},
    "ratio": {"weighted_mean"},
    "index": {"none"},
}
FREQUENCIES = {"hourly", "six_hourly", "daily", "monthly", "quarterly", "semiannual", "annual"}
FAST = {"hourly", "six_hourly", "daily"}
UNITS = set(
    """
    Cel GWh MW applications cards cases certificates children_per_woman coefficient
    contracts cooperatives days documents dossiers dwellings enterprises ha head households
    incidents inspections items km kt m males_per_100_females mm packages per_10000 per_mille
    percent percent_capacity percent_gdp percent_pa percent_plan percent_yoy percent_ytd
    percentage_points permits persons petitions points projects publications registrations
    schools storms subscriptions tasks tests thousand_ha thousand_m3 thousand_passengers
    thousand_persons times transactions treaties trips usd_mn vehicles visitors visits vnd_bn
    vnd_mn_per_person vnd_mn_per_worker vnd_per_litre vnd_per_usd years
    """.split()  # noqa: SIM905 - reads better than a quoted list
)
DIMENSIONS = set(
    """
    activity applicant attack budget capital care cargo commodity crop customer direction
    expenditure gate grade industry infection mode origin ownership petition place reservoir
    residence revenue scheme season sector sender sex site source stay
    """.split()  # noqa: SIM905 - reads better than a quoted list
)
SATURDAY = 5
TET_WORKING_DAYS = 5
WHOLE = 100  # percent
BASIS = {"sourced", "illustrative"}

TET = {2020: "01-25", 2021: "02-12", 2022: "02-01", 2023: "01-22", 2024: "02-10", 2025: "01-29", 2026: "02-17"}
HUNG_KINGS = {2020: "04-02", 2021: "04-21", 2022: "04-10", 2023: "04-29", 2024: "04-18", 2025: "04-07", 2026: "04-26"}

DURATION = re.compile(r"P(?=.)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?)?")

Record = dict[str, str]
Records = list[tuple[int, Record]]

problems: list[str] = []


def fail(name: str, row: int, text: str) -> None:
    """Note a broken rule; row 0 means the file as a whole."""
    problems.append(f"{name} row {row}: {text}" if row else f"{name}: {text}")


def load(root: pathlib.Path, name: str) -> Records:  # noqa: C901 - a list of rules
    """Return [(row number, record)] and report defects of the file itself."""
    try:
        raw = (root / name).read_bytes()
    except OSError as error:
        fail(name, 0, f"cannot be read ({error.strerror})")
        return []
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        fail(name, 0, f"is not UTF-8 at byte {error.start}")
        return []
    if text.startswith("\ufeff"):
        fail(name, 1, "starts with a byte order mark")
    if "\r" in text:
        fail(name, text[: text.index("\r")].count("\n") + 1, "has a carriage return")
    if not text.endswith("\n"):
        fail(name, text.count("\n") + 1, "does not end with a line feed")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        fail(name, 0, f"is not valid CSV ({error})")
        return []
    header = HEADERS[name].split(",")
    if not rows or rows[0] != header:
        fail(name, 1, f"header is not {HEADERS[name]}")
        return []
    records = []
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            fail(name, number, f"has {len(row)} fields, not {len(header)}")
            continue
        for column, value in zip(header, row, strict=True):
            if value != value.strip() or "  " in value or "\n" in value:
                fail(name, number, f"{column} has stray white space")
            if value != unicodedata.normalize("NFC", value):
                fail(name, number, f"{column} is not in Unicode NFC")
        records.append((number, dict(zip(header, row, strict=True))))
    return records


def count(name: str, what: str, found: int, wanted: int) -> None:
    """Hold a number to the one that must be."""
    if found != wanted:
        fail(name, 0, f"{what}: {found}, not {wanted}")


def at_least(name: str, what: str, found: int, wanted: int) -> None:
    """Hold a number to the least that must be."""
    if found < wanted:
        fail(name, 0, f"{what}: {found}, fewer than {wanted}")


def unique(name: str, records: Records, *columns: str) -> None:
    """Let no two rows have the same cells in the columns."""
    seen: dict[tuple[str, ...], int] = {}
    for number, record in records:
        key = tuple(record[column] for column in columns)
        if key in seen:
            fail(name, number, f"{'+'.join(columns)} {'/'.join(key)} repeats row {seen[key]}")
        seen.setdefault(key, number)


def filled(name: str, records: Records, *columns: str) -> None:
    """Let no cell of the columns be empty."""
    for number, record in records:
        for column in columns:
            if not record[column]:
                fail(name, number, f"{column} is empty")


def one_of(name: str, records: Records, column: str, allowed: set[str]) -> None:
    """Let every cell of the column be one of a few words."""
    for number, record in records:
        if record[column] not in allowed:
            fail(name, number, f"{column} {record[column]!r} is not one of {', '.join(sorted(allowed))}")


def is_date(text: str) -> bool:
    """Whether the text is a date like 2020-06-05."""
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def check_agencies(records: Records) -> dict[str, Record]:
    """Check agencies.csv; return its rows by code."""
    name = "agencies.csv"
    unique(name, records, "code")
    unique(name, records, "name_vi")
    unique(name, records, "name_en")
    filled(name, records, "code", "name_vi", "name_en")
    one_of(name, records, "kind", {"ministry", "ministerial_agency", "other"})
    one_of(name, records, "standardised", {"true", "false"})
    inside = [record for _, record in records if record["kind"] != "other"]
    count(name, "ministries and ministerial agencies", len(inside), 22)
    count(name, "ministries", sum(r["kind"] == "ministry" for r in inside), 18)
    count(name, "standardised", sum(r["standardised"] == "true" for _, r in records), 20)
    for number, record in records:
        code, other = record["code"], record["kind"] == "other"
        if not re.fullmatch(r"x\d\d" if other else r"g\d\d", code):
            fail(name, number, f"code {code!r} does not fit its kind")
        wanted = "" if other else f"000.00.00.{code.upper()}"
        if record["qcvn_code"] != wanted:
            fail(name, number, f"qcvn_code {record['qcvn_code']!r} is not {wanted!r}")
        if other and record["standardised"] == "true":
            fail(name, number, "is outside the 22 and cannot be standardised")
        if not other and record["standardised"] == "false" and "illustrative" not in record["notes"]:
            fail(name, number, "is marked not standardised without saying it is illustrative")
    if {r["code"] for r in inside} != {f"g{n:02d}" for n in range(1, 23)}:
        fail(name, 0, "codes are not g01..g22")
    return {record["code"]: record for _, record in records}


def check_areas(records: Records, name: str, regions: dict[str, str], start: str, end: str) -> set[str]:  # noqa: C901 - a list of rules
    """Check one map; return the codes of its provinces."""
    unique(name, records, "code")
    filled(name, records, "code", "name_vi", "name_en")
    one_of(name, records, "level", {"nation", "region", "province"})
    levels = {record["code"]: record["level"] for _, record in records}
    wanted = {p: region for region, members in regions.items() for p in members.split()}
    for number, record in records:
        code, level, parent = record["code"], record["level"], record["parent"]
        if level == "nation":
            if (code, parent) != ("VN", ""):
                fail(name, number, "the nation must be VN without a parent")
        elif level == "region":
            if code not in regions or parent != "VN":
                fail(name, number, f"region {code} under {parent!r} is not expected")
        elif levels.get(parent) != "region":
            fail(name, number, f"parent {parent!r} is not a region of this file")
        elif wanted.get(code) != parent:
            fail(name, number, f"province {code} belongs to {wanted.get(code)}, not {parent}")
        if level != "nation" and (record["valid_from"], record["valid_to"]) != (start, end):
            fail(name, number, f"validity is not {start} to {end or 'open'}")
        if not record["name_en"].isascii():
            fail(name, number, "name_en is not plain ASCII")
    found = {code for code, level in levels.items() if level == "province"}
    for code in sorted(set(wanted) - found):
        fail(name, 0, f"province {code} is missing")
    count(name, "provinces", len(found), len(wanted))
    count(name, "regions", sum(level == "region" for level in levels.values()), len(regions))
    return found


def check_merger(records: Records, old: set[str]) -> None:
    """Check that every old province goes to one new one."""
    name = "areas_2025.csv"
    heirs: dict[str, int] = {}
    for number, record in records:
        parts = record["merged_from"].split(";") if record["merged_from"] else []
        if record["level"] != "province":
            if parts:
                fail(name, number, "only a province can have merged_from")
            continue
        if parts != sorted(parts) or record["code"] not in parts:
            fail(name, number, "merged_from is not sorted or lacks the province's own code")
        for part in parts:
            if part not in old:
                fail(name, number, f"merged_from {part} is not a province of areas.csv")
            if part in heirs:
                fail(name, number, f"{part} is already merged in row {heirs[part]}")
            heirs[part] = number
    for code in sorted(old - set(heirs)):
        fail(name, 0, f"province {code} of areas.csv has no successor")


def check_regimes(records: Records, agencies: dict[str, Record]) -> dict[str, Record]:  # noqa: C901, PLR0912 - a list of rules
    """Check regimes.csv; return its rows by code."""
    name = "regimes.csv"
    for column in ("code", "name_vi", "name_en", "form_code"):
        unique(name, records, column)
    filled(name, records, "name_vi", "name_en", "window_rule", "receives", "form_code")
    one_of(name, records, "frequency", FREQUENCIES)
    one_of(name, records, "calendar", {"nd09", "statistical"})
    one_of(name, records, "method", {"stream", "form", "file"})
    one_of(name, records, "basis", BASIS)
    count(name, "regimes", len(records), 20)
    if [r["code"] for _, r in records] != [f"R{n:02d}" for n in range(1, 21)]:
        fail(name, 0, "codes are not R01..R20 in order")
    for number, record in records:
        owner = agencies.get(record["agency"])
        if owner is None:
            fail(name, number, f"agency {record['agency']!r} is unknown")
        elif owner["standardised"] != "true":
            fail(name, number, f"agency {record['agency']} has no standardised regimes")
        receivers = record["receives"].split(";")
        for code in receivers:
            if code not in agencies:
                fail(name, number, f"receives {code!r} is unknown")
        if "g22" not in receivers:
            fail(name, number, "the Government Office (g22) does not receive it")
        if not DURATION.fullmatch(record["deadline_offset"]):
            fail(name, number, f"deadline_offset {record['deadline_offset']!r} is not like P2D or PT4H")
        token = record["window_rule"].split(";")[0]
        fast = record["frequency"] in FAST
        if token not in ({"every_day", "working_days"} if fast else {"period"}):
            fail(name, number, f"window_rule starts with {token!r}")
        if fast and record["calendar"] != "statistical":
            fail(name, number, "a daily or faster regime has no nd09 window")
        if record["basis"] == "sourced" and not record["legal_basis"]:
            fail(name, number, "is sourced without a legal basis")
    if {r["frequency"] for _, r in records} != FREQUENCIES:
        fail(name, 0, "not every frequency is used")
    return {record["code"]: record for _, record in records}


def number_of(name: str, row: int, column: str, text: str, decimals: int) -> Decimal | None:
    """Read a number of so many decimals; None when it is none."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        fail(name, row, f"{column} {text!r} is not a number")
        return None
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > decimals:  # it is a letter for what is not finite
        fail(name, row, f"{column} {text!r} does not fit {decimals} decimals")
        return None
    return value


def check_breakdowns(name: str, row: int, text: str) -> None:
    """Check the breakdowns of one indicator."""
    if not text:
        return
    parts = text.split(";")
    if len(parts) != len(set(parts)):
        fail(name, row, "breakdowns repeat a code")
    sizes: Counter[str] = Counter()
    for part in parts:
        if not re.fullmatch(r"[a-z]+:[A-Z][A-Z0-9_]*", part):
            fail(name, row, f"breakdown {part!r} is not like sex:F")
            continue
        dimension = part.split(":")[0]
        sizes[dimension] += 1
        if dimension not in DIMENSIONS:
            fail(name, row, f"breakdown dimension {dimension!r} is unknown")
    for dimension, size in sizes.items():
        if size == 1:
            fail(name, row, f"breakdown dimension {dimension} has a single code")


def check_bounds(name: str, row: int, record: Record) -> None:  # noqa: C901 - a list of rules
    """Check kind, unit and bounds of one indicator together."""
    if record["decimals"] not in {"0", "1", "2", "3", "4"}:
        fail(name, row, f"decimals {record['decimals']!r} is not 0..4")
        return
    decimals = int(record["decimals"])
    low = number_of(name, row, "min", record["min"], decimals)
    high = number_of(name, row, "max", record["max"], decimals) if record["max"] else None
    if low is None:
        return
    if high is not None and low >= high:
        fail(name, row, f"min {low} is not below max {high}")
    kind, unit = record["kind"], record["unit"]
    if record["area_rollup"] not in AREA_ROLLUPS.get(kind, set()):
        fail(name, row, f"area_rollup {record['area_rollup']!r} does not fit kind {kind}")
    if unit == "percent" and (kind != "ratio" or low < 0 or high is None or high > WHOLE):
        fail(name, row, "a share in percent must be a ratio within 0..100")
    if kind in ADDITIVE and low < 0 and not re.search(r"\bNet\b|balance", record["name_en"]):
        fail(name, row, "only a net figure may be negative")
    if kind in ADDITIVE and record["breakdowns"] and low > 0:
        fail(name, row, "min above 0 would reject the cells of its breakdown")
    if unit.startswith("percent") and kind not in {"ratio", "level"}:
        fail(name, row, f"unit {unit} does not fit kind {kind}")
    if kind == "index" and unit != "points":
        fail(name, row, "an index must be in points")
    if kind == "cumulative" and "year to date" not in record["name_en"]:
        fail(name, row, "a cumulative name_en must say year to date")


def check_indicators(records: Records, agencies: dict[str, Record], regimes: dict[str, Record]) -> list[Record]:  # noqa: C901, PLR0912 - a list of rules
    """Check indicators.csv; return its rows."""
    name = "indicators.csv"
    for column in ("code", "name_vi", "name_en"):
        unique(name, records, column)
    filled(name, records, "name_vi", "name_en", "decimals", "min")
    one_of(name, records, "agency", set(agencies))
    one_of(name, records, "domain", set("123456789"))
    one_of(name, records, "kind", KINDS)
    one_of(name, records, "unit", UNITS)
    one_of(name, records, "frequency", FREQUENCIES)
    one_of(name, records, "geography", {"nation", "province"})
    one_of(name, records, "channel", {"electronic", "direct_entry"})
    one_of(name, records, "connected_since", {"", SNAPSHOT})
    one_of(name, records, "basis", BASIS)
    serial: Counter[str] = Counter()
    for row, record in records:
        serial[record["agency"]] += 1
        wanted = f"{record['agency'].upper()}.{serial[record['agency']]:03d}"
        if record["code"] != wanted:
            fail(name, row, f"code {record['code']!r} is not {wanted}")
        if record["connected_since"] and record["channel"] != "electronic":
            fail(name, row, "a direct-entry indicator cannot be connected")
        check_breakdowns(name, row, record["breakdowns"])
        check_bounds(name, row, record)
        regime = regimes.get(record["regime"])
        if not record["regime"]:
            if record["connected_since"]:
                fail(name, row, "a connected indicator needs a regime")
        elif regime is None:
            fail(name, row, f"regime {record['regime']!r} is unknown")
        else:
            for column in ("agency", "frequency"):
                if regime[column] != record[column]:
                    fail(name, row, f"{column} {record[column]} differs from {regime[column]} of {record['regime']}")
            wrong = {"stream": "direct_entry", "form": "electronic"}.get(regime["method"])
            if record["channel"] == wrong:
                fail(name, row, f"channel {wrong} does not fit a {regime['method']} regime")
    rows = [record for _, record in records]
    electronic = [r for r in rows if r["channel"] == "electronic"]
    connected = [r for r in electronic if r["connected_since"]]
    count(name, "indicators", len(rows), 200)
    count(name, "electronic", len(electronic), 78)
    count(name, "connected", len(connected), 33)
    count(name, "to connect", len(electronic) - len(connected), 45)
    count(name, "direct entry", len(rows) - len(electronic), 122)
    at_least(name, "indicators by province", sum(r["geography"] == "province" for r in rows), 110)
    at_least(name, "hourly, six-hourly or daily indicators", sum(r["frequency"] in FAST for r in rows), 40)
    for code in sorted(NAMED_IN_SOURCE - {r["agency"] for r in connected}):
        fail(name, 0, f"{code} is named as connected in the source but has no connected indicator")
    for domain in sorted(set("123456789") - {r["domain"] for r in rows}):
        fail(name, 0, f"domain {domain} has no indicator")
    for code in sorted({c for c, a in agencies.items() if a["kind"] != "other"} - {r["agency"] for r in rows}):
        fail(name, 0, f"agency {code} owns no indicator")
    for code in sorted(set(regimes) - {r["regime"] for r in rows}):
        fail("regimes.csv", 0, f"regime {code} has no indicator")
    return rows


def check_holidays(records: Records) -> None:  # noqa: C901 - a list of rules
    """Check holidays.csv."""
    name = "holidays.csv"
    unique(name, records, "date")
    filled(name, records, "name_vi", "name_en")
    days = {}
    for row, record in records:
        if not is_date(record["date"]):
            fail(name, row, f"date {record['date']!r} is not an ISO date")
            continue
        days[record["date"]] = record
        day = dt.date.fromisoformat(record["date"])
        substitute = "in lieu" in record["name_en"] or "exchange" in record["name_en"]
        if substitute and day.weekday() >= SATURDAY:
            fail(name, row, "a substitute day falls on a weekend")
    if list(days) != sorted(days):
        fail(name, 0, "rows are not in date order")
    for year in range(2020, 2027):
        for suffix in ("01-01", "04-30", "05-01", "09-02"):
            if f"{year}-{suffix}" not in days:
                fail(name, 0, f"{year}-{suffix} is missing")
        for suffix, text in ((TET[year], "day 1 of the 1st lunar month"), (HUNG_KINGS[year], "Hung Kings")):
            if text not in days.get(f"{year}-{suffix}", {"name_en": ""})["name_en"]:
                fail(name, 0, f"{year}-{suffix} should be {text}")
        tet = [d for d, r in days.items() if d.startswith(str(year)) and "Lunar New Year" in r["name_en"]]
        weekdays = sum(dt.date.fromisoformat(d).weekday() < SATURDAY for d in tet)
        if weekdays != TET_WORKING_DAYS:
            fail(name, 0, f"Lunar New Year {year} has {weekdays} working days off, not {TET_WORKING_DAYS}")
    outside = sorted({d[:4] for d in days} - {str(y) for y in range(2020, 2027)})
    if outside:
        fail(name, 0, f"years outside 2020..2026: {', '.join(outside)}")


def check_history(records: Records, indicators: list[Record], regimes: dict[str, Record]) -> None:
    """Check coverage_history.csv."""
    name = "coverage_history.csv"
    unique(name, records, "date")
    filled(name, records, "source", "note")
    numbers = HEADERS[name].split(",")[1:7]
    dates = [record["date"] for _, record in records]
    if dates != sorted(dates):
        fail(name, 0, "rows are not in date order")
    for row, record in records:
        if not is_date(record["date"]):
            fail(name, row, f"date {record['date']!r} is not an ISO date")
        if "?" in record["source"]:
            fail(name, row, "source has URL parameters")
        for column in numbers:
            if record[column] and not record[column].isdecimal():
                fail(name, row, f"{column} {record[column]!r} is not a whole number")
    snapshot = next(((number, record) for number, record in records if record["date"] == SNAPSHOT), None)
    if snapshot is None:
        fail(name, 0, f"{SNAPSHOT} is missing")
        return
    row, record = snapshot
    facts = {
        "indicators_total": len(indicators),
        "electronic": sum(r["channel"] == "electronic" for r in indicators),
        "connected": sum(bool(r["connected_since"]) for r in indicators),
        "direct_entry": sum(r["channel"] == "direct_entry" for r in indicators),
        "regimes_connected": len(regimes),
    }
    for column, value in facts.items():
        if record[column] != str(value):
            fail(name, row, f"{column} {record[column]} differs from the catalogue ({value})")


def main() -> int:
    """Check the folder; return the exit status."""
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    root = root if root.is_dir() else root.parent
    tables = {name: load(root, name) for name in HEADERS}
    agencies = check_agencies(tables["agencies.csv"])
    old = check_areas(tables["areas.csv"], "areas.csv", REGION_2020, "2008-08-01", MERGER)
    check_areas(tables["areas_2025.csv"], "areas_2025.csv", REGION_2025, MERGER, "")
    check_merger(tables["areas_2025.csv"], old)
    regimes = check_regimes(tables["regimes.csv"], agencies)
    indicators = check_indicators(tables["indicators.csv"], agencies, regimes)
    check_holidays(tables["holidays.csv"])
    check_history(tables["coverage_history.csv"], indicators, regimes)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"{len(problems)} problem(s)", file=sys.stderr)
        return 1
    for name, records in tables.items():
        print(f"{name}: {len(records)} rows")
    print("all rules hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
