"""Verdicts become rows in the columns and types of the tables."""

import dataclasses
import datetime as dt
from decimal import Decimal

import pyarrow as pa

from schemas.reasons import Reason, Refusal
from schemas.spans import Spans
from sinks.clickhouse.writer import OBSERVATIONS, REJECTED
from streams.rows import observation_rows, rejected_rows
from tests.support.judging import NOW, block, bundled, decoded
from tests.support.wire import event

RULES = bundled()[1]
SHARE = event("G03.002", "01", "2026-11-22", 95.5, base=200.25, observed_at=NOW - 1500, note="why", revision=2)
INSTANT = dt.datetime(2026, 11, 23, 6, tzinfo=dt.UTC)


def test_an_accepted_event_becomes_a_row_with_all_its_columns() -> None:
    where = block("g03", [b"G03.002"], first_offset=9, partition=0, replay_of={0: "0:4"})
    rows = observation_rows(where, RULES.judge(where, decoded([SHARE])).accepted, "digest")
    assert rows.schema == OBSERVATIONS
    rows.validate(full=True)
    assert rows.to_pylist() == [
        {
            "agency": "g03",
            "indicator": "G03.002",
            "area": "01",
            "breakdown": "_T",
            "time_period": "2026-11-22",
            "bucket": dt.date(2026, 11, 22),
            "value": Decimal("95.5000"),
            "base": Decimal("200.2500"),
            "status": "A",
            "revision": 2,
            "note": "why",
            "submission": "S1",
            "observed_at": INSTANT - dt.timedelta(milliseconds=1500),
            "received_at": INSTANT,
            "topic": "gris.events.g03",
            "partition": 0,
            "offset": 9,
            "version": (2 << 40) + 10,
            "rules": "digest",
            "replay_of": "0:4",
        }
    ]


def test_a_withdrawn_figure_and_a_missing_base_are_null_and_nought_is_not() -> None:
    said = [
        SHARE | {"value": None, "status": "M", "base": None},
        SHARE | {"value": -0.0},
        event("G18.001", "VN", "2026-11-23T06:00:00/PT6H", 3.0, base=4.0, observed_at=NOW),
    ]
    where = block("g03", [b"G03.002", b"G03.002", b"G18.001"])
    rows = observation_rows(where, RULES.judge(where, decoded(said)).accepted, "digest")
    assert rows.column("value").to_pylist() == [None, Decimal("0.0000")]  # the third belongs to another agency
    assert rows.column("base").to_pylist() == [None, Decimal("200.2500")]
    where = block("g18", [b"G18.001"])
    rows = observation_rows(where, RULES.judge(where, decoded(said[2:])).accepted, "digest")
    assert rows.column("base").to_pylist() == [None]


def test_rows_keep_offsets_times_and_replays_of_their_own_positions() -> None:
    said = [SHARE, SHARE | {"area": "ZZ"}, SHARE, SHARE]
    times = [NOW, NOW + 1, NOW + 2, NOW + 3]
    where = block("g03", [b"G03.002"] * 4, first_offset=50, timestamps=times, replay_of={1: "0:1", 3: "0:7"})
    judged = RULES.judge(where, decoded(said))
    rows = observation_rows(where, judged.accepted, "digest")
    assert rows.column("offset").to_pylist() == [50, 52, 53]
    assert rows.column("received_at").to_pylist() == [INSTANT + dt.timedelta(milliseconds=at) for at in (0, 2, 3)]
    assert rows.column("replay_of").to_pylist() == ["", "", "0:7"]
    refused = rejected_rows(where, judged.refused, "digest")
    assert refused.schema == REJECTED
    (row,) = refused.to_pylist()
    assert (row["offset"], row["reason"], row["raw"]) == (51, "UNKNOWN_AREA", b"record 1")
    assert row["received_at"] == INSTANT + dt.timedelta(milliseconds=1)


def test_a_tombstone_is_a_row_without_bytes_and_without_a_schema() -> None:
    where = dataclasses.replace(block("g03", [None]), values=Spans.of([None]))
    rows = rejected_rows(where, [Refusal(0, Reason.TOMBSTONE, "value", "found null")], "digest")
    (row,) = rows.to_pylist()
    assert (row["raw"], row["schema_id"], row["rules"], row["agency"]) == (b"", None, "digest", "g03")


def test_nothing_becomes_empty_tables_of_the_same_columns() -> None:
    where = block("g03", [])
    judged = RULES.judge(where, decoded([]))
    assert observation_rows(where, judged.accepted, "digest").schema == OBSERVATIONS
    assert rejected_rows(where, judged.refused, "digest").schema == REJECTED


def test_rows_of_blocks_with_other_texts_can_be_put_together() -> None:
    tables = []
    for area in ("01", "15"):
        where = block("g03", [b"G03.002"])
        tables.append(observation_rows(where, RULES.judge(where, decoded([SHARE | {"area": area}])).accepted, "digest"))
    both = pa.concat_tables(tables).unify_dictionaries()
    assert both.column("area").to_pylist() == ["01", "15"]
