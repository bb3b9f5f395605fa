"""Whatever the codec decodes is judged as the plain rules judge it, record by record."""

import functools

from schemas.codec import STATUSES, EventCodec
from schemas.partition import partition_for
from schemas.reasons import Refusal
from schemas.registry import BundledSchemas
from tests.fuzz.codec import GOOD, decode
from tests.support.judging import NOW, block, bundled, said
from tests.support.plain_rules import Record, verdict

HOUR = 3_600_000
PREFIX = 3  # bytes before the record: agency, key, clock


def check(data: bytes) -> None:
    """Judge ``data[3:]`` as the body of an event; the bytes before it choose its agency, its key and the clock."""
    if len(data) < PREFIX:
        return
    catalogue, rules = bundled()
    raw = b"\x00\x00\x00\x00\x01" + data[PREFIX:]
    decoded = decode(_codec(), [GOOD, raw, raw])
    events = [row | {"status": STATUSES[row["status"]]} for row in decoded.batch.to_pylist()]
    if len(events) == 1:
        return  # no event: the other target's matter
    odd = events[1]
    known = catalogue.indicator(odd["indicator"])
    agency = catalogue.agencies[data[0] % len(catalogue.agencies)].code if known is None or data[0] else known.agency
    keys = {1: None, 2: b"", 3: odd["indicator"].encode() + b" ", 4: b"\xff"}
    key = keys.get(data[1], odd["indicator"].encode())
    partitions = 1 + data[1] // 64
    partition = partition_for(key, partitions) if key is not None and data[1] % 2 == 0 else 0
    timestamps = [NOW, NOW - data[2] * HOUR, NOW + data[2]]
    where = block(
        agency,
        [b"G18.001", key, key],
        timestamps=timestamps,
        partition=partition,
        partitions=partitions,
        first_offset=9,
    )
    judged = rules.judge(where, decoded)

    found = said(judged)
    expected = [
        verdict(Record(agency, partition, partitions, 9 + at, timestamps[at], where.keys[at], event), catalogue)
        for at, event in enumerate(events)
    ]
    assert [found[position] for position in range(len(events))] == expected, (found, expected, odd)
    for refusal in judged.refused:
        _fits(refusal)


def _fits(refusal: Refusal) -> None:
    assert refusal.field
    assert 10 < len(refusal.detail) < 1_200, refusal
    assert max(len(refusal.indicator), len(refusal.submission)) <= 256
    refusal.detail.encode()


@functools.cache
def _codec() -> EventCodec:
    return EventCodec(BundledSchemas())
