"""The workload that tries the system is itself tried: its bytes by fastavro, its count by the plain oracle."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import fastavro
import pytest

from tests.support import oracle
from tests.support.hostile import SPOILERS
from tests.support.small_catalogue import FIGURES, write_catalogue
from tests.support.wire import body, event
from tests.support.workload import Workload

SCHEMA = fastavro.parse_schema(json.loads(Path("schemas/indicator_event.v1.avsc").read_text(encoding="utf-8")))
BY_CODE = {figure.code: figure for figure in FIGURES}


@pytest.fixture(scope="module")
def drawn() -> tuple[Workload, dict[tuple[str, int], list[bytes | None]]]:
    workload = Workload(30_000, seed=1, days=4, spoiled=0.05)
    values: dict[tuple[str, int], list[bytes | None]] = {}
    for messages in workload.chunks(10_000):
        for topic, batch in messages.items():
            for message in batch:
                value = message["value"]
                assert value is None or isinstance(value, bytes)
                values.setdefault((topic, 0), []).append(value)
    return workload, values


def accepted_values(
    workload: Workload, values: dict[tuple[str, int], list[bytes | None]]
) -> Iterator[dict[str, object]]:
    """Decode the good records of the topics with one partition."""
    for topic in ("gris.events.z01", "gris.events.z02", "gris.events.z03"):
        for offset, value in enumerate(values[topic, 0]):
            if offset not in workload.rejected[topic, 0]:
                assert value is not None
                left = io.BytesIO(value[5:])
                decoded = fastavro.schemaless_reader(left, SCHEMA, None)
                assert isinstance(decoded, dict)
                assert not left.read()
                yield decoded | {"offset": offset, "topic": topic}


def test_bytes_packed_by_hand_are_those_of_fastavro() -> None:
    for said in (
        event("Z01.001", "VN", "2026", 1.5),
        event(
            "Z01.001", "07", "2026-11-23T06:00:00/PT1H", None, base=2.0, revision=-1, note="đính chính", observed_at=-5
        ),
        event("Z01.001", "07", "2026-Q4", -0.0, status="P", revision=2**31 - 1, note="n" * 9_999, submission=""),
    ):
        packed = io.BytesIO()
        fastavro.schemaless_writer(packed, SCHEMA, said)
        assert body(said) == packed.getvalue()


def test_every_good_record_decodes_to_the_statement_that_is_counted(
    drawn: tuple[Workload, dict[tuple[str, int], list[bytes | None]]],
) -> None:
    workload, values = drawn
    counted = {(s.indicator, s.offset): s for s in workload.statements() if not s.indicator.startswith("Z04")}
    decoded = list(accepted_values(workload, values))
    assert len(decoded) == len(counted)
    for said in decoded:
        statement = counted[said["indicator"], said["offset"]]  # type: ignore[index]
        value, base = said["value"], said["base"]
        assert value is None or isinstance(value, float)
        assert said["area"] == statement.area
        assert said["breakdown"] == statement.breakdown
        assert said["time_period"] == statement.time_period
        assert said["status"] == statement.status
        assert said["revision"] == statement.revision
        assert (None if value is None else round(value * 10_000)) == statement.value
        if statement.base is not None:
            assert isinstance(base, float)
            assert round(base * 10_000) == statement.base


def test_keeping_the_newest_by_sorting_gives_the_totals_of_the_plain_oracle(
    drawn: tuple[Workload, dict[tuple[str, int], list[bytes | None]]], tmp_path: Path
) -> None:
    workload, _ = drawn
    catalogue = write_catalogue(tmp_path)
    expected = oracle.totals(workload.statements(), oracle.read_book(catalogue))
    assert workload.totals(catalogue) == expected
    assert {total.flags for total in expected.values()} >= {(), ("SUM_MISMATCH",), ("NOT_MONOTONE",)}
    assert {total.status for total in expected.values()} == set("ABEFIMP")
    kinds = {(BY_CODE[key[1]].kind, BY_CODE[key[1]].rollup, BY_CODE[key[1]].geography) for key in expected}
    assert len(kinds) == len({(figure.kind, figure.rollup, figure.geography) for figure in FIGURES})


def test_every_reason_occurs_and_offsets_have_no_gap(
    drawn: tuple[Workload, dict[tuple[str, int], list[bytes | None]]],
) -> None:
    workload, values = drawn
    assert {reason for verdicts in workload.rejected.values() for reason in verdicts.values()} == set(SPOILERS)
    assert sum(workload.ends.values()) == sum(len(column) for column in values.values()) == workload.events
    assert sum(workload.accepted.values()) == sum(1 for _ in workload.statements())


def test_the_same_seed_draws_the_same_stream() -> None:
    first, second = (list(Workload(2_000, seed=3, days=2).chunks(500)) for _ in range(2))
    assert first == second
