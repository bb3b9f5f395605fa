"""Parameters that several routes share: days and instants, taken in one exact form each."""

import datetime as dt
import re
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator

from schemas.reasons import quote

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
FIRST, LAST = dt.date(1970, 1, 1), dt.date(2149, 6, 6)  # what the database's Date can hold


def read_day(text: object) -> dt.date:
    """Read ``2026-11-23``; pydantic alone would also take a number of seconds."""
    try:
        day = dt.date.fromisoformat(text) if isinstance(text, str) and DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise ValueError(f"found {quote(text)}, allowed is a day like 2026-11-23")
    if not FIRST <= day <= LAST:
        raise ValueError(f"found {quote(text)}, allowed is a day from {FIRST} to {LAST}")
    return day


def read_instant(text: object) -> dt.datetime:
    """Read ``2026-11-23T05:00:00Z``, or the same with an offset."""
    try:
        instant = dt.datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ValueError(
            f"found {quote(text)}, allowed is an instant like 2026-11-23T05:00:00Z (write + as %2B in an address)"
        )
    if not FIRST <= instant.date() <= LAST:
        raise ValueError(f"found {quote(text)}, allowed is an instant from {FIRST} to {LAST}")
    return instant.astimezone(dt.UTC)


Day = Annotated[dt.date, BeforeValidator(read_day)]
Instant = Annotated[AwareDatetime, BeforeValidator(read_instant)]
