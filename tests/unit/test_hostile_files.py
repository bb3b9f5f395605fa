"""Files that are hostile or broken: read in bounded memory and time, and told about in a sentence or row by row."""

import datetime as dt
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.local.ports import free_port
from producers import publish as publishing
from producers.cli import publish
from producers.files import UnreadableFile, rows
from schemas.period import LOCAL
from tests.fuzz import files, seeds

HEADER = "indicator,area,time_period,value,note"
DAY = str(dt.datetime.now(LOCAL).date() - dt.timedelta(days=1))
GOOD = f"G18.005,01,{DAY},12,"
MILLION = 1_000_000


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIS_KAFKA", f"127.0.0.1:{free_port()}")
    monkeypatch.delenv("GRIS_CATALOGUE", raising=False)


def written(folder: Path, content: str | bytes, name: str = "figures.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def verdict(path: Path) -> list[tuple[int, str, str]]:
    """Judge a file; answers row, column and reason of each refusal, which all have a remedy."""
    found = CliRunner().invoke(publish, [str(path), "--agency", "g18", "--dry-run", "--json"], catch_exceptions=False)
    refused = json.loads(found.stdout)["files"][0]["refused"]
    assert all(10 < len(row["detail"]) < 1_200 for row in refused)
    return [(row["row"], row["column"], row["reason"]) for row in refused]


def fault(path: Path) -> str:
    """Have a file refused as a whole; answers the sentence, which the program gives with exit code 2."""
    with pytest.raises(UnreadableFile) as caught:
        list(rows(path))
    found = CliRunner().invoke(publish, [str(path), "--agency", "g18", "--dry-run"], catch_exceptions=False)
    assert found.exit_code == 2
    assert path.name in str(caught.value)
    assert len(str(caught.value)) < 600
    return str(caught.value)


@pytest.mark.parametrize("character", ["x", "ế", "\u0000x", "😀"], ids=["ascii", "viet", "nul", "emoji"])
def test_a_cell_of_a_million_characters_is_its_row_s_fault(tmp_path: Path, character: str) -> None:
    path = written(tmp_path, f'{HEADER}\n{GOOD}\n{GOOD}"{character * MILLION}"\n{GOOD}\n')
    if "\0" in character:
        assert "neither text nor a workbook" in fault(path)
    else:
        assert verdict(path) == [(3, "note", "BAD_NOTE")]


@pytest.mark.parametrize("column", ["indicator", "area", "time_period", "value", "submission", "status"])
def test_a_million_characters_in_any_column_are_named_by_row_and_column(tmp_path: Path, column: str) -> None:
    usual = dict(zip(HEADER.split(","), GOOD.split(","), strict=True)) | {column: "9" * MILLION}
    path = written(tmp_path, ",".join(usual) + "\n" + ",".join(usual.values()) + "\n")
    ((row, at, _),) = verdict(path)
    assert (row, at) == (2, column)


def test_a_quote_that_is_not_closed_does_not_swallow_a_file_of_any_size(tmp_path: Path) -> None:
    path = written(tmp_path, f'{HEADER}\n{GOOD}"\n' + f"{GOOD}\n" * 200_000)
    assert "after row 1: not CSV" in fault(path)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "neither text nor a workbook"),
        ("utf-16-be", "neither text nor a workbook"),
        ("utf-32", "UTF-16"),
        ("cp1258", "not UTF-8"),
    ],
)
def test_a_file_in_another_encoding_is_told_how_to_be_saved(tmp_path: Path, encoding: str, said: str) -> None:
    text = f"{HEADER}\n{GOOD}Đ\n"
    assert said in fault(written(tmp_path, text.encode(encoding)))


def test_line_ends_of_all_kinds_may_be_mixed_but_for_bare_carriage_returns(tmp_path: Path) -> None:
    path = written(tmp_path, f"\ufeff{HEADER}\r\n{GOOD}\n{GOOD}\r\n\r\n\n{GOOD}a\u2028b\u0085\n")
    assert [row.number for row in rows(path)] == [2, 3, 6]
    assert verdict(path) == []
    assert "line ends" in fault(written(tmp_path, f"{HEADER}\r{GOOD}\r{GOOD}\r"))


def test_one_line_of_any_length_is_not_read_whole(tmp_path: Path) -> None:
    assert "line 2: longer than 16 MiB" in fault(written(tmp_path, f"{HEADER}\n" + "x" * (17 << 20)))
    assert "line 1: longer than 16 MiB" in fault(written(tmp_path, '{"a": "' + "x" * (17 << 20), "figures.jsonl"))


