"""Whoever opened a partition last is the only one who announces it, on the real broker."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest
from faust.types import TP

from deploy import topics as broker
from schemas.catalogue import load
from schemas.topics import specs
from streams.announce import BATCH_BYTES, Announcer, Fenced, Messages
from streams.report import Line
from tests.support.wait import wait_for

PLACE = TP("gris.events.fenced", 0)


class Slow:
    """Lines of which the last comes when the transaction has ended by itself; the first fills a batch."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer

    def __iter__(self) -> Iterator[Line]:
        yield Line(b"1", b"x" * BATCH_BYTES)
        yield Line(b"2", b"x")
        transaction = self._announcer._producers[PLACE]._txn_manager
        wait_for(transaction.is_fatal_error, "the broker to refuse the first batch")
        yield Line(b"3", b"x")


@pytest.fixture(autouse=True)
def _topics(kafka_bootstrap: str) -> None:
    broker.ensure(kafka_bootstrap, specs(load()))


def sent_after_another(bootstrap: str, messages: Any) -> None:
    """Open the partition, have another open it, and send."""

    async def scene() -> None:
        late, heir = Announcer(bootstrap, "late"), Announcer(bootstrap, "heir")
        try:
            await late.fence([PLACE])
            await heir.fence([PLACE])
            await late.send({PLACE: messages(late)})
        finally:
            await late.close()
            await heir.close()

    asyncio.run(scene())


def test_who_opened_a_partition_before_another_did_is_told_so(kafka_bootstrap: str) -> None:
    with pytest.raises(Fenced, match="Another worker announces"):
        sent_after_another(kafka_bootstrap, lambda _: Messages([], cast("Any", [Line(b"1", b"x")])))


def test_who_is_found_out_between_two_batches_is_told_so_too(kafka_bootstrap: str) -> None:
    with pytest.raises(Fenced, match="Another worker announces"):
        sent_after_another(kafka_bootstrap, lambda late: Messages([Line(b"0", b"x")], cast("Any", Slow(late))))
