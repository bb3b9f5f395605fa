"""Day totals recomputed from observations by SQL: what `gris check` compares with, and earlier reports."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from schemas.catalogue import Catalogue, Kind
from sinks.clickhouse import literals
from sinks.clickhouse.client import Client

TEMPLATE = (Path(__file__).parent / "recompute.sql").read_text(encoding="utf-8")
EPOCH = dt.date(1970, 1, 1)
# The catalogue travels inside the statement, so a large one must not meet the parser's usual limits.
SETTINGS: Mapping[str, str | int] = {"max_query_size": 64 << 20, "max_ast_elements": 1_000_000}


def recompute(
    client: Client,
    catalogue: Catalogue,
    *,
    as_of: dt.datetime | None = None,
    days: Sequence[int] | None = None,
    indicators: Sequence[str] | None = None,
) -> pa.Table:
    """Return the totals that the observations amount to, in no order.

    Columns: bucket date32; indicator, area, breakdown, status texts; value, min, max decimal128(18, 4) or null;
    areas_reported, areas_expected, cells uint32; flags list of string. ``as_of`` (aware) takes only what was received
    by then; ``days`` (epoch days) and ``indicators`` (codes) limit the lines, None being all. Raises Retry or Fatal.
    """
    return client.arrow(statement(catalogue, as_of=as_of, days=days, indicators=indicators), settings=SETTINGS)


def statement(
    catalogue: Catalogue,
    *,
    as_of: dt.datetime | None = None,
    days: Sequence[int] | None = None,
    indicators: Sequence[str] | None = None,
) -> str:
    """Write the SELECT; ``indicators`` that the catalogue does not know are left out."""
    codes = [code for code in (catalogue.by_code if indicators is None else indicators) if code in catalogue.by_code]
    where = [f"indicator IN {literals.texts(codes)}"]
    kept = "1"
    if as_of is not None:
        where.append(f"received_at <= fromUnixTimestamp64Milli({int(as_of.timestamp() * 1000)})")
    if days is not None:
        dates = [EPOCH + dt.timedelta(days=int(day)) for day in days]
        kept = f"bucket IN {literals.texts(date.isoformat() for date in dates)}"
        # NOT_MONOTONE looks back to the buckets before, as far as the year goes.
        cumulative = [code for code in codes if catalogue.by_code[code].kind is Kind.CUMULATIVE]
        years = ", ".join(str(year) for year in sorted({date.year for date in dates})) or "0"
        where.append(f"({kept} OR (indicator IN {literals.texts(cumulative)} AND toYear(bucket) IN ({years})))")
    starts = [chart.valid_from.isoformat() for chart in catalogue.maps[1:] if chart.valid_from is not None]
    filled = {
        "{where}": " AND ".join(where),
        "{kept}": kept,
        "{starts}": f"CAST({literals.text(json.dumps(starts).replace(chr(34), chr(39)))}, 'Array(Date)')",
        "{based}": literals.texts(code for code in codes if catalogue.by_code[code].needs_base),
        "{indicators}": _indicators(catalogue, codes),
        "{areas}": _areas(catalogue),
    }
    text = "\n".join(line.split("--")[0].rstrip() for line in TEMPLATE.splitlines())
    for name, value in filled.items():
        text = text.replace(name, value)
    return text


def _indicators(catalogue: Catalogue, codes: Sequence[str]) -> str:
    rows = [
        {
            "code": code,
            "adds": int(indicator.kind is Kind.FLOW),
            "cumulative": int(indicator.kind is Kind.CUMULATIVE),
            "rollup": indicator.area_rollup.value,
            "by_province": int(indicator.geography == "province"),
            "frequency": indicator.frequency.value,
            "breakdowns": list(indicator.breakdowns),
            "dimensions": [[indicator.breakdowns[at] for at in codes] for codes in indicator.dimensions.values()],
        }
        for code in codes
        for indicator in [catalogue.by_code[code]]
    ]
    shape = (
        "code String, adds UInt8, cumulative UInt8, rollup String, by_province UInt8, frequency String, "
        "breakdowns Array(String), dimensions Array(Array(String))"
    )
    return literals.table(shape, rows)


def _areas(catalogue: Catalogue) -> str:
    rows: list[dict[str, object]] = []
    for chart in catalogue.maps:
        for area, region in zip(chart.provinces, chart.region_of, strict=True):
            inside = "" if region < 0 else chart.regions[region].code
            rows.append({"map": chart.ordinal, "code": area.code, "level": "province", "region": inside, "expected": 1})
        for at, area in enumerate(chart.regions):
            expected = sum(region == at for region in chart.region_of)
            rows.append(
                {"map": chart.ordinal, "code": area.code, "level": "region", "region": "", "expected": expected}
            )
        nation = {"code": chart.nation.code, "level": "nation", "region": "", "expected": len(chart.provinces)}
        rows.append({"map": chart.ordinal, **nation})
    return literals.table("map UInt16, code String, level String, region String, expected UInt32", rows)
