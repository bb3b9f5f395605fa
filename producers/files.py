"""An agency's file, row by row: CSV, XLSX or JSON Lines. The columns bear the names of the event's Avro fields.

Row numbers are those that people see: of the spreadsheet's row (the header is row 1, blank rows count), or of the line
of JSON. A file that cannot be read to its end raises UnreadableFile, which says where and what to do; a cell that only
makes no sense is left to the judge.
"""

import contextlib
import csv
import dataclasses
import datetime as dt
import difflib
import importlib.resources
import itertools
import json
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl

from schemas.errors import Fatal
from schemas.reasons import quote

_EVENT = json.loads(importlib.resources.files("schemas").joinpath("indicator_event.v1.avsc").read_text("utf-8"))
COLUMNS: tuple[str, ...] = tuple(field["name"] for field in _EVENT["fields"])
NEEDED = ("indicator", "area", "time_period", "value")

Cell = str | int | float | bool | dt.datetime | dt.date | dt.time | dt.timedelta | None

HEAD = 4096  # bytes looked at to tell the kinds of file apart
UTF16 = (b"\xff\xfe", b"\xfe\xff")
WORKBOOK = b"PK\x03\x04"
LONGEST_CELL = 1 << 21  # characters: one too long is its row's fault, a quote that is not closed is the file's
LONGEST_LINE = 16 << 20  # bytes
LARGEST_WORKBOOK = 256 << 20  # bytes of all its parts unpacked: some are read whole
LAST_ROW = 1 << 20  # of any spreadsheet
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"  # also what a workbook with a password is wrapped in


class UnreadableFile(Fatal):
    """The file as a whole cannot be taken; nothing of it is published. The text names file, row and remedy."""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One row: its number as people see it, its cells by column, and what stood beyond the header's columns."""

    number: int
    cells: Mapping[str, Cell]
    beyond: tuple[Cell, ...] = ()


def rows(path: Path) -> Iterator[Row]:
    """Read ``path`` row by row, blank rows left out; the kind of file is told by its content.

    Raises UnreadableFile at once or on the way; also when there is no row at all.
    """
    found = False
    for row in _reader(path):
        found = True
        yield row
    if not found:
        raise UnreadableFile(f"{path.name} has a header but no rows: nothing to publish.")


def _reader(path: Path) -> Iterator[Row]:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror}.") from error
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise UnreadableFile(f"{path.name} is empty.")
    if head.startswith(WORKBOOK):
        return _workbook(path)
    if head.startswith(OLD_WORKBOOK):
        raise UnreadableFile(f"{path.name} is an old or locked Excel file: save it as .xlsx without a password.")
    if head.startswith(UTF16):
        raise UnreadableFile(f'{path.name} is UTF-16: save it as "CSV UTF-8".')
    if b"\0" in head or path.suffix.lower() in {".xlsx", ".xls"}:
        raise UnreadableFile(f"{path.name} is neither text nor a workbook: give CSV (UTF-8), .xlsx or JSON Lines.")
    if text.startswith(b"["):
        raise UnreadableFile(f"{path.name} is one JSON array: write JSON Lines, one object on each line.")
    return _json_lines(path) if text.startswith(b"{") else _csv(path)


def _lines(path: Path) -> Iterator[str]:
    """Decode line by line, so that a fault is reported with the line it is on."""
    with path.open("rb") as file:
        for number in itertools.count(1):
            line = file.readline(LONGEST_LINE + 1)
            if not line:
                return
            if len(line) > LONGEST_LINE:
                raise UnreadableFile(
                    f"{path.name}, line {number}: longer than {LONGEST_LINE >> 20} MiB; write one row on each line."
                )
            if b"\0" in line:
                raise UnreadableFile(f"{path.name}, line {number}: a zero byte; this is not a text file.")
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise UnreadableFile(
                    f'{path.name}, line {number}, byte {error.start + 1}: not UTF-8; save the file as "CSV UTF-8".'
                ) from error


def _csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_CELL)  # of the process; the default refuses what a row can be refused for
    lines = _lines(path)
    blank = 0  # a spreadsheet shows the blank lines above the header too
    for first in lines:
        if first.strip():
            break
        blank += 1
    table = csv.reader(_from(first, lines), delimiter=_delimiter(first), strict=True)
    number = blank
    header: tuple[str, ...] = ()
    try:
        for number, cells in enumerate(table, blank + 1):
            if not header:
                header = _header(path, cells)
            elif any(cell.strip() for cell in cells):
                yield _row(number, header, cells)
    except csv.Error as error:
        raise UnreadableFile(
            f"{path.name}, after row {number}: not CSV ({error}); check the quotes and line ends there."
        ) from error


