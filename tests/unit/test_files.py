"""Files of agencies: what is read as which rows, and which sentence a defect gets."""

import contextlib
import datetime as dt
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.files import COLUMNS, NEEDED, Row, UnreadableFile, rows

HEADER = "indicator,area,time_period,value"
LINE = "G18.001,01,2026-11-23T06:00:00/PT6H,12"


def written(folder: Path, content: str | bytes, name: str = "figures.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def workbook(folder: Path, lines: Sequence[Sequence[object]], formats: dict[str, str] | None = None) -> Path:
    book = openpyxl.Workbook()
    for line in lines:
        book.active.append(line)
    for cell, shape in (formats or {}).items():
        book.active[cell].number_format = shape
    path = folder / "figures.xlsx"
    book.save(path)
    book.close()
    return path


def fault(path: Path) -> str:
    with pytest.raises(UnreadableFile) as caught:
        list(rows(path))
    assert path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_csv_is_read_with_either_delimiter_line_end_and_byte_order_mark(
    tmp_path: Path, mark: bytes, end: str, delimiter: str
) -> None:
    text = end.join((HEADER, LINE, "")).replace(",", delimiter)
    (row,) = rows(written(tmp_path, mark + text.encode()))
    assert row == Row(2, {"indicator": "G18.001", "area": "01", "time_period": LINE.split(",")[2], "value": "12"})


def test_rows_are_numbered_as_a_spreadsheet_shows_them_blank_ones_counted(tmp_path: Path) -> None:
    path = written(tmp_path, f'\n{HEADER},note\n{LINE},\n\n,,,,\n{LINE},"two\nlines"\n{LINE},x\n')
    assert [row.number for row in rows(path)] == [3, 6, 7]


def test_a_quoted_cell_holds_delimiters_quotes_and_line_ends(tmp_path: Path) -> None:
    (row,) = rows(written(tmp_path, f'{HEADER},note\n{LINE},"a; ""b"",\nc"\n'))
    assert row.cells["note"] == 'a; "b",\nc'


def test_headers_are_taken_in_any_order_case_and_with_blanks_around(tmp_path: Path) -> None:
    (row,) = rows(written(tmp_path, " Value ,TIME_PERIOD, area,indicator,,\n12,2026,01,G01.001,,\n"))
    assert row.cells == {"value": "12", "time_period": "2026", "area": "01", "indicator": "G01.001"}
    assert row.beyond == ()


def test_cells_beyond_the_header_are_kept_for_the_judge(tmp_path: Path) -> None:
    (row,) = rows(written(tmp_path, f"{HEADER}\n{LINE},5\n"))
    assert row.beyond == ("5",)


def test_a_short_row_lacks_its_last_cells(tmp_path: Path) -> None:
    (row,) = rows(written(tmp_path, f"{HEADER}\nG18.001,01\n"))
    assert "value" not in row.cells


def test_a_workbook_gives_numbers_dates_and_texts_as_cells(tmp_path: Path) -> None:
    day = dt.datetime(2026, 11, 23)  # noqa: DTZ001 - a spreadsheet knows no zones
    path = workbook(
        tmp_path, [HEADER.split(","), [None] * 4, ["G18.005", "01", day, 12.5], ["G18.005", "79", "2026", 3]]
    )
    first, second = rows(path)
    assert first == Row(3, {"indicator": "G18.005", "area": "01", "time_period": day, "value": 12.5})
    assert second == Row(4, {"indicator": "G18.005", "area": "79", "time_period": "2026", "value": 3})


def test_a_workbook_cell_is_taken_as_it_is_shown(tmp_path: Path) -> None:
    lines = [HEADER.split(","), ["a", 1, "2026", 0.825], ["a", "01", "2026", 0.1 + 0.2]]
    first, second = rows(workbook(tmp_path, lines, {"B2": "00", "D2": "0.0%"}))
    assert (first.cells["area"], first.cells["value"]) == ("01", "82.5%")
    assert second.cells["value"] == 0.3


def test_only_the_first_sheet_of_a_workbook_is_read(tmp_path: Path) -> None:
    path = workbook(tmp_path, [HEADER.split(","), LINE.split(",")])
    book = openpyxl.load_workbook(path)
    book.create_sheet("more").append(["anything"])
    book.save(path)
    book.close()
    assert len(list(rows(path))) == 1


def test_json_lines_give_their_values_and_line_numbers(tmp_path: Path) -> None:
    figure = {"indicator": "G18.001", "area": "01", "time_period": "2026", "value": None, "status": "M"}
    text = f"{json.dumps(figure)}\n\n{json.dumps(figure | {'value': 2.5})}\n"
    first, second = rows(written(tmp_path, text, "figures.jsonl"))
    assert first == Row(1, figure)
    assert (second.number, second.cells["value"]) == (3, 2.5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \n", "is empty"),
        (HEADER + "\n", "header but no rows"),
        ("indicator,area,value\na,b,1\n", "time_period is missing"),
        ("indicator\tarea\ttime_period\tvalue\n", "separated by , or ;"),
        (HEADER + ",teh_note\n", "unknown column 'teh_note'"),
        (HEADER + ",revison\n", "did you mean revision?"),
        (HEADER + ",area\n" + LINE + ",01\n", "column 'area' is there twice"),
        (f"{HEADER}\n{LINE}\n".encode() + b"G18.001,\xd0\xff,2026,1\n", "line 3, byte 9: not UTF-8"),
        (f"{HEADER}\n".encode("utf-16"), "UTF-16"),
        (bytes(range(256)), "neither text nor a workbook"),
        (f"{HEADER}\n".encode() + b" " * 5_000 + b"\0\n", "line 2: a zero byte"),
        (f'{HEADER}\n{LINE}\n"G18.001,01,2026,1\n', "after row 2: not CSV"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 600, "old or locked Excel"),
        (b"PK\x03\x04 nonsense", "not a workbook that can be read"),
        ('[{"indicator": "a"}]', "JSON Lines, one object on each line"),
    ],
)
def test_a_file_with_a_defect_is_refused_with_a_sentence(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert said in fault(written(tmp_path, content))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"indicator": "a", ', "line 2: not JSON"),
        ("[1]", "line 2: not an object"),
        ('{"indicator": "a", "area": "b", "time_period": "2026"}', "column value is missing"),
        ('{"indicator": "a", "indicator": "b"}', "column 'indicator' is there twice"),
        ('{"indicator": "a", "colour": "b"}', "unknown column 'colour'"),
        ('{"indicator": ["a"], "area": "b", "time_period": "2026", "value": 1}', "indicator holds a list"),
        ("[" * 100_000, "line 2: not JSON"),
    ],
)
def test_a_defective_line_of_json_is_named(tmp_path: Path, line: str, said: str) -> None:
    good = '{"indicator": "a", "area": "b", "time_period": "2026", "value": 1}'
    assert said in fault(written(tmp_path, f"{good}\n{line}\n", "figures.jsonl"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "No such file" in fault(tmp_path / "none.csv")
    assert "directory" in fault(tmp_path)


def test_a_zip_that_is_no_workbook_and_an_empty_workbook_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "figures.xlsx"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.txt", "b")
    assert "not a workbook that can be read" in fault(other)
    assert "first sheet is empty" in fault(workbook(tmp_path, []))
    assert "neither text nor a workbook" in fault(written(tmp_path, HEADER, "figures.xls"))


def test_the_columns_are_the_fields_of_the_event() -> None:
    assert set(NEEDED) < set(COLUMNS)
    assert COLUMNS[0] == "submission"


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_a_sentence(content: bytes) -> None:
    import tempfile  # noqa: PLC0415 - hypothesis runs many examples in one test's tmp_path

    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), f"{HEADER}\n".encode() + content)
        with contextlib.suppress(UnreadableFile):
            assert all(row.number > 1 for row in rows(path))
