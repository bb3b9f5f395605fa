"""How far a partition is behind: by offsets, and by the age of the oldest record that is not stored."""

import itertools

import pytest

from sinks.clickhouse.ledger import Position
from streams.partition import Partition
from streams.waiting import Open
from tests.support.judging import bundled

NOW = 1_000_000.0


def opened(*, flushed: int, newest: int = 0) -> Open:
    catalogue, _ = bundled()
    start = Position("gris.events.g01", 0, flushed, flushed, 0, 0, "rules", "topic", 1)
    state = Partition(catalogue, "g01", start, [], itertools.count())
    state.newest = newest
    return Open(1, state, flushed, flushed, NOW)


def test_nothing_lags_at_the_end() -> None:
    assert opened(flushed=7, newest=5).lag(NOW + 60_000) == (0, 0.0)


def test_what_was_read_and_is_not_stored_has_the_age_of_the_oldest() -> None:
    partition = opened(flushed=7, newest=int(NOW))
    partition.end, partition.oldest_ms = 10, NOW - 5_000
    assert partition.lag(NOW + 1_000) == (3, 6.0)
    assert partition.lag(NOW + 31_000) == (3, 36.0), "it rises while nothing is stored"


def test_what_was_not_read_yet_came_after_nothing_lagged_last() -> None:
    partition = opened(flushed=7, newest=1)
    partition.lag(NOW + 100_000)
    partition.end = 8
    assert partition.lag(NOW + 103_000) == (1, 3.0), "the age of a record read long ago says nothing about it"


@pytest.mark.parametrize(("newest", "seconds"), [(0, 20.0), (int(NOW) + 15_000, 5.0)])
def test_before_anything_is_read_it_is_the_time_since_the_opening(newest: int, seconds: float) -> None:
    partition = opened(flushed=0, newest=newest)
    partition.end = 5
    assert partition.lag(NOW + 20_000) == (5, seconds)
