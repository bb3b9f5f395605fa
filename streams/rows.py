"""Verdicts as the tables that go into ClickHouse: pure functions of a block, its verdicts and the rules' digest."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.codec import STATUSES
from schemas.columns import arrow, byte_strings, strings
from schemas.reasons import Refusal
from schemas.rules import Accepted, Block
from schemas.rules_order import MISSING
from sinks.clickhouse.writer import OBSERVATIONS, REJECTED, ticks_to_decimal


def observation_rows(block: Block, accepted: Accepted, rules_digest: str) -> pa.Table:
    """Make one row per accepted event, in the columns of OBSERVATIONS; repeated texts stay dictionaries."""
    texts = {name: accepted.texts.column(name).combine_chunks() for name in accepted.texts.column_names}
    size = len(accepted.rows)
    offsets = block.offsets[accepted.rows]
    columns = texts | {
        "agency": _same(block.agency, size),
        "bucket": arrow(accepted.day, pa.date32()),
        "value": ticks_to_decimal(accepted.ticks, accepted.status != MISSING),
        "base": ticks_to_decimal(accepted.base, accepted.base > 0),  # a base that was accepted is above 0
        "status": _coded(accepted.status, list(STATUSES)),
        "revision": arrow(accepted.revision.astype(np.uint32), pa.uint32()),
        "observed_at": texts["observed_at"].view(OBSERVATIONS.field("observed_at").type),
        "received_at": arrow(block.timestamps[accepted.rows], OBSERVATIONS.field("received_at").type),
        "topic": _same(block.topic, size),
        "partition": arrow(np.full(size, block.partition, np.uint32)),
        "offset": arrow(offsets.astype(np.uint64)),
        "version": arrow(accepted.version.astype(np.uint64)),
        "rules": _same(rules_digest, size),
        "replay_of": _replays(block, accepted),
    }
    return pa.Table.from_arrays([columns[name] for name in OBSERVATIONS.names], schema=OBSERVATIONS)


def rejected_rows(block: Block, refused: Sequence[Refusal], rules_digest: str) -> pa.Table:
    """Make one row per refused record, in the columns of REJECTED; ``raw`` is its value as it lay in the log."""
    size = len(refused)
    positions = np.array([refusal.position for refusal in refused], np.int64)
    schema_ids = np.array([refusal.schema_id or 0 for refusal in refused], np.int64)
    has_schema = np.array([refusal.schema_id is not None for refusal in refused], np.bool_)
    columns = {
        "topic": strings([block.topic] * size),
        "partition": arrow(np.full(size, block.partition, np.uint32)),
        "offset": arrow(block.offsets[positions].astype(np.uint64)),
        "reason": strings([refusal.reason.name for refusal in refused]),
        "field": strings([refusal.field for refusal in refused]),
        "detail": strings([refusal.detail for refusal in refused]),
        "raw": byte_strings([block.values[refusal.position] or b"" for refusal in refused]),
        "schema_id": arrow(schema_ids, present=has_schema),
        "agency": strings([block.agency] * size),
        "indicator": strings([refusal.indicator for refusal in refused]),
        "submission": strings([refusal.submission for refusal in refused]),
        "received_at": arrow(block.timestamps[positions], REJECTED.field("received_at").type),
        "rules": strings([rules_digest] * size),
    }
    return pa.Table.from_arrays([columns[name] for name in REJECTED.names], schema=REJECTED)


def _coded(codes: npt.NDArray[np.generic], texts: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(arrow(codes.astype(np.int32)), strings(texts))


def _same(text: str, size: int) -> pa.DictionaryArray:
    return _coded(np.zeros(size, np.int32), [text])


def _replays(block: Block, accepted: Accepted) -> pa.DictionaryArray:
    if not block.replay_of:
        return _same("", len(accepted.rows))
    places = ["", *dict.fromkeys(block.replay_of.values())]
    codes = {place: at for at, place in enumerate(places)}
    of_block = np.zeros(len(block.offsets), np.int32)
    of_block[list(block.replay_of)] = [codes[place] for place in block.replay_of.values()]
    return _coded(of_block[accepted.rows], places)
