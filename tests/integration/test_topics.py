"""Topics on a real broker."""

import dataclasses

import pytest

from deploy.topics import ensure, reachable
from schemas.errors import Fatal
from schemas.topics import DAILY, EVENTS, LINES, REJECTED, REJECTS, TopicSpec, event_topic


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
    assert reachable(kafka_bootstrap)
