"""Numbered migrations: applied once, in order, recorded with a checksum; an edited one is refused."""

import dataclasses
import hashlib
import re
from pathlib import Path

import pyarrow as pa

from schemas.errors import Fatal
from sinks.clickhouse.client import Client

FOLDER = Path(__file__).parent / "migrations"
NAME = re.compile(r"\d{4}_\w+\.sql")
ENGINE = re.compile(r"\{engine:(\w*?MergeTree)((?:\([^()]*\))?)\}")


@dataclasses.dataclass(frozen=True, slots=True)
class Migration:
    """One file: its name orders it, its checksum (sha256 of the file's bytes, hex) fixes it."""

    name: str
    checksum: str
    text: str


def read(folder: Path = FOLDER) -> list[Migration]:
    """Read the folder's migrations in order. Raises Fatal for a misnamed file or a number given twice."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        if not NAME.fullmatch(path.name):
            raise Fatal(f"migration {path.name}: name it 0001_what_it_does.sql")
        content = path.read_bytes()
        found.append(Migration(path.stem, hashlib.sha256(content).hexdigest(), content.decode()))
    numbers = [migration.name[:4] for migration in found]
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise Fatal(f"migrations: the number {twice[0]} is given twice, renumber the newer one")
    return found


def statements(text: str, database: str, cluster: str | None = None) -> list[str]:
    """Fill in one migration for a single node, or for the named cluster, and cut it at its semicolons."""

    def engine(named: re.Match[str]) -> str:
        # Path and replica name come from the server's own macros (default_replica_path, default_replica_name).
        return f"{'Replicated' if cluster else ''}{named.group(1)}{named.group(2)}"

    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    text = ENGINE.sub(engine, text).replace("{database}", f"`{database}`")
    text = text.replace("{on_cluster}", f"ON CLUSTER `{cluster}`" if cluster else "")
    return [part.strip() for part in text.split(";") if part.strip()]


def migrate(client: Client, *, replicated: str | None = None, folder: Path = FOLDER) -> list[str]:
    """Bring the client's database up to date; returns the names of the migrations that were applied now.

    ``replicated`` names the cluster on which Replicated tables are made; None makes single-node ones. Every statement
    may be repeated (IF NOT EXISTS): the next run mends one that died half-way. Raises Fatal for an edited migration.
    """
    first, *others = read(folder)
    for sql in statements(first.text, client.database, replicated):
        client.command(sql, in_database=False)
    recorded = dict(client.query("SELECT name, checksum FROM migrations FINAL ORDER BY name"))
    applied = []
    for migration in [first, *others]:
        if migration.name in recorded:
            _unchanged(migration, recorded[migration.name])
            continue
        if migration is not first:
            for sql in statements(migration.text, client.database, replicated):
                client.command(sql)
        client.insert("migrations", pa.table({"name": [migration.name], "checksum": [migration.checksum]}))
        applied.append(migration.name)
    if unknown := sorted(set(recorded) - {migration.name for migration in [first, *others]}):
        raise Fatal(
            f"the database {client.database} has migration {unknown[0]}, which this version does not know: update GRIS"
        )
    return applied


def _unchanged(migration: Migration, recorded: str) -> None:
    if migration.checksum != recorded:
        raise Fatal(
            f"migration {migration.name} was edited after it was applied (recorded {recorded[:12]}, now "
            f"{migration.checksum[:12]}): put it back and write a new one"
        )
