"""Any file is rows or one sentence; any row is an event or one cell at fault; any event can be written and judged."""

import decimal
import functools
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from producers.cells import CellError, CellReason, Defaults, event_of
from producers.files import Cell, Row, UnreadableFile, rows
from producers.judge import Judge
from schemas.codec import EVENT_COLUMNS, STATUSES, EventCodec, encode_event
from schemas.registry import BundledSchemas
from tests.fuzz.codec import decode
from tests.support.judging import NOW, bundled

DEFAULTS = Defaults("S1", NOW)
HEADER = b"indicator,area,time_period,value,base,status,revision,observed_at,note\n"
PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/styles.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="xl/workbook.xml" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
    '<sheets><sheet name="a" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="worksheets/sheet1.xml" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"/>'
    '<Relationship Id="rId2" Target="styles.xml" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles"/></Relationships>',
    "xl/styles.xml": '<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    '<cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/>'
    '<xf numFmtId="9" applyNumberFormat="1"/></cellXfs></styleSheet>',
}


def check(data: bytes) -> None:
    """Take bytes as the whole of a file, or (first byte 0xFF) as what follows a good header."""
    found = _read(HEADER + data[1:] if data[:1] == b"\xff" else data)
    if found is not None:
        check_rows(found)


def check_sheet(data: bytes) -> None:
    """Take bytes as the sheet inside a workbook."""
    with tempfile.NamedTemporaryFile(suffix=".xlsx") as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name, text in PARTS.items():
                archive.writestr(name, text)
            archive.writestr("xl/worksheets/sheet1.xml", data)
        file.flush()
        found = _rows(Path(file.name))
    if found is not None:
        check_rows(found)


def check_cell(data: bytes) -> None:
    """Take bytes as one cell: of a number (against decimals), a whole number, a date and a text."""
    text = data.decode("utf-8", "replace").replace("\0", "")
    usual = {"indicator": "G18.005", "area": "01", "time_period": "2026-11-23"}
    columns = ("value", "revision", "observed_at", "note", "status", "time_period")
    cells: list[tuple[str, Cell]] = [(column, text) for column in columns]
    cells += [
        (column, found) for found in _json_numbers(text) for column in ("value", "observed_at", "area", "revision")
    ]
    check_rows([Row(number, usual | {column: cell}) for number, (column, cell) in enumerate(cells, 2)])
    expected = plain_number(text.strip())
    row = Row(2, {"indicator": "a", "area": "b", "time_period": "2026", "value": text})
    try:
        value = event_of(row, DEFAULTS, bundled()[0])["value"]
    except CellError as error:
        assert expected is None, text
        assert (error.column, error.reason) == ("value", CellReason.BAD_NUMBER)
        return
    assert value == (expected if text.strip() else None), text


def check_rows(found: Iterable[Row]) -> None:
    """Raise when a row has neither an event nor a sentence, or an event cannot be written, read back or judged."""
    found = list(found)
    events = []
    for row in found:
        try:
            events.append(event_of(row, DEFAULTS, bundled()[0]))
        except CellError as error:
            assert 10 < len(error.detail) < 1_200, error.detail
            error.detail.encode()
    decoded = decode(_codec(), [encode_event(event) for event in events])
    assert not decoded.refused
    read = [repr({**row, "status": STATUSES[row["status"]]}) for row in decoded.batch.to_pylist()]
    assert read == [repr({name: event[name] for name in EVENT_COLUMNS.names}) for event in events]
    verdict = _judge().judge(found)
    assert {row.number for row in found} == {one.row for one in (*verdict.encoded, *verdict.refused)}
    for refused in verdict.refused:
        assert 10 < len(refused.detail) < 1_200, refused.detail


def plain_number(text: str) -> float | None:
    """Read a decimal number by its characters; None for what is none."""
    body = text.lower().removeprefix("+") if text[:1] == "+" else text.lower().removeprefix("-")
    mantissa, exponent_mark, exponent = body.partition("e")
    whole, point, part = mantissa.partition(".")
    sign_free = exponent[1:] if exponent[:1] in {"+", "-"} else exponent
    needed = [whole, *([part] if point else []), *([sign_free] if exponent_mark else [])]
    if not all(digits and set(digits) <= set("0123456789") for digits in needed):
        return None
    try:
        return float(decimal.Decimal(text))
    except decimal.DecimalException:
        return float(text)  # an exponent of more digits than a Decimal takes


def _json_numbers(text: str) -> list[float | int]:
    try:
        number = float(text)
    except ValueError:
        return []
    whole = [int(text)] if text.strip().lstrip("+-").isdigit() and text.isascii() and len(text) < 4000 else []
    return [number, *whole]


def _read(content: bytes) -> list[Row] | None:
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(content)
        file.flush()
        return _rows(Path(file.name))


def _rows(path: Path) -> list[Row] | None:
    try:
        return list(rows(path))
    except UnreadableFile as error:
        assert path.name in str(error)
        assert 20 < len(str(error)) < 1_600, error
        str(error).encode()
        return None


@functools.cache
def _judge() -> Judge:
    return Judge(bundled()[0], "g18", 1, NOW, DEFAULTS)


@functools.cache
def _codec() -> EventCodec:
    return EventCodec(BundledSchemas())
