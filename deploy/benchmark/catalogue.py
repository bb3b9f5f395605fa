"""The bench's own catalogue: four agencies, 200 hourly indicators, 63 provinces in six regions, one map."""

import csv
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

AGENCIES = ("b01", "b02", "b03", "b04")
INDICATORS = 50  # of each agency
PROVINCES = tuple(f"{number:02}" for number in range(1, 64))
REGIONS = 6
NATION = "VN"

AGENCY_COLUMNS = "code,qcvn_code,name_vi,name_en,kind,standardised,notes,partitions"
AREA_COLUMNS = "code,level,parent,name_vi,name_en,valid_from,valid_to"
INDICATOR_COLUMNS = (
    "code,agency,domain,name_vi,name_en,kind,area_rollup,unit,decimals,min,max,frequency,geography,breakdowns,channel,"
    "connected_since,regime,basis"
)
REGIME_COLUMNS = (
    "code,agency,name_vi,name_en,legal_basis,frequency,calendar,window_rule,deadline_offset,receives,method,form_code,"
    "basis"
)
HISTORY_COLUMNS = (
    "date,indicators_total,electronic,connected,direct_entry,agencies_connected,regimes_connected,source,note"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """What an indicator's figures are: ``low`` and ``high`` bound the value, in its unit."""

    kind: str
    rollup: str
    decimals: int
    low: int
    high: int

    @property
    def needs_base(self) -> bool:
        """Whether every statement carries its denominator."""
        return self.rollup == "weighted_mean"


COUNT = Figure("flow", "sum", 0, 0, 500)
LEVEL = Figure("level", "mean", 1, -10, 50)
STOCK = Figure("stock", "sum", 2, 0, 100_000)
SHARE = Figure("ratio", "weighted_mean", 2, 0, 100)
FIGURES = (*[COUNT] * 30, *[LEVEL] * 10, *[STOCK] * 5, *[SHARE] * 5)
"""By the serial number of an indicator in its agency, alike in all four."""


def code_of(agency: int, serial: int) -> str:
    """Name an indicator by the ordinal of its agency and its place in FIGURES."""
    return f"{AGENCIES[agency].upper()}.{serial + 1:03}"


def write_catalogue(folder: Path, partitions: int = 1) -> Path:
    """Write the seven files into ``folder``, which is made; there are no regimes, holidays or history.

    Every agency's topic has so many ``partitions``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    agencies = [
        (code, f"000.00.00.{code.upper()}", code, code, "ministry", "true", "", partitions) for code in AGENCIES
    ]
    _write(folder / "agencies.csv", AGENCY_COLUMNS, agencies)
    regions = [(f"R{number}", "region", NATION, f"R{number}", f"R{number}", "", "") for number in range(1, REGIONS + 1)]
    provinces = [
        (code, "province", f"R{1 + at * REGIONS // len(PROVINCES)}", code, code, "2008-08-01", "")
        for at, code in enumerate(PROVINCES)
    ]
    _write(folder / "areas.csv", AREA_COLUMNS, [(NATION, "nation", "", NATION, NATION, "", ""), *regions, *provinces])
    _write(folder / "areas_2025.csv", f"{AREA_COLUMNS},merged_from", ())
    _write(folder / "indicators.csv", INDICATOR_COLUMNS, _indicators())
    _write(folder / "regimes.csv", REGIME_COLUMNS, ())
    _write(folder / "holidays.csv", "date,name_vi,name_en", ())
    _write(folder / "coverage_history.csv", HISTORY_COLUMNS, ())
    return folder


def _indicators() -> Iterable[Sequence[object]]:
    for agency, owner in enumerate(AGENCIES):
        for serial, figure in enumerate(FIGURES):
            code = code_of(agency, serial)
            bounds = (figure.decimals, figure.low, figure.high)
            how = ("hourly", "province", "", "electronic", "", "", "illustrative")
            yield (code, owner, 1 + serial % 9, code, code, figure.kind, figure.rollup, "cases", *bounds, *how)


def _write(path: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)
