"""`gris publish` without a broker: verdicts by row, exit codes, what is printed; and the deadline on a dead broker."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result
from kafka.errors import MessageSizeTooLargeError

from deploy.local.ports import free_port
from producers.cli import publish, sample
from producers.publish import FileReport, Report, Unconfirmed
from producers.publisher import mapped
from schemas.errors import Fatal
from schemas.period import LOCAL
from tests.support.day import day_lasting

DAY = dt.datetime.now(LOCAL).date() - dt.timedelta(days=1)  # over, also when midnight passes meanwhile
HEADER = "indicator,area,breakdown,time_period,value,base,status,revision,observed_at,note"


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIS_KAFKA", f"127.0.0.1:{free_port()}")
    monkeypatch.delenv("GRIS_CATALOGUE", raising=False)


def csv_file(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "figures.csv"
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(publish, [str(word) for word in words], catch_exceptions=False)


def judged(path: Path, agency: str = "g18") -> tuple[int, list[Mapping[str, object]]]:
    found = run(path, "--agency", agency, "--dry-run", "--json")
    report = json.loads(found.stdout)
    assert report["exit_code"] == found.exit_code
    return found.exit_code, report["files"][0]["refused"]


def line(**cells: str) -> str:
    usual = {"indicator": "G18.005", "area": "01", "time_period": str(DAY), "value": "12"}
    return ",".join((usual | cells).get(column, "") for column in HEADER.split(","))


def test_a_good_file_is_accepted_with_the_defaults_of_empty_cells(tmp_path: Path) -> None:
    assert judged(csv_file(tmp_path, line(), line(area="79", status="M", value="", note="Chưa có"))) == (0, [])


@pytest.mark.parametrize(
    ("cells", "column", "reason", "remedy"),
    [
        ({"value": '"12,5"'}, "value", "BAD_NUMBER", "decimal point"),
        ({"value": "twelve"}, "value", "BAD_NUMBER", "plain number"),
        ({"value": "82.5%"}, "value", "BAD_NUMBER", "82.5 and not 82.5%"),
        ({"value": "nan"}, "value", "BAD_NUMBER", "plain number"),
        ({"value": "1_000"}, "value", "BAD_NUMBER", "plain number"),
        ({"value": "1e999"}, "value", "NOT_FINITE", ""),
        ({"value": "12.5"}, "value", "TOO_PRECISE", ""),
        ({"value": ""}, "value", "VALUE_MISSING", ""),
        ({"revision": "1.5"}, "revision", "BAD_NUMBER", "whole number"),
        ({"revision": "99999999999"}, "revision", "BAD_NUMBER", "whole number"),
        ({"revision": "-1"}, "revision", "BAD_REVISION", ""),
        ({"status": "X"}, "status", "BAD_STATUS", "A B E F I M P"),
        ({"observed_at": "23/11/2026"}, "observed_at", "BAD_DATE", "+07:00"),
        ({"observed_at": "2026-13-01"}, "observed_at", "BAD_DATE", "+07:00"),
        ({"observed_at": "2098-01-01"}, "observed_at", "OBSERVED_IN_FUTURE", ""),
        ({"time_period": "23/11/2026"}, "time_period", "BAD_PERIOD", ""),
        ({"time_period": "2099-01-01"}, "time_period", "FUTURE_PERIOD", ""),
        ({"area": "1"}, "area", "UNKNOWN_AREA", "leading zero is lost"),
        ({"area": "R7"}, "area", "AREA_NOT_ALLOWED", ""),
        ({"indicator": "G05.004"}, "indicator", "NOT_OWNER", ""),
        ({"indicator": "G99.999"}, "indicator", "UNKNOWN_INDICATOR", ""),
        ({"note": "x,surplus"}, "", "BAD_ROW", "quotes"),
    ],
)
def test_a_wrong_row_gets_its_column_reason_and_remedy(
    tmp_path: Path, cells: Mapping[str, str], column: str, reason: str, remedy: str
) -> None:
    code, refused = judged(csv_file(tmp_path, line(), line(**cells)))
    assert code == 1
    (row,) = refused
    assert (row["row"], row["column"], row["reason"]) == (3, column, reason)
    assert remedy in str(row["detail"])


@pytest.mark.parametrize(
    "cells",
    [
        {"observed_at": f"{DAY} 00:01"},
        {"observed_at": f"{DAY}T08:00:00+07:00"},
        {"value": " 12 "},
        {"value": "1.2e1"},
    ],
)
def test_the_usual_ways_of_writing_are_understood(tmp_path: Path, cells: Mapping[str, str]) -> None:
    assert judged(csv_file(tmp_path, line(**cells))) == (0, [])


def test_dates_and_numbers_of_a_workbook_become_periods_and_figures(tmp_path: Path) -> None:
    month = DAY.replace(day=1) - dt.timedelta(days=1)
    lines: Sequence[Sequence[object]] = [
        ["indicator", "area", "time_period", "value"],
        ["G13.004", "01", DAY, 24.5],
        ["G13.003", "01", dt.datetime.combine(DAY, dt.time(7)), 61],
        ["G13.005", "01", month.replace(day=1), 1200],
        ["G13.005", "04", month.replace(day=2), 1200],
        ["G13.003", "04", dt.datetime.combine(DAY, dt.time(7, 30)), 61],
    ]
    book = openpyxl.Workbook()
    for cells in lines:
        book.active.append(cells)
    book.save(tmp_path / "figures.xlsx")
    book.close()
    code, refused = judged(tmp_path / "figures.xlsx", "g13")
    assert code == 1
    assert [(row["row"], row["column"], row["reason"]) for row in refused] == [
        (5, "time_period", "BAD_DATE"),
        (6, "time_period", "BAD_DATE"),
    ]


def test_json_lines_take_numbers_and_the_raw_long(tmp_path: Path) -> None:
    usual = {"indicator": "G18.005", "area": "01", "time_period": str(DAY), "value": 12}
    lines = [usual, usual | {"observed_at": 1_700_000_000_000}, usual | {"value": True}, usual | {"area": "\ud800"}]
    path = tmp_path / "figures.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in lines), encoding="utf-8")
    _, refused = judged(path)
    assert [(row["row"], row["reason"]) for row in refused] == [(3, "BAD_NUMBER"), (4, "BAD_TEXT")]


def test_a_dry_run_shows_rows_and_summary_for_people(tmp_path: Path) -> None:
    found = run(csv_file(tmp_path, line(), line(value='"1,5"')), "--agency", "g18", "--dry-run", "--submission", "BC-7")
    assert found.exit_code == 1
    for said in ("BAD_NUMBER", "2 rows, 1 acceptable, 1 refused", "of their own: BC-7", "nothing was published"):
        assert said in found.stdout


def test_a_reference_is_made_up_and_printed_when_none_is_given(tmp_path: Path) -> None:
    path = csv_file(tmp_path, line())
    found = run(path, "--agency", "g18", "--dry-run", "--json")
    assert json.loads(found.stdout)["submission"].startswith("g18-")
    own = csv_file(tmp_path, "G18.005,01," + f"{DAY},12,my/own", header="indicator,area,time_period,value,submission")
    assert judged(own)[1][0]["reason"] == "BAD_SUBMISSION"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--agency", "nobody"], "known are g01"),
        ([], "Missing option '--agency'"),
        (["--agency", "g18", "--deadline", "0"], "--deadline"),
    ],
)
def test_a_wrong_option_is_a_usage_error(tmp_path: Path, words: Sequence[str], said: str) -> None:
    found = run(csv_file(tmp_path, line()), "--dry-run", *words)
    assert found.exit_code == 2
    assert said in found.stderr


def test_an_unreadable_file_is_a_usage_error_whatever_the_others_hold(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    found = run(csv_file(tmp_path, line()), tmp_path / "empty.csv", "--agency", "g18", "--dry-run", "--json")
    assert found.exit_code == 2
    assert json.loads(found.stdout) == {"error": "empty.csv is empty.", "exit_code": 2}


def test_a_dead_broker_ends_at_the_deadline_with_code_75(tmp_path: Path) -> None:
    found = run(csv_file(tmp_path, line()), "--agency", "g18", "--deadline", "0.5")
    assert found.exit_code == 75
    assert "GRIS_KAFKA" in found.stderr


@pytest.mark.parametrize(
    ("published", "retries", "code"),
    [(1, [False], 1), (0, [False, False], 2), (1, [False, True], 75), (0, [True], 75)],
)
def test_nothing_is_in_is_said_only_when_nothing_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: int, retries: Sequence[bool], code: int
) -> None:
    missed = tuple(Unconfirmed(row, "why", retry) for row, retry in enumerate(retries, 2))
    rows = published + len(missed)
    report = Report("g18", "S1", False, (FileReport("figures.csv", rows, rows, published, (), missed),))
    monkeypatch.setattr("producers.publish.publish_files", lambda *_: report)
    found = run(csv_file(tmp_path, line()), "--agency", "g18", "--json")
    assert (found.exit_code, json.loads(found.stdout)["exit_code"]) == (code, code)


def test_a_record_that_is_too_large_is_told_with_a_remedy_for_whoever_sends_it() -> None:
    told = mapped(MessageSizeTooLargeError(), "Not sent to gris.events.g01")
    assert isinstance(told, Fatal)
    assert str(told) == (
        "Not sent to gris.events.g01: the record is larger than 16777216 bytes, the most that a topic of events takes."
        " Its agency must publish it with a shorter note."
    )


def test_a_week_can_be_written_without_a_broker(tmp_path: Path) -> None:
    words = ["--days", "1", "--end", "2026-03-04", "--no-publish", "--out", str(tmp_path / "week")]
    found = CliRunner().invoke(sample, words, catch_exceptions=False)
    assert found.exit_code == 0
    assert "0 published" in found.stdout
    assert (tmp_path / "week" / "g18.csv").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--speed", "fast"],
        ["--speed", "0"],
        ["--live", "--no-publish"],
        ["--end", "today", "--no-publish"],
        ["--days", "0"],
    ],
)
def test_a_sample_that_cannot_be_told_is_a_usage_error(tmp_path: Path, words: Sequence[str]) -> None:
    said = [str(day_lasting(10)) if word == "today" else word for word in words]
    found = CliRunner().invoke(sample, [*said, "--out", str(tmp_path)])
    assert found.exit_code == 2
