"""The program `gris`: every command in its help can be called, and failures are a sentence and an exit code."""

import json
import os
import resource
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from deploy.cli import COMMANDS, Program, program
from deploy.local.ports import free_port
from schemas.errors import Fatal, GrisError, Retry


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_help_can_be_called(name: str) -> None:
    shown = CliRunner().invoke(program, [name, "--help"])
    assert (shown.exit_code, shown.exception) == (0, None)
    assert shown.output.startswith(f"Usage: program {name}")


def test_help_imports_no_heavy_library_and_is_there_at_once() -> None:
    seen = (
        "import sys, deploy.cli; print(sorted({'pyarrow', 'numpy', 'kafka', 'faust', 'structlog'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", seen], check=True, capture_output=True, text=True).stdout == "[]\n"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, "-m", "deploy.cli", "--help"], check=True, capture_output=True)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1.0  # seconds of a processor; it takes 0.1


@pytest.mark.parametrize(("error", "code"), [(Fatal("Set GRIS_KAFKA."), 1), (Retry("Wait a moment."), 75)])
def test_an_error_of_ours_is_one_sentence_on_stderr_and_an_exit_code(error: GrisError, code: int) -> None:
    @click.group(cls=Program)
    def failing() -> None:
        raise error

    shown = CliRunner().invoke(failing, ["status"])
    assert (shown.exit_code, shown.stdout, shown.stderr) == (code, "", f"gris: {error}\n")


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(program, ["publsih"]).exit_code == 2


def test_logs_are_one_json_object_a_line_when_nobody_watches() -> None:
    code = (
        "import logging, structlog; from deploy import logs; logs.configure();"
        "structlog.get_logger('ours').info('stored', topic='t'); logging.getLogger('theirs').warning('odd %s', 'thing')"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    ours, theirs = map(json.loads, ran.stderr.splitlines())
    assert (ours["event"], ours["topic"], ours["level"], ours["logger"]) == ("stored", "t", "info", "ours")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("odd thing", "warning", "theirs")


@pytest.mark.parametrize("words", [["check"], ["rejects", "count"]])
def test_a_database_that_is_away_is_one_line_and_no_log_of_attempts(words: list[str]) -> None:
    away = f"http://127.0.0.1:{free_port()}/gris"
    command = [sys.executable, "-m", "deploy.cli", *words]
    ran = subprocess.run(
        command, env=os.environ | {"GRIS_CLICKHOUSE": away}, check=False, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout) == (75, "")
    (told,) = ran.stderr.splitlines()
    assert told.startswith("gris: ClickHouse cannot be reached")
