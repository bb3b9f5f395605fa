"""Read one CSV file of the catalogue, cell by cell; whatever does not fit is refused with file, row and reason."""

import csv
import datetime as dt
import enum
import io
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Never, TypeVar

from schemas.catalogue.entries import CODE
from schemas.errors import Fatal
from schemas.reasons import quote

DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
DECIMAL = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?")
WHOLE = re.compile(r"[0-9]{1,18}")
DURATION = re.compile(r"P(?=.)(?:([0-9]{1,4})D)?(?:T(?=.)(?:([0-9]{1,4})H)?(?:([0-9]{1,4})M)?)?")

Choice = TypeVar("Choice", bound=enum.StrEnum)


class CatalogueError(Fatal):
    """A catalogue that cannot be used. ``row`` counts the header as 1; 0 means the file as a whole."""

    def __init__(self, file: str, row: int, reason: str) -> None:
        super().__init__(f"{file} row {row}: {reason}" if row else f"{file}: {reason}")
        self.file = file
        self.row = row
        self.reason = reason


class Row:
    """One record of a file; the methods read its cells and raise CatalogueError for what does not fit."""

    __slots__ = ("_cells", "file", "number")

    def __init__(self, file: str, number: int, cells: Mapping[str, str]) -> None:
        self.file = file
        self.number = number
        self._cells = cells

    def refuse(self, reason: str) -> Never:
        """Refuse the catalogue because of this row."""
        raise CatalogueError(self.file, self.number, reason)

    def text(self, column: str) -> str:
        """Any text; empty when the file has no such column."""
        return self._cells.get(column, "")

    def code(self, column: str) -> str:
        """Read a code of our own: 1 to 32 letters, digits, dots, underscores, hyphens."""
        found = self.text(column)
        if not CODE.fullmatch(found):
            self.refuse(f"{column} {quote(found)} is not a code of 1 to 32 of A-Z a-z 0-9 . _ -")
        return found

    def reference(self, column: str, known: Mapping[str, object], where: str) -> str:
        """Read a code that another file must know."""
        found = self.text(column)
        if found not in known:
            self.refuse(f"{column} {quote(found)} is not in {where}")
        return found

    def codes(self, column: str) -> tuple[str, ...]:
        """Read texts joined by semicolons."""
        found = self.text(column)
        return tuple(found.split(";")) if found else ()

    def one_of(self, column: str, allowed: Sequence[str]) -> str:
        """Read one of a few words."""
        found = self.text(column)
        if found not in allowed:
            self.refuse(f"{column} {quote(found)} is not one of {', '.join(allowed)}")
        return found

    def member(self, column: str, choices: type[Choice]) -> Choice:
        """Read a member of an enum."""
        return choices(self.one_of(column, [choice.value for choice in choices]))

    def date(self, column: str) -> dt.date:
        """Read a date like 2026-11-23."""
        found = self.text(column)
        try:
            # fromisoformat also takes 20261123 and 2026-W48, hence the pattern.
            return dt.date.fromisoformat(found if DATE.fullmatch(found) else "")
        except ValueError:
            self.refuse(f"{column} {quote(found)} is not a date like 2026-11-23")

    def optional_date(self, column: str) -> dt.date | None:
        """Read a date, or None for an empty cell."""
        return self.date(column) if self.text(column) else None

    def whole(self, column: str, lowest: int, highest: int) -> int:
        """Read a whole number within bounds."""
        found = self.text(column)
        if not WHOLE.fullmatch(found) or not lowest <= int(found) <= highest:
            self.refuse(f"{column} {quote(found)} is not {lowest}..{highest}")
        return int(found)

    def optional_whole(self, column: str) -> int | None:
        """Read a whole number, or None for an empty cell."""
        return self.whole(column, 0, 10**18 - 1) if self.text(column) else None

    def optional_decimal(self, column: str) -> Decimal | None:
        """Read a decimal number like -12.5, or None for an empty cell."""
        found = self.text(column)
        if found and not DECIMAL.fullmatch(found):
            self.refuse(f"{column} {quote(found)} is not a decimal number like -12.5")
        return Decimal(found) if found else None

    def optional_duration(self, column: str) -> dt.timedelta | None:
        """Read an ISO 8601 duration of days, hours and minutes, or None for an empty cell."""
        found = self.text(column)
        if not found:
            return None
        parts = DURATION.fullmatch(found)
        if parts is None:
            self.refuse(f"{column} {quote(found)} is not a duration like P2D or PT4H")
        days, hours, minutes = (int(part or 0) for part in parts.groups())
        return dt.timedelta(days=days, hours=hours, minutes=minutes)


def read_table(file: str, content: bytes, columns: Sequence[str]) -> list[Row]:
    """Split ``content`` (UTF-8, RFC 4180 with a header) into rows; columns may have any order, others are ignored."""
    try:
        records = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise CatalogueError(file, 0, f"is not UTF-8 at byte {error.start}") from None
    except csv.Error as error:
        raise CatalogueError(file, 0, f"is not valid CSV ({error})") from None
    header = records[0] if records else []
    for column in columns:
        if header.count(column) != 1:
            fault = "is twice in the header" if column in header else "is not in the header"
            raise CatalogueError(file, 1, f"column {column} {fault}")
    rows = []
    for number, record in enumerate(records[1:], 2):
        if not record:
            continue  # a blank line
        if len(record) != len(header):
            raise CatalogueError(file, number, f"has {len(record)} fields, not the {len(header)} of the header")
        rows.append(Row(file, number, dict(zip(header, record, strict=True))))
    return rows


def unique(rows: Sequence[Row], column: str) -> None:
    """Refuse a text that stands twice in a column."""
    seen: dict[str, int] = {}
    for row in rows:
        found = row.text(column)
        if found in seen:
            row.refuse(f"{column} {quote(found)} repeats row {seen[found]}")
        seen[found] = row.number
