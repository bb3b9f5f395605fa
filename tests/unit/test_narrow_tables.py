"""A check and a rebuild at a terminal of 80 columns: every partition on one line, and no figure cut off."""

import pytest

from deploy.rebuild import view
from sinks.clickhouse import check_view
from sinks.clickhouse.check import Difference, Report
from sinks.clickhouse.compare import Comparison, Ledgers
from sinks.clickhouse.conservation import Partition
from sinks.clickhouse.ledger import Position
from sinks.clickhouse.verdicts import Verdict

TOPIC = "gris.events.g18"
NEXT, ACCEPTED, REJECTED, AHEAD = 923_456_789, 913_456_789, 10_000_000, 12_345_678
DIFFERENCE = Difference(
    bucket="2026-11-23T06:00:00/PT6H",
    indicator="G18.004",
    breakdown="revenue:DOMESTIC",
    area="79",
    column="areas_expected",
    expected="1234567890.123456",
    found="1234567890.654321",
)


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    """Give what was printed; nothing of it may stand for something cut off."""
    text = capsys.readouterr().out
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    return text


def test_a_check(capsys: pytest.CaptureFixture[str]) -> None:
    one = Partition(TOPIC, 0, NEXT, ACCEPTED, REJECTED, 0, ACCEPTED, REJECTED, 0, 0, 0, AHEAD)
    report = Report((one,), 1, 0, (), (), 0.1)
    check_view.show(report)
    [line] = [line for line in shown(capsys).splitlines() if TOPIC in line]
    assert line.split() == [f"{TOPIC}/0", *map(str, (NEXT, ACCEPTED, REJECTED, 0, AHEAD)), "ok"]


def test_totals_that_differ(capsys: pytest.CaptureFixture[str]) -> None:
    check_view.show(Report((), 1, 1, (DIFFERENCE,), (), 0.1))
    assert "NOT CLEAN" in shown(capsys)


def test_ledgers_and_verdicts_of_a_rebuild(capsys: pytest.CaptureFixture[str]) -> None:
    at = Position(TOPIC, 0, NEXT, ACCEPTED, REJECTED, 0, "a" * 16, "id", 1)
    verdict = Verdict("g18", "", "UNKNOWN_BREAKDOWN", ACCEPTED, f"{TOPIC}:0:{NEXT}")
    found = Comparison((Ledgers(TOPIC, 0, at, at, NEXT, NEXT),), NEXT, (verdict,), 1, 1, (DIFFERENCE,), (), 0.1)
    view.comparison(found, diff=True, as_json=False)
    lines = shown(capsys).splitlines()
    [line] = [line for line in lines if f"{TOPIC}/0" in line]
    assert line.split() == [f"{TOPIC}/0", *[str(NEXT)] * 3, "ok"]
    [line] = [line for line in lines if f"{TOPIC}:0" in line]
    assert line.split() == ["g18", "nothing", "UNKNOWN_BREAKDOWN", str(ACCEPTED), f"{TOPIC}:0:{NEXT}"]
