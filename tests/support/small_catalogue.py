"""A small catalogue of the tests' own: four agencies, three regions, two maps, every kind, roll-up and frequency."""

import csv
import dataclasses
import datetime as dt
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

BOUNDARY = dt.date(2024, 7, 1)
PARTITIONS = {"z01": 1, "z02": 1, "z03": 1, "z04": 4}
OLD_PROVINCES = tuple(f"{number:02}" for number in range(1, 13))
NEW_PROVINCES = ("01", "03", "05", "07", "09", "11", "21", "22")
OLD_PARENTS = dict(zip(OLD_PROVINCES, "111122223333", strict=True))
NEW_PARENTS = dict(zip(NEW_PROVINCES, ("R4", "R4", "R4", "R5", "R5", "R5", "R5", "VN"), strict=True))
SEX = ("sex:F", "sex:M")
AGE = ("age:Y", "age:A", "age:O")


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """One indicator. ``low`` and ``high`` are bounds in its unit; None leaves that side of the file empty."""

    code: str
    kind: str
    rollup: str
    frequency: str
    geography: str
    breakdowns: tuple[str, ...]
    decimals: int
    low: int | None
    high: int | None

    @property
    def agency(self) -> str:
        """Who owns it."""
        return self.code[:3].lower()

    @property
    def needs_base(self) -> bool:
        """Whether a statement must carry its denominator."""
        return self.kind == "ratio" or self.rollup == "weighted_mean"


# Narrow bounds let a sum of provinces or codes equal the total often enough for both verdicts of SUM_MISMATCH to occur.
SHAPES: tuple[tuple[str, str, str, str, tuple[str, ...], int, int | None, int | None], ...] = (
    ("flow", "sum", "hourly", "province", (), 0, 0, 500),
    ("flow", "sum", "hourly", "province", SEX, 0, 0, 1),
    ("flow", "mean", "six_hourly", "province", (), 1, 0, 300),
    ("stock", "sum", "daily", "province", SEX + AGE, 0, 0, 2),
    ("stock", "sum", "hourly", "nation", (), 2, -1_000_000, 1_000_000),
    ("level", "mean", "hourly", "province", (), 1, -10, 50),
    ("level", "mean", "six_hourly", "nation", AGE, 3, None, None),
    ("ratio", "weighted_mean", "daily", "province", SEX, 2, 0, 100),
    ("ratio", "weighted_mean", "monthly", "province", (), 4, 0, 100),
    ("index", "none", "daily", "province", (), 2, 0, 1_000),
    ("cumulative", "sum", "daily", "province", SEX, 0, 0, 3),
    ("cumulative", "sum", "monthly", "province", (), 2, 0, None),
    ("flow", "sum", "quarterly", "province", (), 0, -50, 50),
    ("flow", "sum", "semiannual", "province", SEX, 0, 0, 2),
    ("stock", "sum", "annual", "nation", (), 4, 0, 9_999_999_999),
    ("level", "none", "monthly", "province", (), 1, 0, 9),
    ("flow", "sum", "daily", "province", (), 0, 1, 2),
    ("ratio", "mean", "daily", "province", (), 1, 0, 100),
    ("flow", "sum", "six_hourly", "nation", SEX, 0, 0, 2),
    ("index", "mean", "daily", "province", (), 2, 1, 200),
    ("level", "weighted_mean", "hourly", "province", (), 2, 0, 1_000),
    ("ratio", "sum", "daily", "nation", (), 0, 0, 10),
    ("cumulative", "sum", "six_hourly", "nation", AGE, 0, 0, 4),
)
SHARE = 13
FIGURES = tuple(
    Figure(f"{agency.upper()}.{serial + 1:03}", *SHAPES[(start + serial) % len(SHAPES)])
    for start, agency in zip(itertools.count(0, 6), PARTITIONS, strict=False)
    for serial in range(SHARE)
)


def provinces_on(bucket: dt.date) -> tuple[str, ...]:
    """Name the provinces in force; before the first map, the first applies."""
    return OLD_PROVINCES if bucket < BOUNDARY else NEW_PROVINCES


def regions_on(bucket: dt.date) -> tuple[str, ...]:
    """Name the regions in force."""
    return ("R1", "R2", "R3") if bucket < BOUNDARY else ("R4", "R5")


def write_catalogue(folder: Path) -> Path:
    """Write the seven files into ``folder``, which is made; regimes, holidays and history have a header only."""
    folder.mkdir(parents=True, exist_ok=True)
    write(
        folder / "agencies.csv",
        "code,qcvn_code,name_vi,name_en,kind,standardised,notes,partitions",
        (
            (code, f"000.00.00.{code.upper()}", f"Bộ {code}", f"Ministry {code}", "ministry", "true", "", count)
            for code, count in PARTITIONS.items()
        ),
    )
    columns = "code,level,parent,name_vi,name_en,valid_from,valid_to"
    old = ("2010-01-01", BOUNDARY.isoformat())
    write(
        folder / "areas.csv",
        columns,
        (
            ("VN", "nation", "", "Việt Nam", "Viet Nam", "", ""),
            *((region, "region", "VN", f"Vùng {region}", f"Region {region}", *old) for region in ("R1", "R2", "R3")),
            *((code, "province", f"R{at}", f"Tỉnh {code}", f"Old {code}", *old) for code, at in OLD_PARENTS.items()),
        ),
    )
    new = (BOUNDARY.isoformat(), "", "")
    write(
        folder / "areas_2025.csv",
        f"{columns},merged_from",
        (
            *((region, "region", "VN", f"Vùng {region}", f"Region {region}", *new) for region in ("R4", "R5")),
            *((code, "province", parent, f"Tỉnh {code}", f"New {code}", *new) for code, parent in NEW_PARENTS.items()),
        ),
    )
    write(
        folder / "indicators.csv",
        "code,agency,domain,name_vi,name_en,kind,area_rollup,unit,decimals,min,max,frequency,geography,breakdowns,channel,"
        "connected_since,regime,basis",
        (indicator_row(figure) for figure in FIGURES),
    )
    write(
        folder / "regimes.csv",
        "code,agency,name_vi,name_en,legal_basis,frequency,calendar,window_rule,deadline_offset,receives,method,form_code,"
        "basis",
    )
    write(folder / "holidays.csv", "date,name_vi,name_en")
    write(
        folder / "coverage_history.csv",
        "date,indicators_total,electronic,connected,direct_entry,agencies_connected,regimes_connected,source,note",
    )
    return folder


def indicator_row(figure: Figure) -> tuple[object, ...]:
    """Write one row of indicators.csv."""
    return (
        figure.code,
        figure.agency,
        1 + int(figure.code[-3:]) % 9,
        f"Chỉ tiêu {figure.code}",
        f"Figure {figure.code}",
        figure.kind,
        figure.rollup,
        "cases",
        figure.decimals,
        "" if figure.low is None else figure.low,
        "" if figure.high is None else figure.high,
        figure.frequency,
        figure.geography,
        ";".join(figure.breakdowns),
        "electronic",
        "",
        "",
        "illustrative",
    )


def write(path: Path, header: str, rows: Iterable[Sequence[object]] = ()) -> None:
    """Write an RFC 4180 file with LF line ends."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)
