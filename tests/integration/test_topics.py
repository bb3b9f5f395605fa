"""Topics on a real broker."""

import contextlib
import dataclasses
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.local.cli import status
from deploy.local.ports import free_port
from deploy.replay_cli import replay
from deploy.topics import ends, ensure, reachable
from schemas.errors import Fatal
from schemas.topics import DAILY, EVENTS, LINES, REJECTED, REJECTS, TopicSpec, event_topic
from sinks.clickhouse.client import connect
from tests.support.catalogue_folders import change, write_catalogue
from tests.support.wait import wait_for

NOWHERE = event_topic("nowhere")
WAITS = 60  # seconds a replay is told to wait
REFUSED = f"""
INSERT INTO rejected (topic, partition, offset, reason, raw, agency, received_at)
VALUES ('{NOWHERE}', 0, 0, 'KEY_MISMATCH', 'x', 'nowhere', now64(3))
"""


def wanted(suffix: str) -> tuple[TopicSpec, ...]:
    """Give the three kinds of topics under names that no other test uses."""
    return (
        TopicSpec(event_topic(suffix), 3, EVENTS),
        TopicSpec(f"{REJECTED}.{suffix}", 1, REJECTS),
        TopicSpec(f"{DAILY}.{suffix}", 1, LINES),
    )


def test_missing_topics_are_made_once_and_a_second_call_makes_none(kafka_bootstrap: str) -> None:
    topics = wanted("once")
    assert ensure(kafka_bootstrap, topics) == [spec.name for spec in topics]
    assert ensure(kafka_bootstrap, topics) == []


def test_another_number_of_partitions_is_refused_with_both_numbers(kafka_bootstrap: str) -> None:
    topics = wanted("partitions")
    ensure(kafka_bootstrap, topics)
    changed = dataclasses.replace(topics[0], partitions=5)
    with pytest.raises(Fatal, match=r"gris\.events\.partitions has 3 partitions, the catalogue says 5"):
        ensure(kafka_bootstrap, [changed])


def test_another_setting_is_refused_with_the_setting_and_both_values(kafka_bootstrap: str) -> None:
    topics = wanted("settings")
    loose = dataclasses.replace(topics[0], config={"message.timestamp.type": "CreateTime"})
    ensure(kafka_bootstrap, [loose])
    with pytest.raises(Fatal) as refused:
        ensure(kafka_bootstrap, topics)
    assert "message.timestamp.type=CreateTime, it must be LogAppendTime" in str(refused.value)
    assert "retention.ms=604800000, it must be -1" in str(refused.value)


def test_a_broker_that_answers_is_reachable(kafka_bootstrap: str) -> None:
    wait_for(lambda: reachable(kafka_bootstrap), "the broker to answer within a second")


def test_every_partition_of_a_topic_has_an_end(kafka_bootstrap: str) -> None:
    topics = wanted("ends")
    ensure(kafka_bootstrap, topics)
    assert ends(kafka_bootstrap, [spec.name for spec in topics]) == {
        (spec.name, partition): 0 for spec in topics for partition in range(spec.partitions)
    }


def test_topics_that_are_not_there_are_named_with_the_remedy(kafka_bootstrap: str) -> None:
    there = wanted("there")
    ensure(kafka_bootstrap, there)
    with pytest.raises(Fatal, match=r"gris\.events\.nowhere, gris\.events\.lost: .*`gris up --bare`") as told:
        ends(kafka_bootstrap, [NOWHERE, *(spec.name for spec in there), event_topic("lost")])
    assert there[0].name not in str(told.value)


@pytest.fixture
def without_topics(kafka_bootstrap: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a database with one reject, and a catalogue whose topics nobody has made."""
    change(write_catalogue(tmp_path), "agencies.csv", 2, code="nowhere")
    change(tmp_path, "indicators.csv", 2, agency="nowhere")
    with contextlib.closing(connect(database)) as client:
        client.command(REFUSED)
    chosen = {
        "KAFKA": kafka_bootstrap,
        "CLICKHOUSE": database,
        "CATALOGUE": tmp_path,
        "DATA": tmp_path / "data",
        "METRICS_PORT": free_port(),
        "FEED_PORT": free_port(),
    }
    for name, value in chosen.items():
        monkeypatch.setenv(f"GRIS_{name}", str(value))


@pytest.mark.usefixtures("without_topics")
def test_status_says_which_topics_are_missing_and_counts_nothing() -> None:
    shown = CliRunner().invoke(status, catch_exceptions=False)
    assert "elsewhere" in shown.stdout
    assert "Events not stored yet: not known. " in shown.stdout
    assert NOWHERE in shown.stdout
    assert "`gris up --bare`" in shown.stdout
    assert json.loads(CliRunner().invoke(status, ["--json"]).stdout)["events_not_stored"] is None


@pytest.mark.usefixtures("without_topics")
def test_a_replay_to_a_topic_that_is_missing_ends_at_once() -> None:
    began = time.monotonic()
    ran = CliRunner().invoke(replay, ["--all", "--json", "--wait", str(WAITS)], catch_exceptions=False)
    assert time.monotonic() - began < WAITS / 2
    assert ran.exit_code == 2
    assert NOWHERE in json.loads(ran.stdout)["error"]
    assert "`gris up --bare`" in json.loads(ran.stdout)["error"]
