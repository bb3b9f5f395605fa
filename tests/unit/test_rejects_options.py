"""Which rejects are meant: places and moments as people write them."""

import datetime as dt
from collections.abc import Mapping
from unittest.mock import Mock

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from deploy.cli import program
from schemas.period import LOCAL
from sinks import rejects_cli
from sinks.clickhouse.rejects import Place, State
from sinks.rejects_options import Moment, selected
from sinks.rejects_view import plain


def test_a_place_is_topic_partition_and_offset_and_reads_back() -> None:
    place = Place("gris.events.g01", 0, 17)
    assert str(place) == "gris.events.g01:0:17"
    assert Place.parse(str(place)) == place


@pytest.mark.parametrize(
    "text", ["", "17", "g01:17", ":0:17", "t:0:", "t:-1:17", "t:0:1.5", "t:٣:1", "t:0:" + "9" * 19]
)
def test_what_is_no_place_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not TOPIC:PARTITION:OFFSET, as in gris\.events\.g01:0:17"):
        Place.parse(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23", dt.datetime(2026, 11, 23, tzinfo=LOCAL)),
        ("2026-11-23T06:30", dt.datetime(2026, 11, 23, 6, 30, tzinfo=LOCAL)),
        ("2026-11-23T06:30:00Z", dt.datetime(2026, 11, 23, 13, 30, tzinfo=LOCAL)),
    ],
)
def test_a_moment_without_an_offset_is_viet_nam_s(text: str, moment: dt.datetime) -> None:
    assert Moment().convert(text, None, None) == moment
    with pytest.raises(click.BadParameter):
        Moment().convert("yesterday", None, None)


def test_without_a_word_the_open_rejects_are_meant() -> None:
    assert selected().state is State.OPEN


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("list", {"": State.OPEN, "--open": State.OPEN, "--closed": State.CLOSED, "--all": State.ALL}),
        ("count", {"": State.ALL, "--open": State.OPEN, "--closed": State.CLOSED, "--all": State.ALL}),
    ],
)
def test_a_list_is_of_what_is_open_and_a_count_of_all_where_nothing_else_is_asked(
    monkeypatch: pytest.MonkeyPatch, command: str, meant: Mapping[str, State]
) -> None:
    stored = Mock(find=Mock(return_value=[]), count=Mock(return_value=[]))
    monkeypatch.setattr(rejects_cli, "stored", stored)
    monkeypatch.setattr(rejects_cli, "connect", Mock())
    for word, state in meant.items():
        words = [command, word] if word else [command]
        ran = CliRunner().invoke(rejects_cli.rejects, words, catch_exceptions=False)
        assert ran.exit_code == 0, ran.output
        asked = stored.find if command == "list" else stored.count
        assert asked.call_args.args[1].state is state, words


@pytest.mark.parametrize(
    "words", [["rejects", "show", "17"], ["rejects", "list", "--reason", "BAD_LUCK"], ["replay", "--id", "x"]]
)
def test_a_choice_that_cannot_be_understood_is_a_usage_error(words: list[str]) -> None:
    assert CliRunner().invoke(program, words).exit_code == 2


def test_hostile_text_is_shown_and_not_obeyed() -> None:
    out = Console(width=80, record=True, force_terminal=True)
    with out.capture() as shown:
        out.print(plain("\x1b[2J[bold]x[/bold]\r\n\u202e" + "y" * 500))
    assert "[bold]x[/bold]" in shown.get()
    assert not {"\x1b[2J", "\r", "\u202e"} & {part for part in ("\x1b[2J", "\r", "\u202e") if part in shown.get()}
    assert len(plain("y" * 500).plain) == 200
