"""The SQL that recomputes day totals, against the oracle: two languages, two authors, one result."""

import collections
import datetime as dt
import random
from decimal import Decimal
from pathlib import Path

import pytest

from schemas.catalogue import Catalogue, load
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.recompute import recompute
from sinks.clickhouse.writer import Writer
from tests.support.observations import RECEIVED, observation_rows, topic_of
from tests.support.oracle import Book, Key, Statement, Total, bucket_and_slot, read_book, totals
from tests.support.small_catalogue import BOUNDARY, FIGURES, Figure, provinces_on, write_catalogue

SEEDS = range(4)
EPOCH = dt.date(1970, 1, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_catalogue(tmp_path_factory.mktemp("catalogue") / "small")


@pytest.fixture(scope="module")
def book(folder: Path) -> Book:
    return read_book(folder)


@pytest.fixture(scope="module")
def catalogue(folder: Path) -> Catalogue:
    return load(folder)


def period(figure: Figure, day: dt.date, dice: random.Random) -> str:
    written = {
        "hourly": f"{day}T{dice.randrange(24):02}:00:00/PT1H",
        "six_hourly": f"{day}T{6 * dice.randrange(4):02}:00:00/PT6H",
        "daily": f"{day}",
        "monthly": f"{day:%Y-%m}",
        "quarterly": f"{day.year}-Q{(day.month + 2) // 3}",
        "semiannual": f"{day.year}-S{1 if day.month <= 6 else 2}",
        "annual": f"{day.year}",
    }
    return written[figure.frequency]


def drawn(seed: int, count: int) -> list[Statement]:
    """Draw statements that crowd few days on both sides of the change of map, so that every rule comes to bear."""
    dice = random.Random(seed)
    offsets: collections.Counter[str] = collections.Counter()
    statements = []
    days = [BOUNDARY + dt.timedelta(days=at) for at in (-2, -1, 0, 1)] + [dt.date(1995, 3, 1)]
    for _ in range(count):
        figure = dice.choice(FIGURES)
        day = dice.choice(days)
        time_period = period(figure, day, dice)
        bucket, _ = bucket_and_slot(time_period)
        areas = ["VN"] if figure.geography == "nation" else [*provinces_on(bucket), "VN", "VN"]
        status = dice.choice("AAAABEFIPM")
        step = 10 ** (4 - figure.decimals)
        low = figure.low or 0
        high = low + 3 if dice.random() < 0.8 else (figure.high if figure.high is not None else 10**6)
        value = None if status == "M" else dice.randint(low * 10**figure.decimals, high * 10**figure.decimals) * step
        base = dice.randint(1, 10**15 - 1) if figure.needs_base and status != "M" else None
        topic = topic_of(figure.code)
        statements.append(
            Statement(
                figure.code,
                dice.choice(areas),
                dice.choice(["_T", "_T", *figure.breakdowns]),
                time_period,
                value,
                base,
                status,
                dice.choice([0, 0, 0, 1, 2]),
                offsets[topic],
            )
        )
        offsets[topic] += 1
    return statements


def recomputed(client: Client, catalogue: Catalogue, **limits: object) -> dict[Key, Total]:
    rows = recompute(client, catalogue, **limits).to_pylist()  # type: ignore[arg-type]
    found = {
        (row["bucket"], row["indicator"], row["area"], row["breakdown"]): Total(
            in_ticks(row["value"]),
            in_ticks(row["min"]),
            in_ticks(row["max"]),
            row["areas_reported"],
            row["areas_expected"],
            row["cells"],
            row["status"],
            tuple(row["flags"]),
        )
        for row in rows
    }
    assert len(found) == len(rows), "a key was given twice"
    return found


def in_ticks(figure: Decimal | None) -> int | None:
    return None if figure is None else int(figure.scaleb(4))


@pytest.mark.parametrize("seed", SEEDS)
def test_totals_by_sql_equal_the_oracles_in_every_column(
    database: str, catalogue: Catalogue, book: Book, seed: int
) -> None:
    statements = drawn(seed, 15_000)
    client = connect(database)
    Writer(client).observations(observation_rows(statements))
    expected = totals(statements, book)
    found = recomputed(client, catalogue)
    assert found == expected
    flags = {flag for total in expected.values() for flag in total.flags}
    assert flags == {"SUM_MISMATCH", "NOT_MONOTONE"}, "the draw must reach both flags, or it proves nothing of them"
    client.close()


def test_limits_leave_out_lines_and_change_none(database: str, catalogue: Catalogue, book: Book) -> None:
    statements = drawn(11, 8_000)
    client = connect(database)
    Writer(client).observations(observation_rows(statements))
    days = {BOUNDARY, BOUNDARY - dt.timedelta(days=1)}
    codes = [figure.code for figure in FIGURES[::2]]
    found = recomputed(client, catalogue, days=[(day - EPOCH).days for day in days], indicators=[*codes, "NO.SUCH"])
    expected = totals(statements, book)
    assert found == {key: total for key, total in expected.items() if key[0] in days and key[1] in codes}
    assert any("NOT_MONOTONE" in total.flags for total in found.values())
    client.close()


def test_as_of_takes_only_what_was_received_by_then(database: str, catalogue: Catalogue, book: Book) -> None:
    statements = drawn(12, 4_000)
    early, late = statements[:2_000], statements[2_000:]
    client = connect(database)
    writer = Writer(client)
    writer.observations(observation_rows(early, RECEIVED))
    writer.observations(observation_rows(late, RECEIVED + dt.timedelta(milliseconds=1)))
    assert recomputed(client, catalogue, as_of=RECEIVED) == totals(early, book)
    assert recomputed(client, catalogue, as_of=RECEIVED + dt.timedelta(milliseconds=1)) == totals(statements, book)
    client.close()


def test_nothing_said_gives_no_totals(database: str, catalogue: Catalogue) -> None:
    client = connect(database)
    assert recomputed(client, catalogue) == {}
    client.close()
