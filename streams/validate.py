"""Judge fetched blocks: what the validate agent does with each."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from faust.types import TP

from schemas.codec import EventCodec
from schemas.codec_lines import encode_rejected
from schemas.errors import Fatal
from schemas.reasons import Refusal
from schemas.rules import Accepted, Block, Rules
from schemas.topics import REPLAY_OF, agency_of
from streams.blocks import Fetched
from streams.health import Health
from streams.metrics import Metrics
from streams.report import Line
from streams.rows import observation_rows, rejected_rows
from streams.threads import Threads

PLACE = re.compile(rb"(0|[1-9][0-9]{0,9}):(0|[1-9][0-9]{0,18})")


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """A block with its verdicts, as it goes from the validate agent to the aggregate agent."""

    tp: TP
    opening: int
    block: Block
    accepted: Accepted
    refused: Sequence[Refusal]
    observations: pa.Table
    rejected: pa.Table
    rejects: list[Line]
    """What goes to gris.rejected."""
    follows: int
    end: int

    @property
    def bytes(self) -> int:
        """What of its memory no number of rows bounds: refused records, as a row and as a message, and notes."""
        return int(2 * self.rejected.nbytes + self.observations.column("note").nbytes)


class Validator:
    """Rows as pure functions of record bytes, broker time, topic, partition and offset, under one set of rules."""

    def __init__(
        self,
        rules: Rules,
        codec: EventCodec,
        partitions: dict[str, int],
        threads: Threads,
        health: Health,
        metrics: Metrics,
    ) -> None:
        self._rules = rules
        self._codec = codec
        self._partitions = partitions
        self._threads = threads
        self._health = health
        self._metrics = metrics

    async def judge(self, fetched: Fetched) -> Judged:
        """Judge one block. A registry that cannot be reached is waited for; nothing is refused because of it."""
        return await self._health.persist("judging events", lambda: self._threads.compute(self._judge, fetched))

    def _judge(self, fetched: Fetched) -> Judged:
        with self._metrics.stage("frame"):
            block = self._block(fetched)
        with self._metrics.stage("decode"):
            decoded = self._codec.decode(block.values)
        with self._metrics.stage("rules"):
            judged = self._rules.judge(block, decoded)
        with self._metrics.stage("rows"):
            observations = observation_rows(block, judged.accepted, self._rules.digest)
            rejected = rejected_rows(block, judged.refused, self._rules.digest)
            rejects = [_reject(block, refusal) for refusal in judged.refused]
        return Judged(
            fetched.tp,
            fetched.opening,
            # What was decoded and what was refused is in the rows now; the bytes would double the memory of a flush.
            dataclasses.replace(block, keys=[], values=[]),
            judged.accepted,
            judged.refused,
            observations,
            rejected,
            rejects,
            fetched.follows,
            fetched.end,
        )

    def _block(self, fetched: Fetched) -> Block:
        topic, partition = fetched.tp.topic, fetched.tp.partition
        agency = agency_of(topic)
        if agency is None:
            raise Fatal(f"{topic} is no topic of events; subscribe to gris.events.<agency> only.")
        records = fetched.records
        count = len(records)
        return Block(
            topic,
            agency,
            partition,
            self._partitions[topic],
            np.fromiter((r.offset for r in records), np.int64, count),
            np.fromiter((r.timestamp for r in records), np.int64, count),
            [r.key for r in records],
            [r.value for r in records],
            {at: place for at, r in enumerate(records) if r.headers and (place := _replay_of(r.headers))},
        )


def _replay_of(headers: Sequence[tuple[str, Any]]) -> str:
    """Give the place of the record that this one repeats; empty for none, and for a malformed header."""
    for name, value in headers:
        if name == REPLAY_OF and value is not None and PLACE.fullmatch(value):
            return str(value.decode())
    return ""


def _reject(block: Block, refusal: Refusal) -> Line:
    at = refusal.position
    offset = int(block.offsets[at])
    return Line(
        f"{block.topic}:{block.partition}:{offset}".encode(),
        encode_rejected(
            {
                "topic": block.topic,
                "partition": block.partition,
                "offset": offset,
                "reason": refusal.reason.name,
                "field": refusal.field,
                "detail": refusal.detail,
                "raw": block.values[at] or b"",
                "schema_id": refusal.schema_id,
                "agency": block.agency,
                "indicator": refusal.indicator,
                "submission": refusal.submission,
                "received_at": int(block.timestamps[at]),
            }
        ),
    )
