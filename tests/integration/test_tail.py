"""Deletions of what nothing accounts for, also of very much of it at once: lists travel in the statement's text."""

import datetime as dt
from collections.abc import Iterator

import pytest

from sinks.clickhouse import tail
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.writer import Writer
from tests.support.observations import observation_rows, rejected_rows, total_rows
from tests.support.oracle import Statement, Total

DAY = dt.date(2024, 3, 5)
ODD = "it's a \\ {keys:String} %s -- \n\t\0 /* ể \\' \U0001f41f"
NOTHING = Total(None, None, None, 0, 1, 0, "M")
# Their list is longer than a server takes as a parameter, and as a statement unless it is told to.
CODES = [f"Z01.{at:06}.the-name-of-an-indicator" for at in range(8_000)]


@pytest.fixture
def client(database: str) -> Iterator[Client]:
    made = connect(database)
    yield made
    made.close()


def put(client: Client, *keys: tail.Key, version: int = 1) -> None:
    """Store totals of these keys."""
    totals = (
        ((tail.EPOCH + dt.timedelta(days=day), code, area, breakdown), NOTHING) for day, code, breakdown, area in keys
    )
    Writer(client).day_totals(total_rows(totals, version))


def left(client: Client) -> list[tail.Key]:
    """Read the keys of all totals, in order."""
    return tail.unknown_totals(client, [])


def key(code: str, area: str = "01", breakdown: str = "_T") -> tail.Key:
    return (DAY - tail.EPOCH).days, code, breakdown, area


def test_as_many_totals_as_a_deletion_takes_and_more_are_deleted(client: Client) -> None:
    keys = [key(f"Z01.{at:06}.with-a-long-name", f"area-{at}") for at in range(tail.KEYS_AT_ONCE + 1)]
    stays = key("Z01.stays")
    put(client, *keys, stays)
    tail.delete_totals(client, keys, version=1)
    assert left(client) == [stays]


def test_totals_of_a_later_version_stay(client: Client) -> None:
    earlier, later = key("Z01.one"), key("Z01.two")
    put(client, earlier, version=7)
    put(client, later, version=8)
    tail.delete_totals(client, [earlier, later], version=7)
    assert left(client) == [later]


def test_any_text_may_be_in_a_key(client: Client) -> None:
    odd = [key(ODD), key("Z01.one", ODD), key("Z01.one", "01", ODD), key("'"), key("\\"), key("")]
    stays = [key("Z01.one"), key(ODD + "."), key("\\\\")]
    put(client, *odd, *stays)
    for one in odd:
        tail.delete_totals(client, [one], version=1)
    assert left(client) == sorted(stays)


def test_totals_of_codes_that_nobody_knows_are_deleted_however_many_are_known(client: Client) -> None:
    put(client, key(CODES[-1]), key(ODD), key("Z02.gone"))
    assert tail.unknown_totals(client, CODES) == sorted([key(ODD), key("Z02.gone")])
    tail.delete_unknown_totals(client, [*CODES, ODD])
    assert left(client) == sorted([key(CODES[-1]), key(ODD)])


def test_what_lies_behind_the_ledger_is_deleted_of_however_many_places_and_indicators(client: Client) -> None:
    topic, count = "gris.events.z01", len(CODES)
    said = [Statement(code, "01", "_T", f"{DAY}", 1, None, "A", 0, at) for at, code in enumerate(CODES)]
    Writer(client).observations(observation_rows(said))
    Writer(client).rejected(rejected_rows(topic, [count, count + 1]))
    put(client, *map(key, CODES[2:]), version=count)
    before = [key(code) for code in (*CODES[:2], "Z02.one")]
    put(client, *before)
    others = [tail.Behind(f"gris.events.{ODD * 4}{at}", at, 1 << 63, []) for at in range(1_000)]
    tail.delete_rows(client, [*others, tail.Behind(topic, 0, 2, CODES[:2])], rules="others")
    assert left(client) == sorted(before)
    assert client.query("SELECT offset FROM observations ORDER BY offset") == [(0,), (1,)]
    assert client.query("SELECT count() FROM rejected") == [(0,)]
    assert client.query("SELECT topic, partition, version FROM floors") == [(topic, 0, count)]


def test_nothing_behind_the_ledger_means_nothing_is_deleted(client: Client) -> None:
    Writer(client).rejected(rejected_rows("gris.events.z01", [0]))
    tail.delete_rows(client, [], rules="others")
    assert client.query("SELECT count() FROM rejected") == [(1,)]


def test_a_line_is_found_among_however_many_indicators(client: Client) -> None:
    topic, last = "gris.events.z01", CODES[-1]
    Writer(client).observations(observation_rows([Statement(last, "01", "_T", f"{DAY}", 1, None, "A", 0, 0)]))
    put(client, key(last), version=9)
    assert tail.highest_version(client, topic, 0, CODES) == 9
    assert tail.totals_behind(client, CODES, 8) == {key(last)[:3]: ["01"]}
    assert tail.totals_behind(client, CODES, 9) == {}
    assert tail.elsewhere(client, topic, 0, CODES) is None
    assert tail.elsewhere(client, topic, 1, CODES) == (last, topic, 0)
