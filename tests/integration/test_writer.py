"""The writer against a real engine: exact figures, repeatable inserts, a view that forgets nothing it should show."""

import contextlib
import dataclasses
import datetime as dt
import gc
import logging
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from schemas.errors import Fatal, Retry
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.queries import cells, totals
from sinks.clickhouse.ticks import decimal_to_ticks, ticks_to_decimal
from sinks.clickhouse.writer import Writer
from tests.support.clickhouse import LocalClickHouse
from tests.support.observations import RECEIVED, observation_rows, rejected_rows, topic_of, total_rows
from tests.support.oracle import Statement, Total

EXTREMES = [0, 1, -1, 9_999, 10**14 - 1, -(10**14) + 1, 10**18 - 1, -(10**18) + 1]
SAID = Statement("Z01.001", "01", "_T", "2024-03-05", 12_345, None, "A", 0, 0)


@pytest.fixture
def client(database: str) -> Iterator[Client]:
    client = connect(database)
    yield client
    client.close()


def test_every_tick_arrives_and_comes_back_exactly(client: Client) -> None:
    said = [
        Statement("Z01.001", "01", "_T", f"2024-03-{at + 1:02}", value, 10**15 - 1, "A", 0, at)
        for at, value in enumerate(EXTREMES)
    ]
    Writer(client).observations(observation_rows(said))
    rows = client.query("SELECT value, base FROM observations ORDER BY offset")
    assert [row[0] for row in rows] == [Decimal(value).scaleb(-4) for value in EXTREMES]
    assert {row[1] for row in rows} == {Decimal(10**15 - 1).scaleb(-4)}
    days = [(dt.date(2024, 3, at + 1) - dt.date(1970, 1, 1)).days for at in range(len(EXTREMES))]
    back = cells(client, topic_of("Z01.001"), 0, days, 99)
    assert sorted(back.column("ticks").to_pylist()) == sorted(EXTREMES)
    assert set(back.column("base").to_pylist()) == {10**15 - 1}


def test_ticks_and_decimals_are_each_others_inverse() -> None:
    ticks = np.array(EXTREMES, np.int64)
    valid = np.array([at % 3 != 0 for at in range(len(ticks))])
    column = ticks_to_decimal(ticks, valid)
    column.validate(full=True)
    expected = [Decimal(value).scaleb(-4) if kept else None for value, kept in zip(EXTREMES, valid, strict=True)]
    assert column.to_pylist() == expected
    assert decimal_to_ticks(column).tolist() == np.where(valid, ticks, 0).tolist()
    assert decimal_to_ticks(column[2:5]).tolist() == np.where(valid, ticks, 0)[2:5].tolist()


def test_every_column_arrives_as_it_was_written(client: Client) -> None:
    writer = Writer(client)
    row = observation_rows([dataclasses.replace(SAID, revision=(1 << 23) - 1)]).to_pylist()[0]
    row |= {"note": "Đính chính\n'\\\t", "replay_of": "0:7", "observed_at": RECEIVED.replace(microsecond=7_000)}
    writer.observations(pa.Table.from_pylist([row], schema=observation_rows([SAID]).schema))
    assert client.arrow("SELECT * FROM observations").to_pylist() == [row]
    refused = rejected_rows("gris.events.z01", [5])
    writer.rejected(refused)
    found = client.query("SELECT topic, offset, reason, hex(raw), schema_id, received_at FROM rejected")
    assert [row[:5] for row in found] == [("gris.events.z01", 5, "BAD_MAGIC", "01FF00", None)]
    total = total_rows(
        [((dt.date(2024, 3, 5), "Z01.001", "VN", "_T"), Total(5, None, 7, 1, 12, 1, "P", ("SUM_MISMATCH",)))]
    )
    writer.day_totals(total)
    assert client.arrow("SELECT * FROM day_totals").to_pylist() == total.to_pylist()


def test_a_repeated_insert_folds_into_one_row(client: Client) -> None:
    writer = Writer(client)
    for _ in range(3):
        writer.observations(observation_rows([SAID]))
        writer.rejected(rejected_rows("gris.events.z01", [1, 2]))
    assert client.query("SELECT count() FROM observations FINAL") == [(1,)]
    assert client.query("SELECT count() FROM rejected FINAL") == [(2,)]
    writer.observations(pa.concat_tables([observation_rows([SAID])] * 3))
    assert client.query("SELECT count() FROM observations FINAL") == [(1,)], "twice in one insert, too"
    client.command("OPTIMIZE TABLE observations FINAL")
    assert client.query("SELECT count() FROM observations") == [(1,)]


def test_a_withdrawn_figure_is_gone_from_the_view_and_its_statements_stay(client: Client) -> None:
    withdrawn = dataclasses.replace(SAID, value=None, status="M", offset=1)
    Writer(client).observations(observation_rows([SAID, withdrawn]))
    assert client.query("SELECT value, status, offset FROM latest_observations") == [(None, "M", 1)]
    assert client.query("SELECT count() FROM observations FINAL") == [(2,)]


def test_the_view_shows_the_highest_version_not_the_latest_in_the_log(client: Client) -> None:
    revised = dataclasses.replace(SAID, value=7, revision=2, offset=1)
    late_but_lower = dataclasses.replace(SAID, value=8, revision=1, offset=2)
    writer = Writer(client)
    for statement in (revised, late_but_lower, SAID):
        writer.observations(observation_rows([statement]))
    assert client.query("SELECT offset, version FROM latest_observations") == [(1, (2 << 40) + 2)]