def _from(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter(header: str) -> str:
    return ";" if header.count(";") > header.count(",") else ","


def _workbook(path: Path) -> Iterator[Row]:
    header: tuple[str, ...] = ()
    for number, cells in _sheet(path):
        if all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells):
            continue
        if not header:
            header = _header(path, cells)
        else:
            yield _row(number, header, cells)
    if not header:
        raise UnreadableFile(f"{path.name}: the first sheet is empty; put the table there.")


def _sheet(path: Path) -> Iterator[tuple[int, list[Cell]]]:
    """Read the first sheet with its row numbers; formulas by the values that the spreadsheet last computed."""
    try:
        # As an open file: given a path, openpyxl goes by its suffix.
        with path.open("rb") as file:
            _check_size(path, zipfile.ZipFile(file))
            with _quiet():
                book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some programs write a wrong size; read what there is
            for number, line in enumerate(_quietly(sheet.iter_rows()), 1):
                if number > LAST_ROW:
                    raise UnreadableFile(f"{path.name}: a row beyond {LAST_ROW}; no spreadsheet has so many.")
                yield number, [_seen(cell) for cell in line]
    except (zipfile.BadZipFile, KeyError, IndexError, ValueError, TypeError, EOFError, OSError, ParseError) as error:
        raise UnreadableFile(
            f"{path.name} is not a workbook that can be read ({type(error).__name__}): save it again as .xlsx."
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence openpyxl about what only matters to writers, and about dates that are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _quietly(lines: Iterator[Any]) -> Iterator[Any]:
    while True:
        with _quiet():
            line = next(lines, None)
        if line is None:
            return
        yield line


def _check_size(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse a workbook that would fill memory; a part that holds more than its entry says is cut off there."""
    size = sum(part.file_size for part in archive.infolist())
    if size > LARGEST_WORKBOOK:
        raise UnreadableFile(
            f"{path.name} unpacks to {size >> 20} MiB, {LARGEST_WORKBOOK >> 20} are allowed: save the table as"
            ' "CSV UTF-8", which may be of any size.'
        )


def _seen(cell: Any) -> Cell:
    """Give a cell as the spreadsheet shows it, where what it stores would mislead: 82% is stored as 0.82, 01 as 1."""
    value: Cell = cell.value
    shape: str | None = getattr(cell, "number_format", None)  # a cell that was never filled has none
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if shape and "%" in shape:
        return f"{value * 100:.15g}%"
    if isinstance(value, float):
        value = float(f"{value:.15g}")  # spreadsheets compute and show 15 digits; the rest is binary noise
    if shape and len(shape) > 1 and set(shape) == {"0"} and value == int(value):
        return f"{int(value):0{len(shape)}}"
    return value


def _json_lines(path: Path) -> Iterator[Row]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path.name}, line {number}"
        try:
            found = json.loads(line, object_pairs_hook=_Pairs)
        except (ValueError, RecursionError) as error:
            raise UnreadableFile(f"{where}: not JSON ({error}); write one whole object on each line.") from error
        if not isinstance(found, _Pairs):
            raise UnreadableFile(f"{where}: not an object; write {{...}} on each line.")
        _check_names(where, [name for name, _ in found])
        yield Row(number, {name: _scalar(where, name, cell) for name, cell in found})


class _Pairs(list[tuple[str, object]]):
    """A JSON object as it was written, so that a name given twice is seen."""


def _scalar(where: str, name: str, found: object) -> Cell:
    if found is None or isinstance(found, str | int | float):
        return found
    raise UnreadableFile(f"{where}: {name} holds a list or an object; write a text, a number or null.")


def _header(path: Path, cells: Sequence[Cell]) -> tuple[str, ...]:
    names = ["" if cell is None else str(cell).strip().lower() for cell in cells]
    while names and not names[-1]:
        names.pop()
    _check_names(f"{path.name}, header", names)
    return tuple(names)


def _check_names(where: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UnreadableFile(f"{where}: column {quote(name)} is there twice; keep one.")
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, 1)
            hint = f"did you mean {near[0]}? Allowed are" if near else "allowed are"
            raise UnreadableFile(
                f"{where}: unknown column {quote(name)}, {hint} {', '.join(COLUMNS)} (separated by , or ; in CSV)."
            )
        seen.add(name)
    missing = [name for name in NEEDED if name not in seen]
    if missing:
        raise UnreadableFile(f"{where}: column {', '.join(missing)} is missing; needed are {', '.join(NEEDED)}.")


def _row(number: int, header: tuple[str, ...], cells: Sequence[Cell]) -> Row:
    beyond = tuple(cell for cell in cells[len(header) :] if cell is not None and cell != "")
    return Row(number, dict(zip(header, cells, strict=False)), beyond)
