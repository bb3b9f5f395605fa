"""Migrations against a real engine: applied once, recorded, never edited; single-node or replicated by setting."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from schemas.errors import Fatal
from sinks.cli import migrate as migrate_command
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.migrate import FOLDER, migrate, read, statements

TABLES = {"observations", "rejected", "day_totals", "ledger", "floors", "latest_observations", "migrations"}


@pytest.fixture
def client(clickhouse_url: str) -> Iterator[Client]:
    """Give a client of a database that does not exist yet."""
    client = connect(f"{clickhouse_url}/m{uuid.uuid4().hex[:12]}")
    yield client
    client.command(f"DROP DATABASE IF EXISTS {client.database} SYNC", in_database=False)
    client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "migrations"))


def tables(client: Client) -> set[str]:
    rows = client.query("SELECT name FROM system.tables WHERE database = {name:String}", {"name": client.database})
    return {row[0] for row in rows}


def test_all_are_applied_in_order_once_and_recorded(client: Client) -> None:
    names = [migration.name for migration in read()]
    assert migrate(client) == names
    assert migrate(client) == []
    assert tables(client) == TABLES
    recorded = client.query("SELECT name, length(checksum) FROM migrations ORDER BY name")
    assert recorded == [(name, 64) for name in names]


def test_an_edited_one_is_refused_by_name(client: Client, folder: Path) -> None:
    migrate(client, folder=folder)
    edited = sorted(folder.glob("*.sql"))[1]
    edited.write_text(edited.read_text() + "\n-- harmless?\n")
    with pytest.raises(Fatal, match=f"{edited.stem} was edited"):
        migrate(client, folder=folder)


def test_a_new_one_is_applied_on_top_and_an_older_version_of_ours_refuses_it(client: Client, folder: Path) -> None:
    migrate(client)
    (folder / "0999_extra.sql").write_text(
        "CREATE TABLE {database}.extra (a UInt8) ENGINE = {engine:MergeTree} ORDER BY a;"
    )
    assert migrate(client, folder=folder) == ["0999_extra"]
    assert tables(client) == TABLES | {"extra"}
    with pytest.raises(Fatal, match=r"0999_extra.*update GRIS"):
        migrate(client)


def test_one_that_died_half_way_is_mended_by_the_next_run(client: Client, folder: Path) -> None:
    broken = folder / "0998_two.sql"
    create = "CREATE TABLE IF NOT EXISTS {database}.two (a UInt8) ENGINE = {engine:MergeTree} ORDER BY a;"
    broken.write_text(f"{create}\nSELECT throwIf(1);")
    with pytest.raises(Fatal):
        migrate(client, folder=folder)
    broken.write_text(create)
    assert migrate(client, folder=folder) == ["0998_two"]


def test_misnamed_and_twice_numbered_files_are_refused(folder: Path) -> None:
    (folder / "0002_again.sql").write_text("SELECT 1;")
    with pytest.raises(Fatal, match="0002"):
        read(folder)
    (folder / "0002_again.sql").rename(folder / "later.sql")
    with pytest.raises(Fatal, match=r"later\.sql"):
        read(folder)


def test_keys_engines_and_partitions_are_the_documented_ones(client: Client) -> None:
    migrate(client)
    sql = "SELECT name, engine_full, sorting_key, partition_key FROM system.tables WHERE database = {name:String}"
    found = {row[0]: row[1:] for row in client.query(sql, {"name": client.database})}
    assert found["observations"][1:] == ("indicator, bucket, area, breakdown, time_period, version", "toYear(bucket)")
    assert found["rejected"][1:] == ("topic, partition, offset", "")
    assert found["day_totals"][1:] == ("bucket, indicator, area, breakdown", "toYear(bucket)")
    assert found["ledger"][1:] == ("topic, partition", "")
    assert found["floors"][1:] == ("topic, partition", "")
    assert found["floors"][0].startswith("ReplacingMergeTree(version)")
    assert found["day_totals"][0].startswith("ReplacingMergeTree(version)")
    assert found["ledger"][0].startswith("ReplacingMergeTree(next_offset)")
    sql = "SELECT table, name, type FROM system.columns WHERE database = {name:String}"
    types = {row[:2]: row[2] for row in client.query(sql, {"name": client.database})}
    for column in (
        ("observations", "value"),
        ("observations", "base"),
        ("day_totals", "min"),
        ("latest_observations", "value"),
    ):
        assert types[column] == "Nullable(Decimal(18, 4))"
    assert types["observations", "version"] == "UInt64"
    assert types["day_totals", "flags"] == "Array(String)"


def test_the_view_has_the_columns_of_the_table_in_the_same_order_and_types(client: Client) -> None:
    migrate(client)
    described = [client.query(f"DESCRIBE {name}") for name in ("observations", "latest_observations")]
    # Inside a tuple LowCardinality is taken off; it is a way of storing, not a type that a reader sees.
    plain = [[(row[0], row[1].replace("LowCardinality(String)", "String")) for row in rows] for rows in described]
    assert plain[0] == plain[1]


def test_a_cluster_makes_every_table_replicated_and_every_statement_distributed() -> None:
    made = [sql for migration in read() for sql in statements(migration.text, "gris", "main")]
    assert all("ON CLUSTER `main`" in sql for sql in made)
    engines = [line for sql in made for line in sql.splitlines() if line.startswith("ENGINE")]
    assert engines
    assert all(line.startswith("ENGINE = ReplicatedReplacingMergeTree") for line in engines)
    alone = [sql for migration in read() for sql in statements(migration.text, "gris")]
    assert not any("CLUSTER" in sql or "Replicated" in sql or "{" in sql for sql in alone)


def test_the_command_says_what_it_did(clickhouse_url: str, monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    monkeypatch.setenv("GRIS_CLICKHOUSE", f"{clickhouse_url}/{client.database}")
    assert "applied 0001_database" in CliRunner().invoke(migrate_command).stdout
    assert CliRunner().invoke(migrate_command).stdout == "nothing to do\n"
