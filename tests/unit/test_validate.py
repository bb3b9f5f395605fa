"""A fetch is judged block by block, to its end: nothing that is wrong with its last batch stays unseen."""

import asyncio

import pytest
from faust.types import TP

from schemas.codec import EventCodec
from schemas.errors import Fatal
from schemas.registry import BundledSchemas
from streams.blocks import Fetched
from streams.health import Health
from streams.metrics import Metrics
from streams.threads import Threads
from streams.validate import Validator
from tests.support.batches import Said, batch, fetched
from tests.support.judging import bundled

PLACE = TP("gris.events.g18", 0)


def reaches(deltas: list[int], end: int) -> list[tuple[int, int]]:
    """Judge a batch of records at these offsets, one at a time; answers from where to where each block goes."""
    _, rules = bundled()
    threads = Threads()
    validator = Validator(rules, EventCodec(BundledSchemas()), {PLACE.topic: 1}, 1, threads, Health(), Metrics())
    batches, _ = fetched(batch(0, [Said(delta, b"k", b"v") for delta in deltas], last_delta=end - 1))

    async def judge() -> list[tuple[int, int]]:
        answer = Fetched(PLACE, 1, batches, 0, end, end)
        return [(judged.follows, judged.reaches) async for judged in validator.judge(answer)]

    try:
        return asyncio.run(judge())
    finally:
        threads.close()


def test_a_fetch_that_ends_behind_its_last_record_ends_with_an_empty_block() -> None:
    assert reaches([0, 1], 2) == [(0, 1), (1, 2)]
    assert reaches([0, 1], 5) == [(0, 1), (1, 2), (2, 5)]


def test_a_record_out_of_order_behind_the_last_offset_stops_the_worker() -> None:
    with pytest.raises(Fatal, match="do not ascend"):
        reaches([0, 2, 1], 3)
