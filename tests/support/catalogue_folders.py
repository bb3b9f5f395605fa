"""Small catalogues on disk: one agency, two provinces in one region, one indicator; a test changes a cell and loads."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

AREA_COLUMNS = "code,level,parent,name_vi,name_en,valid_from,valid_to"

MINIMAL: Mapping[str, str] = {
    "agencies.csv": (
        "code,qcvn_code,name_vi,name_en,kind,standardised,notes\n"
        "Sea_office.1,,Cục Biển,Sea Office,other,false,\n"
        "zz,,Cục Đo lường,Measures Office,other,true,\n"
    ),
    "areas.csv": (
        f"{AREA_COLUMNS}\n"
        "VN,nation,,Việt Nam,Viet Nam,,\n"
        "North,region,VN,Bắc,North,,\n"
        "a,province,North,A,A,,\n"
        "b,province,VN,B,B,,\n"
    ),
    "areas_2025.csv": f"{AREA_COLUMNS},merged_from\n",
    "indicators.csv": (
        "code,agency,domain,name_vi,name_en,kind,area_rollup,unit,decimals,min,max,frequency,geography,breakdowns,"
        "channel,connected_since,regime,basis\n"
        "fish-caught,Sea_office.1,1,Cá,Fish caught,flow,sum,kt,2,0,1500.5,hourly,province,"
        "gear:NET;gear:LINE,electronic,2024-02-29,,illustrative\n"
    ),
    "regimes.csv": (
        "code,agency,name_vi,name_en,legal_basis,frequency,calendar,window_rule,deadline_offset,receives,method,form_code,"
        "basis\n"
    ),
    "holidays.csv": "date,name_vi,name_en\n",
    "coverage_history.csv": (
        "date,indicators_total,electronic,connected,direct_entry,agencies_connected,regimes_connected,source,note\n"
    ),
}


def write_catalogue(folder: Path, changes: Mapping[str, str] | None = None) -> Path:
    """Write the minimal catalogue into ``folder``, with ``changes`` as the content of the files they name."""
    for name, content in {**MINIMAL, **(changes or {})}.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def append(folder: Path, name: str, **cells: str) -> Path:
    """Append a row to a file: the columns not named are empty."""
    columns = _records(folder / name)[0]
    return _write(folder / name, [*_records(folder / name), [cells.get(column, "") for column in columns]])


def change(folder: Path, name: str, row: int, **cells: str) -> Path:
    """Change cells of one row, the header being row 1."""
    records = _records(folder / name)
    for column, cell in cells.items():
        records[row - 1][records[0].index(column)] = cell
    return _write(folder / name, records)


def _records(file: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"), newline="")))


def _write(file: Path, records: list[list[str]]) -> Path:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(records)
    file.write_text(text.getvalue(), encoding="utf-8")
    return file.parent