def test_the_newest_total_wins_whatever_the_order_of_arrival(client: Client) -> None:
    writer = Writer(client)
    key = (dt.date(2024, 3, 5), "Z01.001", "VN", "_T")
    for version, value in ((7, 70), (9, 90), (8, 80)):
        writer.day_totals(total_rows([(key, Total(value, None, None, 0, 12, 1, "A"))], version))
    assert client.query("SELECT version, value FROM day_totals FINAL") == [(9, Decimal("0.0090"))]


def test_one_insert_may_touch_more_years_than_the_servers_default_allows(client: Client) -> None:
    said = [dataclasses.replace(SAID, time_period=f"{1990 + at}-01-01", offset=at) for at in range(110)]
    Writer(client).observations(observation_rows(said))
    assert client.query("SELECT count() FROM observations") == [(110,)]


def test_read_back_gives_the_newest_statement_below_an_offset(client: Client) -> None:
    other = dataclasses.replace(SAID, area="02", status="P", offset=1)
    corrected = dataclasses.replace(SAID, value=5, status="E", offset=2)
    withdrawn = dataclasses.replace(SAID, value=None, status="M", offset=3)
    next_day = dataclasses.replace(SAID, time_period="2024-03-06", offset=4)
    Writer(client).observations(observation_rows([SAID, other, corrected, withdrawn, next_day]))
    day = (dt.date(2024, 3, 5) - dt.date(1970, 1, 1)).days

    def read(below: int, *days: int) -> list[tuple[object, ...]]:
        found = cells(client, "gris.events.z01", 0, days, below).to_pylist()
        return sorted((row["area"], row["day"], row["ticks"], row["status"], row["version"]) for row in found)

    assert read(2, day) == [("01", day, 12_345, 0, 1), ("02", day, 12_345, 6, 2)]
    assert read(3, day) == [("01", day, 5, 2, 3), ("02", day, 12_345, 6, 2)]
    assert read(9, day, day + 1) == [
        ("01", day, 0, 5, 4),
        ("01", day + 1, 12_345, 0, 5),
        ("02", day, 12_345, 6, 2),
    ]
    assert read(9, day + 7) == []
    assert read(9) == []


def test_many_decades_are_read_back_at_once(client: Client) -> None:
    Writer(client).observations(observation_rows([SAID]))
    key = (dt.date(2024, 3, 5), SAID.indicator, "01", "_T")
    Writer(client).day_totals(total_rows([(key, Total(1, 1, 1, 1, 1, 1, "A"))]))
    decades = range(30_000)
    assert cells(client, "gris.events.z01", 0, decades, 1, indicators=[SAID.indicator])["ticks"].to_pylist() == [12_345]
    assert totals(client, [SAID.indicator], decades)["bucket"].to_pylist() == [key[0]]


def test_a_table_that_is_not_there_is_fatal_and_names_the_remedy(client: Client) -> None:
    client.command("DROP TABLE rejected SYNC")
    with pytest.raises(Fatal, match="gris migrate"):
        Writer(client).rejected(rejected_rows("t", [1]))


def test_a_column_the_table_lacks_is_fatal(client: Client) -> None:
    rows = rejected_rows("t", [1]).append_column("novel", pa.array(["x"]))
    with pytest.raises(Fatal, match="gris migrate"):
        Writer(client).rejected(rows)


def test_a_server_that_is_away_is_a_retry() -> None:
    with pytest.raises(Retry, match="GRIS_CLICKHOUSE"):
        connect("http://127.0.0.1:9/gris")


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8123/gris", "http://127.0.0.1:8123", "http:///gris", "http://h/a-b", "http://h/a/b"]
)
def test_a_url_that_names_no_database_is_fatal_without_being_quoted(url: str) -> None:
    with pytest.raises(Fatal, match="GRIS_CLICKHOUSE must be") as caught:
        connect(url)
    assert url not in str(caught.value)


def test_a_database_that_is_away_for_a_moment_is_a_retry_not_an_end(client: Client) -> None:
    with pytest.raises(Retry, match="memory"):
        client.query("SELECT groupArray(number) FROM numbers(10000000)", settings={"max_memory_usage": 1_000_000})
    with pytest.raises(Retry, match="time"):
        client.query(
            "SELECT sleepEachRow(0.1) FROM numbers(30)", settings={"max_execution_time": 1, "max_block_size": 1}
        )


def test_inserts_that_fail_leave_nothing_in_memory(tmp_path: Path) -> None:
    rows = pa.table({"text": ["x" * 1_000] * 1_000})
    with LocalClickHouse(tmp_path) as server:
        client = connect(f"{server.url}/gris")
        server.kill()
        logging.disable()  # pytest keeps what is logged, with its error
        gc.disable()  # what nothing refers to any more must not wait for it: idle, a worker hardly ever comes to it
        try:
            before = pa.total_allocated_bytes()
            for _ in range(10):
                with contextlib.suppress(Retry):  # pytest.raises would keep it
                    client.insert("observations", rows)
                    pytest.fail("The server is dead.")
            assert pa.total_allocated_bytes() - before < rows.nbytes
        finally:
            gc.enable()
            logging.disable(logging.NOTSET)
            client.close()
