"""The ledger against a real engine: the furthest position wins, and only the topics asked for are read."""

import dataclasses
from collections.abc import Iterator

import pytest

from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.ledger import Position, read
from sinks.clickhouse.writer import Writer

FIRST = Position("gris.events.z01", 0, 10, 7, 2, 1, "a" * 16, "KxLmN0pQR-uVwXyZ", 1)


@pytest.fixture
def client(database: str) -> Iterator[Client]:
    client = connect(database)
    yield client
    client.close()


def test_nothing_written_reads_as_nothing(client: Client) -> None:
    assert read(client, ["gris.events.z01"]) == {}
    assert read(client, []) == {}


def test_every_field_comes_back(client: Client) -> None:
    far = dataclasses.replace(
        FIRST, partition=3, next_offset=2**62, accepted=2**62, rejected=0, skipped=0, partitions=4
    )
    Writer(client).ledger([FIRST, far])
    assert read(client, ["gris.events.z01"]) == {("gris.events.z01", 0): FIRST, ("gris.events.z01", 3): far}


def test_the_furthest_wins_even_when_an_older_one_arrives_last(client: Client) -> None:
    writer = Writer(client)
    newer = dataclasses.replace(FIRST, next_offset=20, accepted=17)
    for position in (FIRST, newer, FIRST):
        writer.ledger([position])
    assert read(client, ["gris.events.z01"])["gris.events.z01", 0] == newer


def test_at_the_same_offset_the_row_written_last_wins(client: Client) -> None:
    writer = Writer(client)
    judged_again = dataclasses.replace(FIRST, rules="b" * 16)
    writer.ledger([FIRST])
    writer.ledger([judged_again])
    assert read(client, ["gris.events.z01"])["gris.events.z01", 0] == judged_again


def test_other_topics_are_not_read(client: Client) -> None:
    other = dataclasses.replace(FIRST, topic="gris.events.it's")
    Writer(client).ledger([FIRST, other])
    assert set(read(client, ["gris.events.it's", "gris.events.none"])) == {("gris.events.it's", 0)}


def test_written_at_is_the_databases_clock(client: Client) -> None:
    Writer(client).ledger([FIRST])
    assert client.query("SELECT abs(dateDiff('second', written_at, now64(3))) < 60 FROM ledger") == [(1,)]
