"""Weighted means of many lines at once are those of each alone, also where products pass 64 bits."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalogue import Rollup
from streams.totals import roll_up, weighted_mean

SMALL = st.tuples(st.integers(-30, 30), st.integers(1, 12))
LARGE = st.tuples(st.integers(-(10**14), 10**14), st.integers(1, 10**14))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.none() | SMALL | LARGE, min_size=3, max_size=3), min_size=1, max_size=6))
def test_lines_rolled_up_together_have_the_weighted_mean_of_each(lines: list[list[tuple[int, int] | None]]) -> None:
    has = np.array([[member is not None for member in line] for line in lines]).T
    # What has no value may still have an old base.
    value = np.array([[member[0] if member else 0 for member in line] for line in lines], np.int64).T
    base = np.array([[member[1] if member else 10**14 for member in line] for line in lines], np.int64).T

    found = roll_up(Rollup.WEIGHTED_MEAN, value, base, has, has.sum(axis=0))

    said = [[member for member in line if member] for line in lines]
    alone = [weighted_mean([v for v, _ in line], [b for _, b in line]) if line else 0 for line in said]
    assert found.tolist() == alone
