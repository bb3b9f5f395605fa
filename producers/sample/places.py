"""How provinces share what the nation has: by people, by business, by ports.

Keyed by name, for a code alone does not identify a province. Populations of the 34 provinces are rough, in millions,
from common knowledge; a province that is not here gets one by chance.
"""

import functools

from producers.sample.noise import uniform
from producers.sample.profiles import Spread
from schemas.catalogue import AreaMap

PEOPLE = {
    "Ha Noi": 8.8, "Cao Bang": 0.6, "Tuyen Quang": 1.9, "Dien Bien": 0.7, "Lai Chau": 0.5, "Son La": 1.3,
    "Lao Cai": 1.8, "Thai Nguyen": 1.8, "Lang Son": 0.8, "Quang Ninh": 1.4, "Bac Ninh": 3.6, "Phu Tho": 4.0,
    "Hai Phong": 4.7, "Hung Yen": 3.6, "Ninh Binh": 4.4, "Thanh Hoa": 4.3, "Nghe An": 3.8, "Ha Tinh": 1.6,
    "Quang Tri": 1.9, "Hue": 1.4, "Da Nang": 3.1, "Quang Ngai": 2.2, "Gia Lai": 3.6, "Khanh Hoa": 2.2,
    "Dak Lak": 3.3, "Lam Dong": 3.9, "Dong Nai": 4.5, "Ho Chi Minh City": 14.0, "Tay Ninh": 3.3, "Dong Thap": 4.4,
    "Vinh Long": 4.3, "An Giang": 4.9, "Can Tho": 4.2, "Ca Mau": 2.6,
}  # fmt: skip
INLAND = frozenset({
    "Cao Bang", "Tuyen Quang", "Dien Bien", "Lai Chau", "Son La", "Lao Cai", "Thai Nguyen", "Lang Son", "Bac Ninh",
    "Phu Tho", "Ha Noi", "Bac Kan", "Yen Bai", "Hoa Binh", "Ha Giang", "Bac Giang", "Vinh Phuc", "Hai Duong", "Ha Nam",
    "Kon Tum", "Dak Nong", "Binh Phuoc",
})  # fmt: skip


@functools.lru_cache(maxsize=1_024)
def shares(chart: AreaMap, indicator: str, spread: Spread, seed: int) -> tuple[float, ...]:
    """Give each province's share, in the order of the map's provinces; they add up to 1."""
    weights = []
    for area in chart.provinces:
        people = PEOPLE.get(area.name_en) or 0.5 + 3.0 * uniform(seed, "people", area.code, area.name_en)
        own = 0.8 + 0.4 * uniform(seed, "share", indicator, area.name_en)
        landlocked = spread is Spread.PORTS and area.name_en in INLAND
        weights.append(0.0 if landlocked else own * people**spread.value)
    total = sum(weights)
    if total <= 0.0:
        return tuple(1.0 / len(weights) for _ in weights)
    return tuple(weight / total for weight in weights)


def southness(chart: AreaMap, position: int) -> float:
    """Say how far south a province lies, 0 to 1: the statistical codes run from north to south."""
    return position / max(1, len(chart.provinces) - 1)
