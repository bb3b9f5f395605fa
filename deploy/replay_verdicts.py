"""What a replay of refused records would bring: the worker's rules once more, and what has been said since."""

import collections
import dataclasses
import datetime as dt
import enum
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources

import numpy as np

from schemas.catalogue import Catalogue
from schemas.codec import EventCodec
from schemas.partition import partition_for
from schemas.reasons import Refusal
from schemas.registry import SchemaSource
from schemas.rules import Accepted, Block, Rules
from schemas.spans import Spans
from sinks.clickhouse import rejects
from sinks.clickhouse.client import Client
from sinks.clickhouse.rejects import Cell, Reject, Statement

SUPERSEDED = (
    "a later statement about the same cell, with the same revision, was accepted since: a replay would bring the older"
    " figure back (--all publishes it all the same)"
)
UNDECODABLE = "; without the indicator it names it has no key, so only --all publishes it, into the partition it was in"


class Kind(enum.StrEnum):
    """What would become of a record if it were published now."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one record; ``key`` is the indicator it decodes to, None where it does not decode."""

    kind: Kind
    key: bytes | None
    reason: str = ""
    field: str = ""
    detail: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class _Accepted:
    """The cell that an acceptable record speaks of."""

    key: bytes
    cell: Cell
    revision: int


class Verdicts:
    """Judges records as the worker would if the broker took them now. Nothing is written."""

    def __init__(self, catalogue: Catalogue, schemas: SchemaSource, client: Client) -> None:
        self._rules = Rules(catalogue, resources.files("schemas").joinpath("ids.json").read_bytes())
        self._codec = EventCodec(schemas)
        self._client = client

    @property
    def digest(self) -> str:
        """Name the rules that judge."""
        return self._rules.digest

    def judge(
        self, asked: Sequence[tuple[Reject, bytes | None]], partitions: Mapping[str, int], now: dt.datetime
    ) -> list[Verdict]:
        """Give the verdict of each record, in their order; ``partitions`` counts those of each topic.

        A record that the rules accept is superseded where a replay would put an older figure in the place of a newer
        one: the statement that counts for its cell bears the same revision, and was said after the reject. (A reject
        that is itself a replay counts from its own place: what it repeats is not kept.) Raises Retry.
        """
        found: dict[int, Refusal | _Accepted] = {}
        keys: dict[int, bytes] = {}
        by_topic: dict[str, list[int]] = collections.defaultdict(list)
        for at, (reject, _) in enumerate(asked):
            by_topic[reject.place.topic].append(at)
        for topic, positions in by_topic.items():
            values = [asked[at][1] for at in positions]
            named, undecoded = self._decode(values)
            keys |= {positions[at]: key for at, key in named.items()}
            found |= {positions[refusal.position]: refusal for refusal in undecoded}
            agency = asked[positions[0]][0].agency
            for block, share in _blocks(topic, agency, partitions[topic], values, named, now):
                judged = self._rules.judge(block, self._codec.decode(block.values))
                found |= {positions[share[refusal.position]]: refusal for refusal in judged.refused}
                found |= {positions[share[at]]: one for at, one in _accepted(block, judged.accepted)}
        said = rejects.statements(self._client, [one.cell for one in found.values() if isinstance(one, _Accepted)])
        return [_verdict(asked[at][0], found[at], keys.get(at), said) for at in range(len(asked))]

    def _decode(self, values: Sequence[bytes | None]) -> tuple[dict[int, bytes], list[Refusal]]:
        decoded = self._codec.decode(Spans.of(values))
        indicators = decoded.batch.column("indicator").to_pylist()
        named = {at: code.encode() for at, code in zip(decoded.rows.tolist(), indicators, strict=True)}
        return named, decoded.refused


def _blocks(
    topic: str,
    agency: str,
    partitions: int,
    values: Sequence[bytes | None],
    keys: Mapping[int, bytes],
    now: dt.datetime,
) -> Iterable[tuple[Block, list[int]]]:
    """Lay out records where their keys put them: a block a partition, with the positions of its records."""
    shares: dict[int, list[int]] = collections.defaultdict(list)
    for at, key in keys.items():
        shares[partition_for(key, partitions)].append(at)
    for partition, share in shares.items():
        yield (
            Block(
                topic,
                agency,
                partition,
                partitions,
                offsets=np.arange(len(share), dtype=np.int64),
                timestamps=np.full(len(share), int(now.timestamp() * 1000), np.int64),
                keys=Spans.of([keys[at] for at in share]),
                values=Spans.of([values[at] for at in share]),
                replay_of={},
            ),
            share,
        )


def _accepted(block: Block, accepted: Accepted) -> Iterable[tuple[int, _Accepted]]:
    columns = (accepted.texts.column(name).to_pylist() for name in ("indicator", "area", "breakdown", "time_period"))
    cells = zip(*columns, strict=True)
    for at, cell, revision in zip(accepted.rows.tolist(), cells, accepted.revision.tolist(), strict=True):
        yield at, _Accepted(block.keys[at] or b"", cell, revision)


def _verdict(reject: Reject, found: Refusal | _Accepted, key: bytes | None, said: Mapping[Cell, Statement]) -> Verdict:
    if isinstance(found, Refusal):
        detail = found.detail if key is not None else found.detail + UNDECODABLE
        return Verdict(Kind.REFUSED, key, found.reason.name, found.field, detail)
    counts = said.get(found.cell)
    if counts is not None and counts.revision == found.revision and counts.is_later_than(reject):
        return Verdict(Kind.SUPERSEDED, key, detail=SUPERSEDED)
    return Verdict(Kind.ACCEPTED, key)
