"""Judge fetched blocks: what the validate agent does with each."""

import dataclasses
import functools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

import pyarrow as pa
from faust.types import TP

from schemas.codec import EventCodec
from schemas.codec_lines import encode_rejected
from schemas.errors import Fatal
from schemas.reasons import Refusal
from schemas.rules import Accepted, Block, Rules
from schemas.spans import NOTHING
from schemas.topics import agency_of
from streams.blocks import Fetched
from streams.health import Health
from streams.metrics import Metrics
from streams.record_batches import NO_RECORDS, Records, read
from streams.report import Line
from streams.rows import observation_rows, rejected_rows
from streams.threads import Threads


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """A block with its verdicts, as it goes from the validate agent to the aggregate agent.

    It holds what there is at the offsets from ``follows`` to ``reaches`` (exclusive), which may be nothing.
    """

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
    reaches: int
    end: int

    @property
    def bytes(self) -> int:
        """What of its memory no number of rows bounds: refused records, as a row and as a message, and notes."""
        notes = self.observations.column("note")
        # Asked only where there is something: Arrow takes long to answer.
        written = notes.nbytes if notes.null_count < len(notes) else 0
        return int(written + 2 * self.rejected.nbytes) if self.refused else int(written)


class _Again:
    """Gives the same block again until it is done with."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self._block: Block | None = None

    def next(self) -> Block:
        if self._block is None:
            self._block = next(self._blocks)
        return self._block

    def done(self) -> None:
        self._block = None

    def end(self) -> None:
        """Read to the end, where it is seen whether all was as the batches say. Raises Fatal."""
        for block in self._blocks:
            if len(block.offsets):
                raise Fatal(
                    f"A batch in partition {block.partition} of {block.topic} holds records behind the offsets that it"
                    " says it has. Nothing of it was taken; please report it."
                )


class Validator:
    """Rows as pure functions of record bytes, broker time, topic, partition and offset, under one set of rules."""

    def __init__(
        self,
        rules: Rules,
        codec: EventCodec,
        partitions: dict[str, int],
        block_events: int,
        threads: Threads,
        health: Health,
        metrics: Metrics,
    ) -> None:
        self._rules = rules
        self._codec = codec
        self._partitions = partitions
        self._block_events = block_events
        self._threads = threads
        self._health = health
        self._metrics = metrics

    async def judge(self, fetched: Fetched) -> AsyncIterator[Judged]:
        """Judge what was fetched, block by block; an empty one at the end where more offsets than records are passed.

        A registry that cannot be reached is waited for; nothing is refused because of it. Raises Fatal.
        """
        blocks, reached = _Again(self._blocks(fetched)), fetched.follows
        while reached != fetched.reaches:
            judged = await self._health.persist(
                "judging events", functools.partial(self._threads.compute, self._judge, fetched, blocks, reached)
            )
            yield judged
            reached = judged.reaches

    def _judge(self, fetched: Fetched, blocks: _Again, follows: int) -> Judged:
        """Judge the next block, in one go with reading it: at the head of a log a change of threads costs as much."""
        with self._metrics.stage("frame"):
            block = blocks.next()
        judged = self._judged(fetched, block, follows)
        blocks.done()
        if judged.reaches == fetched.reaches:
            blocks.end()  # here, so that what was unpacked is gone before the block is waited for
        return judged

    def _blocks(self, fetched: Fetched) -> Iterator[Block]:
        place = f"{fetched.tp.topic}, partition {fetched.tp.partition}"
        for records in read(place, fetched.batches, fetched.follows, self._block_events):
            yield _block(fetched, records, self._partitions)
        yield _block(fetched, NO_RECORDS, self._partitions)

    def _judged(self, fetched: Fetched, block: Block, follows: int) -> Judged:
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
            dataclasses.replace(block, keys=NOTHING, values=NOTHING),
            judged.accepted,
            judged.refused,
            observations,
            rejected,
            rejects,
            follows,
            int(block.offsets[-1]) + 1 if len(block.offsets) else fetched.reaches,
            fetched.end,
        )


def _block(fetched: Fetched, records: Records, partitions: Mapping[str, int]) -> Block:
    topic, partition = fetched.tp.topic, fetched.tp.partition
    agency = agency_of(topic)
    if agency is None:
        raise Fatal(f"{topic} is no topic of events; subscribe to gris.events.<agency> only.")
    return Block(
        topic,
        agency,
        partition,
        partitions[topic],
        records.offsets,
        records.timestamps,
        records.keys,
        records.values,
        records.replay_of,
    )


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
