"""Batches read in columns say what aiokafka's own reader says of them, or stop the worker: nothing in between."""

import contextlib
import itertools
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import Fatal
from schemas.topics import REPLAY_OF
from streams import record_batches, record_starts
from streams.record_batches import Records, read
from tests.support.batches import (
    ABORT,
    CODECS,
    COMMIT,
    HEADER,
    TRANSACTIONAL,
    Said,
    batch,
    fetched,
    marker,
    reference,
    replayed,
    sealed,
)

Row = tuple[int, int, bytes | None, bytes | None, str]

TEXTS = st.none() | st.binary(max_size=40) | st.sampled_from([b"", b"G18.001", b"x" * 63, b"x" * 64, b"y" * 9_000])
NAMES = st.sampled_from([REPLAY_OF, "traceparent", ""])
HEADERS = st.lists(st.tuples(NAMES, st.none() | st.sampled_from([b"0:7", b"3:12", b"x"]) | st.binary()), max_size=3)
TIMES = st.integers(0, 2**42) | st.integers(0, 2**62)
PRODUCERS = (-1, 7, 8)
WHERE = "gris.events.g18, partition 0"


@st.composite
def logs(draw: st.DrawFn) -> tuple[bytes, int, list[tuple[int, int]]]:
    """Draw a log of one partition (batches of all kinds), where in its first a fetch begins, what was aborted."""
    log, offset = b"", draw(st.integers(0, 2**40))
    begin, within, under_way = offset, offset, dict[int, int]()
    aborted: list[tuple[int, int]] = []
    for _ in range(draw(st.integers(1, 6))):
        producer = draw(st.sampled_from(PRODUCERS))
        if producer in under_way and draw(st.booleans()):
            first = under_way.pop(producer)
            kind = draw(st.sampled_from([ABORT, COMMIT]))
            if kind == ABORT:
                aborted.append((producer, first))
            log += marker(offset, producer, kind)
            offset += 1
            continue
        deltas = sorted(draw(st.sets(st.integers(0, 300), max_size=12)))
        trailing = draw(st.integers(0, 3))
        last = (deltas[-1] if deltas else 0) + trailing
        said = [Said(delta, draw(TEXTS), draw(TEXTS), draw(TIMES), draw(HEADERS)) for delta in deltas]
        transactional = producer != -1 and draw(st.booleans())
        if transactional:
            under_way.setdefault(producer, offset)
        log += batch(
            offset,
            said,
            codec=draw(st.sampled_from(CODECS)) if said else 0,  # nobody compresses nothing
            attributes=TRANSACTIONAL if transactional else 0,
            producer=producer,
            last_delta=last,
            append_time=draw(st.none() | TIMES),
        )
        within = offset + last if offset == begin else within
        offset += last + 1
    for producer, first in under_way.items():  # a transaction may be aborted behind the end of this fetch
        if draw(st.booleans()):
            aborted.append((producer, first))
    return log, draw(st.integers(begin, within)), aborted


def rows(pieces: list[Records]) -> list[Row]:
    """Give what pieces hold as aiokafka gives it, record by record."""
    return [
        (
            int(piece.offsets[at]),
            int(piece.timestamps[at]),
            piece.keys[at],
            piece.values[at],
            piece.replay_of.get(at, ""),
        )
        for piece in pieces
        for at in range(len(piece.offsets))
    ]


def by_aiokafka(records: list[Any]) -> list[Row]:
    return [(one.offset, one.timestamp, one.key, one.value, replayed(one.headers)) for one in records]


@settings(max_examples=150, deadline=None)
@given(logs(), st.integers(1, 20), st.sampled_from([record_batches.PIECE_BYTES, 200]))
def test_columns_and_what_is_too_large_for_them_are_what_aiokafka_reads(
    log: tuple[bytes, int, list[tuple[int, int]]], most: int, largest: int
) -> None:
    raw, start, aborted = log
    batches, goes_on = fetched(raw, start, aborted)
    wanted, then = reference(raw, start, aborted)
    with mock.patch.object(record_batches, "PIECE_BYTES", largest):
        pieces = list(read("here", batches, start, most))
    assert rows(pieces) == by_aiokafka(wanted)
    assert goes_on == then
    assert all(0 < len(piece.offsets) <= most for piece in pieces)


EVENTS = [Said(at, b"G18.%03d" % (at % 200), b"\0\0\0\0\1" + b"e" * (at % 97)) for at in range(15_000)]


@pytest.fixture(scope="module")
def large() -> bytes:
    """Batches so large that their chains of records are followed in many lanes."""
    return b"".join(batch(1_000_000 * at, EVENTS, codec=3) for at in range(3))


def test_chains_that_are_followed_in_lanes_are_the_same_chains(large: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    batches, _ = fetched(large)
    wanted = by_aiokafka(reference(large)[0])
    assert rows(list(read("here", batches, 0, 100_000))) == wanted
    # Were the lanes given up, the test above would still pass: it has to be they that found the records.
    monkeypatch.setattr(record_starts, "_one_by_one", None)
    assert rows(list(read("here", batches, 0, 5_000))) == wanted


def test_values_that_hold_what_looks_like_other_records_mislead_nobody() -> None:
    trap = b"\x10\0\0\0\0\1" * 40
    said = [Said(at, None, b"\0\0\0\0\1" + trap * (at % 3 + 1)) for at in range(4_000)]
    log = batch(5, said, codec=4)
    assert rows(list(read("here", fetched(log)[0], 0, 100_000))) == by_aiokafka(reference(log)[0])


def mutated(at: int, byte: int, count: int | None) -> bytes:
    """Break the records of a batch (or its count of them), and make its checksum right."""
    raw = bytearray(batch(10, [Said(at, b"G18.001", b"value %d" % at, 5, [("h", b"v")] * (at % 2)) for at in range(9)]))
    raw[HEADER + at % (len(raw) - HEADER)] = byte
    if count is not None:
        raw[HEADER - 4 : HEADER] = count.to_bytes(4, "big", signed=True)
    return sealed(raw)


@settings(max_examples=500, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(0, 255),
    st.none() | st.sampled_from([-1, 0, 8, 10, 2**31 - 1, -(2**31)]),
    st.sampled_from([1, 4, 100]),
)
def test_nonsense_under_a_right_checksum_is_read_as_aiokafka_does_or_stops_the_worker(
    at: int, byte: int, count: int | None, most: int
) -> None:
    log = batch(0, EVENTS[:10]) + mutated(at, byte, count)
    batches, _ = fetched(log)
    try:
        found = rows(list(read(WHERE, batches, 0, most)))
    except Fatal as fatal:
        found = str(fatal)
    if isinstance(found, str):
        assert f"{WHERE}: the record batch at offset 10 has the right checksum, but" in found
    else:
        with contextlib.suppress(UnicodeDecodeError):  # the name of a header: of no interest to us, fatal to aiokafka
            assert found == by_aiokafka(reference(log)[0])


def test_pieces_given_before_nonsense_was_met_are_not_given_again() -> None:
    padded = 2**61  # a delta of nine bytes, of which columns are not sure
    said = [Said(at, b"k", b"v", 0 if at < 8 else padded) for at in range(10)]
    log = batch(0, said)
    pieces = read("here", fetched(log)[0], 0, 4)
    assert [row[0] for row in rows(list(itertools.islice(pieces, 5)))] == list(range(10))
