"""Blocks of decoded events made without Kafka and without Avro, and their verdicts."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

import schemas
from schemas.catalogue import Catalogue, load
from schemas.codec import EVENT_COLUMNS, STATUSES, Decoded
from schemas.reasons import Refusal
from schemas.rules import Block, Judged, Rules
from schemas.spans import Spans
from tests.support.plain_rules import Statement
from tests.support.wire import Event

SCHEMA_IDS = (Path(schemas.__file__).parent / "ids.json").read_bytes()
NOW = 1_795_413_600_000  # 2026-11-23T06:00:00Z, 13:00 in Viet Nam
ITS_INDICATOR = object()  # as a key: the code of the record's own indicator


@functools.cache
def bundled() -> tuple[Catalogue, Rules]:
    """Load the bundled catalogue and its rules once."""
    catalogue = load()
    return catalogue, Rules(catalogue, SCHEMA_IDS)


def columns(events: Sequence[Mapping[str, object]]) -> pa.RecordBatch:
    """Put events into the columns that the codec gives."""
    said = [event | {"status": STATUSES.index(str(event["status"]))} for event in map(dict, events)]
    arrays = [pa.array([event[field.name] for event in said], field.type, from_pandas=False) for field in EVENT_COLUMNS]
    return pa.record_batch(arrays, schema=EVENT_COLUMNS)


def decoded(events: Sequence[Mapping[str, object]], refused: Sequence[Refusal] = ()) -> Decoded:
    """Say that all records but those at the positions of ``refused`` were decoded, as ``events`` in order."""
    size = len(events) + len(refused)
    rows = np.setdiff1d(np.arange(size), [refusal.position for refusal in refused]).astype(np.int64)
    return Decoded(size, rows, columns(events), list(refused), np.ones(len(rows), np.int64))


def block(
    agency: str,
    keys: Sequence[bytes | None],
    *,
    first_offset: int = 0,
    timestamps: Sequence[int] | int = NOW,
    partition: int = 0,
    partitions: int = 1,
    replay_of: Mapping[int, str] | None = None,
) -> Block:
    """Say where records with these keys lay; their values are placeholders, decoded beforehand."""
    size = len(keys)
    times = np.full(size, timestamps, np.int64) if isinstance(timestamps, int) else np.array(timestamps, np.int64)
    offsets = np.arange(first_offset, first_offset + size, dtype=np.int64)
    values: list[bytes | None] = [b"record %d" % at for at in range(size)]
    topic = f"gris.events.{agency}"
    return Block(
        topic, agency, partition, partitions, offsets, times, Spans.of(keys), Spans.of(values), dict(replay_of or {})
    )


def judge(
    rules: Rules, agency: str, events: Sequence[Event], *, keys: object = ITS_INDICATOR, **where: object
) -> Judged:
    """Judge events as one block of ``agency``; ``keys`` is one key for all, or each record's own indicator."""
    own = [str(event["indicator"]).encode() for event in events]
    chosen = own if keys is ITS_INDICATOR else [keys] * len(events)
    return rules.judge(block(agency, chosen, **where), decoded(events))  # type: ignore[arg-type]


def said(judged: Judged) -> dict[int, object]:
    """Spell verdicts as the plain rules do: by position a Statement, or reason and field."""
    found: dict[int, object] = {one.position: (one.reason.name, one.field) for one in judged.refused}
    got = judged.accepted
    for at, position in enumerate(got.rows.tolist()):
        found[position] = Statement(
            indicator=int(got.indicator[at]),
            breakdown=int(got.breakdown[at]),
            map=int(got.map[at]),
            area=int(got.area[at]),
            slot=int(got.slot[at]),
            day=int(got.day[at]),
            ticks=int(got.ticks[at]),
            base=int(got.base[at]),
            status=STATUSES[got.status[at]],
            revision=int(got.revision[at]),
            version=int(got.version[at]),
        )
    return found
