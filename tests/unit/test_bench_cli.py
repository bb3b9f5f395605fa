"""What `gris bench` refuses before it measures anything."""

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import Mock

import pytest
from click.testing import CliRunner

from deploy.benchmark.cli import bench

COMMANDS = ([], ["faults"], ["outage"])
RUNS = ("deploy.benchmark.run.run", "deploy.faults.run.run", "deploy.faults.outage.run")


@pytest.fixture(autouse=True)
def begun(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Measure nothing: hear that it began, and end there."""
    heard = Mock(side_effect=KeyboardInterrupt)
    for name in RUNS:
        monkeypatch.setattr(name, heard)
    monkeypatch.setattr("signal.signal", Mock())
    return heard


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere/found.json", "No such file or directory"),
        ("a-file/found.json", "Not a directory"),
        ("a-folder", "is a directory"),
        ("/proc/found.json", "cannot be written"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_anything_is_measured(
    tmp_path: Path, begun: Mock, command: Sequence[str], name: str, said: str
) -> None:
    (tmp_path / "a-file").write_text("")
    (tmp_path / "a-folder").mkdir()
    ran = CliRunner().invoke(bench, [*command, "--json", str(tmp_path / name)])
    assert ran.exit_code == 2
    assert said in ran.stderr.replace("\n", " ")
    assert "--json" in ran.stderr
    begun.assert_not_called()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("before", [None, "of an earlier run"])
def test_a_file_that_can_be_written_is_left_as_it_was_until_there_is_something_to_write(
    tmp_path: Path, begun: Mock, command: Sequence[str], before: str | None
) -> None:
    file = tmp_path / "found.json"
    if before is not None:
        file.write_text(before)
    CliRunner().invoke(bench, [*command, "--json", str(file)])
    begun.assert_called_once()
    assert (file.read_text() if file.exists() else None) == before
