"""The small catalogue with other bounds, and which statements they let pass."""

import csv
from pathlib import Path

from tests.support import oracle
from tests.support.small_catalogue import FIGURES

WIDE = 500
"""The upper bound, in the small catalogue, of the indicators whose bounds are changed; others are left."""
BOUNDED = {figure.code for figure in FIGURES if (figure.low, figure.high) == (0, WIDE)} | {
    figure.code for figure in FIGURES if figure.kind == "cumulative" and figure.high == 3
}


def bound(code: str, share: float) -> int | None:
    """Give an indicator's upper bound cut to a share (0 to 1) of the catalogue's; None for no change."""
    if code not in BOUNDED:
        return None
    high = next(figure.high for figure in FIGURES if figure.code == code)
    return int((high or 0) * share)


def set_bounds(folder: Path, share: float) -> None:
    """Write the upper bounds into the catalogue in ``folder``."""
    path = folder / "indicators.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if (high := bound(row["code"], share)) is not None:
            row["max"] = str(high)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def passes(statement: oracle.Statement, share: float) -> bool:
    """Tell whether what the wide bounds accept passes these: VN's own of indicators that sum has no upper bound."""
    high = bound(statement.indicator, share)
    figure = next(figure for figure in FIGURES if figure.code == statement.indicator)
    unbounded = statement.area == oracle.NATION and figure.geography == "province" and figure.rollup == "sum"
    return high is None or unbounded or statement.value is None or statement.value <= high * 10_000
