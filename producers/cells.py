"""From the cells of a row to the values of an event: what cannot become an Avro value at all is refused here.

Everything else is for the rules to judge. A cell that is empty takes the column's default.
"""

import dataclasses
import datetime as dt
import enum
import re
from collections.abc import Callable, Mapping

from producers.files import COLUMNS, Cell, Row
from schemas.catalogue import TOTAL, Catalogue
from schemas.period import LOCAL, Frequency, Period, PeriodError
from schemas.reasons import quote

STATUSES = "ABEFIMP"
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
WHOLE = re.compile(r"[+-]?[0-9]+(\.0+)?")
INT32 = range(-(2**31), 2**31)
INT64 = range(-(2**63), 2**63)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MILLISECOND = dt.timedelta(milliseconds=1)
DATE_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9]{2}:?[0-9]{2})?)?")


class CellReason(enum.StrEnum):
    """Why a cell cannot become a value; the rules' own reasons come after these."""

    BAD_ROW = "BAD_ROW"
    BAD_NUMBER = "BAD_NUMBER"
    BAD_DATE = "BAD_DATE"
    BAD_STATUS = "BAD_STATUS"
    BAD_TEXT = "BAD_TEXT"


@dataclasses.dataclass(frozen=True, slots=True)
class Defaults:
    """What an empty cell or an absent column stands for; ``observed_at`` in milliseconds since 1970 (UTC)."""

    submission: str
    observed_at: int


class CellError(ValueError):
    """The first cell of a row that cannot become a value."""

    def __init__(self, reason: CellReason, column: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.column, self.detail = reason, column, detail


def event_of(row: Row, defaults: Defaults, catalogue: Catalogue) -> dict[str, object]:
    """Turn a row into an event for the codec: texts, floats or None, ``observed_at`` in ms. Raises CellError."""
    if row.beyond:
        raise CellError(
            CellReason.BAD_ROW,
            "",
            f"{quote(row.beyond[0])} stands beyond the last column of the header: put a text with the delimiter "
            "in quotes, and write decimals with a point.",
        )
    event: dict[str, object] = {
        "submission": defaults.submission,
        "breakdown": TOTAL,
        "value": None,
        "base": None,
        "status": "A",
        "revision": 0,
        "observed_at": defaults.observed_at,
        "note": None,
    }
    for column in COLUMNS:
        cell = row.cells.get(column)
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            event.setdefault(column, "")
        elif column == "time_period":
            event[column] = _period(cell, str(row.cells.get("indicator") or "").strip(), catalogue)
        else:
            event[column] = READERS[column](column, cell)
    return event


def _number(column: str, cell: Cell) -> float:
    text = cell.strip() if isinstance(cell, str) else cell
    if isinstance(text, str) and NUMBER.fullmatch(text):
        return float(text)
    if isinstance(text, int | float) and not isinstance(text, bool):
        try:
            return float(text)
        except OverflowError:
            pass  # an integer of more than 308 digits: told below as what it is
    if isinstance(text, str) and "," in text:
        remedy = "write 12.5 with a decimal point and without separators of thousands"
    elif isinstance(text, str) and text.endswith("%"):
        remedy = "write the plain figure, 82.5 and not 82.5%, in a cell that is not formatted as percent"
    else:
        remedy = "write a plain number like 12.5, or leave it empty with status M"
    raise CellError(CellReason.BAD_NUMBER, column, f"found {quote(text)[:100]}; {remedy}.")


def _whole(column: str, cell: Cell) -> int:
    text = str(cell).strip()
    if not isinstance(cell, bool) and len(text) < 30 and WHOLE.fullmatch(text):  # noqa: PLR2004 - far beyond 32 bits
        value = int(text.partition(".")[0])
        if value in INT32:
            return value
    raise CellError(CellReason.BAD_NUMBER, column, f"found {quote(text)}; write a whole number, 0 at first.")


def _status(column: str, cell: Cell) -> str:
    text = str(cell).strip()
    if len(text) == 1 and text in STATUSES:
        return text
    raise CellError(CellReason.BAD_STATUS, column, f"found {quote(text)}; allowed are {' '.join(STATUSES)}.")


def _text(column: str, cell: Cell) -> str:
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        raise CellError(CellReason.BAD_TEXT, column, f"found {quote(cell)}; format the cell as text.")
    text = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CellError(
            CellReason.BAD_TEXT, column, f"found {quote(text)}; half a character; write it again."
        ) from None
    return text if column == "note" else text.strip()


def _instant(column: str, cell: Cell) -> int:
    """Read an instant as milliseconds since 1970; without an offset it is local time, UTC+7."""
    found: dt.datetime | None = None
    if isinstance(cell, int) and not isinstance(cell, bool) and cell in INT64:
        return cell  # JSON Lines may hold the long itself
    if isinstance(cell, dt.datetime):
        found = cell
    elif isinstance(cell, dt.date):
        found = dt.datetime.combine(cell, dt.time())
    elif isinstance(cell, str) and DATE_FORM.fullmatch(cell.strip()):
        try:
            found = dt.datetime.fromisoformat(cell.strip())
        except ValueError:
            found = None
    if found is None:
        raise CellError(
            CellReason.BAD_DATE,
            column,
            f"found {quote(cell)}; write 2026-11-23T08:30:00+07:00, or 2026-11-23 08:30 for local time.",
        )
    aware = found if found.tzinfo is not None else found.replace(tzinfo=LOCAL)
    return (aware - EPOCH) // MILLISECOND


def _period(cell: Cell, indicator: str, catalogue: Catalogue) -> str:
    """Give the SDMX text; a date cell of a spreadsheet becomes the period of the indicator's frequency that it begins.

    Spreadsheets turn 2026-11 into the date 2026-11-01 when typed, so a date has to be taken for a month as well.
    """
    if not isinstance(cell, dt.date):
        return _text("time_period", cell)
    known = catalogue.indicator(indicator)
    frequency = known.frequency if known is not None else Frequency.DAILY
    at = cell if isinstance(cell, dt.datetime) else dt.datetime.combine(cell, dt.time())
    slot = at.hour * frequency.slots // 24
    fault = "at that time of day no period begins"
    if at.time() == dt.time(slot * 24 // frequency.slots):
        try:
            return Period(frequency, at.date(), slot).text
        except PeriodError as error:
            fault = str(error)
    detail = f"found the date {cell}, but {indicator} is {frequency}: {fault}. Write the period as text."
    raise CellError(CellReason.BAD_DATE, "time_period", detail)


READERS: Mapping[str, Callable[[str, Cell], object]] = {
    "submission": _text,
    "indicator": _text,
    "area": _text,
    "breakdown": _text,
    "value": _number,
    "base": _number,
    "status": _status,
    "revision": _whole,
    "observed_at": _instant,
    "note": _text,
}
