"""The reference catalogue: which agency reports which indicator, where, how often, and under which rules.

The tables are the CSV files beside this one, described in README.md; GRIS_CATALOGUE may name another folder like it.
"""

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
from schemas.catalogue.files import BUNDLED, load
from schemas.catalogue.maps import AreaMap
from schemas.catalogue.tables import CatalogueError

__all__ = [
    "BUNDLED",
    "CODE",
    "NATION",
    "TOTAL",
    "Agency",
    "Area",
    "AreaMap",
    "Catalogue",
    "CatalogueError",
    "Coverage",
    "Holiday",
    "Indicator",
    "Kind",
    "Level",
    "Regime",
    "Rollup",
    "load",
]