JSON = {"indicator": "G18.005", "area": "01", "time_period": DAY, "value": 12}


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        (json.dumps(JSON | {"value": float("nan")}), (1, "value", "NOT_FINITE")),
        (json.dumps(JSON | {"value": float("-inf")}), (1, "value", "NOT_FINITE")),
        (json.dumps(JSON).replace("12}", "1e999}"), (1, "value", "NOT_FINITE")),
        (json.dumps(JSON | {"value": 10**400}), (1, "value", "BAD_NUMBER")),
        (json.dumps(JSON | {"value": 10**18}), (1, "value", "OUT_OF_RANGE")),
        (json.dumps(JSON | {"value": True}), (1, "value", "BAD_NUMBER")),
        (json.dumps(JSON | {"revision": 2**31}), (1, "revision", "BAD_NUMBER")),
        (json.dumps(JSON | {"observed_at": 2**63}), (1, "observed_at", "BAD_DATE")),
        (json.dumps(JSON | {"observed_at": -(2**63)}), (1, "observed_at", "BAD_OBSERVED_AT")),
        (json.dumps(JSON | {"observed_at": "0001-01-01"}), (1, "observed_at", "BAD_OBSERVED_AT")),
        (json.dumps(JSON | {"observed_at": "9999-12-31T23:59:59-23:59"}), (1, "observed_at", "BAD_OBSERVED_AT")),
        (json.dumps(JSON | {"time_period": "0001-01-01"}), (1, "time_period", "BAD_PERIOD")),
        (json.dumps(JSON | {"time_period": "9999-12-31"}), (1, "time_period", "BAD_PERIOD")),
        (json.dumps(JSON | {"area": "\ud800"}), (1, "area", "BAD_TEXT")),
        (json.dumps(JSON | {"area": "\u202e10"}), (1, "area", "UNKNOWN_AREA")),
        (json.dumps(JSON | {"area": "01\u0301"}), (1, "area", "UNKNOWN_AREA")),
        (json.dumps(JSON | {"area": "0\u00001"}), (1, "area", "UNKNOWN_AREA")),
    ],
)
def test_a_value_of_json_that_makes_no_sense_is_named(tmp_path: Path, line: str, refused: tuple[int, str, str]) -> None:
    assert verdict(written(tmp_path, line + "\n", "figures.jsonl")) == [refused]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"indicator": "a", "value": 1, "value": 2}', "line 1: column 'value' is there twice"),
        ('{"value": ' + "9" * 5_000 + "}", "line 1: not JSON"),
        ('{"value": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}", "line 1: not JSON"),
        ('{"value": ' + "[" * 900 + "]" * 900 + "}", "line 1: "),
        ("{}", "is missing"),
        ('{"a": 1} {"b": 2}', "line 1: not JSON"),
    ],
)
def test_a_line_of_json_that_cannot_be_taken_is_told(tmp_path: Path, line: str, said: str) -> None:
    assert said in fault(written(tmp_path, line + "\n", "figures.jsonl"))


def workbook(folder: Path, sheet: str | Iterator[bytes], parts: Mapping[str, str] | None = None) -> Path:
    """Zip a workbook by hand, whatever the sheet holds."""
    path = folder / "figures.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (files.PARTS | (parts or {})).items():
            archive.writestr(name, text)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            for piece in [sheet.encode()] if isinstance(sheet, str) else sheet:
                part.write(piece)
    return path


def test_a_workbook_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = workbook(tmp_path, iter([b" " * (1 << 20)] * 1_100))
    assert path.stat().st_size < 3 << 20
    assert "unpacks to 1100 MiB, 256 are allowed" in fault(path)


def test_a_sheet_whose_rows_count_on_for_ever_ends_at_the_last_row_of_a_spreadsheet(tmp_path: Path) -> None:
    path = workbook(tmp_path, seeds.SHEET.replace('<row r="3">', '<row r="99999999999">'))
    assert "a row beyond 1048576" in fault(path)


def test_entities_that_multiply_are_refused(tmp_path: Path) -> None:
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    sheet = seeds.SHEET.replace(">G18.005<", ">&a11;<")
    assert "not a workbook that can be read" in fault(workbook(tmp_path, f"<!DOCTYPE x [{entities}]>{sheet}"))
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + seeds.SHEET.replace(">G18.005<", ">&a;<")
    assert "not a workbook that can be read" in fault(workbook(tmp_path, outside))


def test_a_formula_counts_by_its_last_value_and_one_without_or_with_a_fault_is_named(tmp_path: Path) -> None:
    cells = [
        '<c r="D2"><f>6+6</f><v>12</v></c>',
        '<c r="D3"><f>6+6</f></c>',
        '<c r="D4" t="e"><f>1/0</f><v>#DIV/0!</v></c>',
        '<c r="D5" t="str"><f>HYPERLINK("x")</f><v>=cmd</v></c>',
    ]
    texts = "".join(
        f'<row r="{row}"><c r="A{row}" t="str"><v>G18.005</v></c><c r="B{row}" t="str"><v>01</v></c>'
        f'<c r="C{row}" t="str"><v>{DAY}</v></c>{cell}</row>'
        for row, cell in enumerate(cells, 2)
    )
    head = seeds.SHEET[: seeds.SHEET.index('<row r="2">')]
    assert verdict(workbook(tmp_path, f"{head}{texts}</sheetData></worksheet>")) == [
        (3, "value", "VALUE_MISSING"),
        (4, "value", "BAD_NUMBER"),
        (5, "value", "BAD_NUMBER"),
    ]


def test_a_file_that_is_wrong_throughout_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "MOST_REFUSED", 100)
    path = written(tmp_path, f"{HEADER}\n" + "G18.005,nowhere,2026,1,\n" * 200)
    found = CliRunner().invoke(publish, [str(path), "--agency", "g18", "--dry-run"], catch_exceptions=False)
    assert found.exit_code == 2
    assert "more than 100 rows are refused, the first is row 2 (time_period" in found.output


READING = """
import sys
sys.argv = ["publish", {file!r}, "--agency", "g18", "--dry-run", "--json"]
from producers.cli import publish
try:
    publish()
finally:
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
"""


def test_a_file_of_two_hundred_megabytes_is_judged_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "figures.csv"
    note = "n" * 1_900
    with path.open("w", encoding="ascii") as file:
        file.write(f"{HEADER}\n")
        for _ in range(105):
            file.write(f"{GOOD}{note}\n" * 1_000)
    assert path.stat().st_size > 200_000_000
    ran = subprocess.run(
        [sys.executable, "-c", READING.format(file=str(path))],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert json.loads(ran.stdout)["files"][0]["accepted"] == 105_000
    assert int(ran.stderr.split()[-1]) < 450 << 10
