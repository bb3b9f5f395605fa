"""What is asked often reads little of a table: the engine itself tells how much."""

import datetime as dt
import re

import pytest

from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.queries import CELLS, EPOCH, of_days
from sinks.feed.queries import SUBMISSION_ACCEPTED

AGENCIES, EACH = 20, 20_000
ROWS = f"""
INSERT INTO observations
SELECT
    concat('g', leftPad(toString(intDiv(number, {EACH})), 2, '0')) AS agency,
    concat(upper(agency), '.', leftPad(toString(number % 10), 3, '0')),
    toString(number % 60), '_T', toString(day), toDate('2026-01-01') + intDiv(number, 60) % 100 AS day,
    1, NULL, 'A', 0, NULL, concat(agency, '-', toString(intDiv(number, 1000))), now64(3), now64(3),
    concat('gris.events.', agency), 0, number, number + 1, 'rules', ''
FROM numbers({AGENCIES * EACH})
"""


@pytest.fixture
def client(database: str) -> Client:
    client = connect(database)
    client.command(ROWS)
    client.command("OPTIMIZE TABLE observations FINAL")
    return client


def granules(client: Client, sql: str, params: dict[str, object]) -> tuple[int, int]:
    """Ask how many granules a query reads, of how many."""
    rows = client.query(f"EXPLAIN indexes = 1 {sql}", params)
    found = [tuple(map(int, pair)) for pair in re.findall(r"Granules: (\d+)/(\d+)", "\n".join(str(r[0]) for r in rows))]
    assert found, rows
    return min(read for read, _ in found), max(total for _, total in found)


def test_a_submission_is_found_by_its_reference(client: Client) -> None:
    read, total = granules(client, SUBMISSION_ACCEPTED, {"agency": "g05", "submission": "g05-105"})
    assert 0 < read * 5 < total, "the index is not used"


def test_buckets_are_read_back_by_the_order_of_the_table(client: Client) -> None:
    asked = {"topic": "gris.events.g05", "partition": 0, "below": 1 << 40}
    days = [(dt.date(2026, 2, day) - EPOCH).days for day in (1, 2)]
    read, total = granules(client, of_days(CELLS, days), asked | {"indicators": [f"G05.{at:03}" for at in range(10)]})
    assert 0 < read * 5 < total, "the primary key is not used"
