"""Coverage: how many of the catalogue's indicators are electronic, connected and live."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping

from schemas.catalogue import Catalogue, Indicator
from schemas.period import Frequency

ELECTRONIC = "electronic"
NAMES = ("total", "electronic", "direct_entry", "connected", "live", "to_connect")

# An indicator is live when its newest accepted event is no older than the longest period of its frequency.
LONGEST: Mapping[Frequency, dt.timedelta] = {
    Frequency.HOURLY: dt.timedelta(hours=1),
    Frequency.SIX_HOURLY: dt.timedelta(hours=6),
    Frequency.DAILY: dt.timedelta(days=1),
    Frequency.MONTHLY: dt.timedelta(days=31),
    Frequency.QUARTERLY: dt.timedelta(days=92),
    Frequency.SEMIANNUAL: dt.timedelta(days=184),
    Frequency.ANNUAL: dt.timedelta(days=366),
}


def coverage(catalogue: Catalogue, received: Mapping[str, int], now: dt.datetime) -> dict[str, object]:
    """Count all indicators, and those of every agency by its code.

    ``received`` gives, per indicator that ever had an accepted event, when its newest was received, in ms since the
    epoch. Connected: ``connected_since`` is set, or there is an accepted event. Live: see LONGEST. To connect:
    electronic and not connected.
    """
    agencies = {
        agency.code: {
            "name_vi": agency.name_vi,
            "name_en": agency.name_en,
            **_counts(catalogue.owned_by(agency.code), received, now),
        }
        for agency in catalogue.agencies
    }
    return {**_counts(catalogue.indicators, received, now), "by_agency": agencies}


def is_connected(indicator: Indicator, received: Mapping[str, int]) -> bool:
    """Tell whether the indicator is connected."""
    return indicator.connected_since is not None or indicator.code in received


def is_live(indicator: Indicator, received: Mapping[str, int], now: dt.datetime) -> bool:
    """Tell whether an event of the indicator was accepted within its frequency."""
    newest = received.get(indicator.code)
    return newest is not None and newest >= (now - LONGEST[indicator.frequency]).timestamp() * 1000


def _counts(indicators: Iterable[Indicator], received: Mapping[str, int], now: dt.datetime) -> dict[str, int]:
    counts = Counter[str]()
    for indicator in indicators:
        electronic = indicator.channel == ELECTRONIC
        connected = is_connected(indicator, received)
        counts["total"] += 1
        counts["electronic" if electronic else "direct_entry"] += 1
        counts["connected"] += connected
        counts["live"] += is_live(indicator, received, now)
        counts["to_connect"] += electronic and not connected
    return {name: counts[name] for name in NAMES}
