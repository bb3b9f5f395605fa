"""Topics: names, partitions, and the settings that correctness leans on."""

from pathlib import Path

import pytest

from schemas.catalogue import load
from schemas.topics import DAILY, REJECTED, agency_of, event_topic, specs
from tests.support.catalogue_folders import MINIMAL, write_catalogue


def test_the_topic_of_an_agency_names_it_and_is_read_back() -> None:
    assert event_topic("g01") == "gris.events.g01"
    for agency in load().agencies:
        assert agency_of(event_topic(agency.code)) == agency.code


@pytest.mark.parametrize(
    "topic", ["gris.events.", "gris.events", "gris.rejected", "gris.daily", "xgris.events.g01", "gris.events.a b", ""]
)
def test_another_topic_has_no_agency(topic: str) -> None:
    assert agency_of(topic) is None


def test_there_is_a_topic_for_every_agency_then_the_refused_and_the_daily_one() -> None:
    catalogue = load()
    names = [spec.name for spec in specs(catalogue)]
    assert names == [*(event_topic(agency.code) for agency in catalogue.agencies), REJECTED, DAILY]


def test_events_carry_the_brokers_time_and_are_kept_for_ever() -> None:
    assert specs(load())[0].config == {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": "16777216",
    }


def test_refused_records_are_kept_for_ever_with_room_for_the_largest_event() -> None:
    rejected = specs(load())[-2]
    assert rejected.partitions == 1
    assert rejected.config["max.message.bytes"] == "25165824"
    assert rejected.config["retention.ms"] == rejected.config["retention.bytes"] == "-1"


def test_the_daily_topic_is_one_compacted_partition() -> None:
    daily = specs(load())[-1]
    assert (daily.name, daily.partitions, daily.config["cleanup.policy"]) == (DAILY, 1, "compact")


def test_partitions_are_those_of_the_agencys_row(tmp_path: Path) -> None:
    header, first, second = MINIMAL["agencies.csv"].splitlines()
    write_catalogue(tmp_path, {"agencies.csv": f"{header},partitions\n{first},6\n{second},\n"})
    assert [spec.partitions for spec in specs(load(tmp_path))] == [6, 1, 1, 1]
