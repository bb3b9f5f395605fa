"""Sparse and dense stores of cells hold the same: of each cell the newest statement, and bases where they are kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.cells import Cells, DenseCells, Newest, SparseCells

SIZE, LENGTH = 24, 4
Said = tuple[int, int, int, int]  # cell, version, ticks, base


@st.composite
def puts(draw: st.DrawFn) -> tuple[int, list[list[Said]]]:
    """Draw up to which cell there are bases, and statements in some puts; versions ascend within one."""
    weighted = draw(st.integers(0, SIZE // LENGTH)) * LENGTH
    statement = st.tuples(st.integers(0, SIZE - 1), st.integers(1, 30), st.integers(-9, 9), st.integers(1, 9))
    blocks = draw(st.lists(st.lists(statement, min_size=1, max_size=12), max_size=5))
    return weighted, [sorted(block, key=lambda said: said[1]) for block in blocks]


@pytest.mark.parametrize("dense_after", [0, 2, None], ids=["dense", "becomes dense", "sparse"])
@settings(max_examples=150, deadline=None)
@given(drawn=puts())
def test_a_store_gives_the_newest_statement_of_each_cell(
    dense_after: int | None, drawn: tuple[int, list[list[Said]]]
) -> None:
    weighted, blocks = drawn
    store: Cells = DenseCells(SIZE, weighted) if dense_after == 0 else SparseCells(SIZE, weighted)
    newest: dict[int, Said] = {}
    for at, block in enumerate(blocks):
        if at == dense_after and isinstance(store, SparseCells):
            store = store.to_dense(SIZE)
        cell, version, ticks, base = np.array(block, np.int64).T
        store.put(cell, Newest(version, ticks, base, (version % 7).astype(np.uint8)))
        for said in block:
            if said[1] >= newest.get(said[0], said)[1]:
                newest[said[0]] = said
    for starts in (range(0, weighted, LENGTH), range(weighted, SIZE, LENGTH)):  # a shape has bases, or has none
        found = store.runs(np.array(starts, np.int64), LENGTH)
        cells = [newest.get(start + slot, (0, 0, 0, 0)) for start in starts for slot in range(LENGTH)]
        assert found.version.ravel().tolist() == [version for _, version, _, _ in cells]
        assert found.ticks.ravel().tolist() == [ticks for _, _, ticks, _ in cells]
        assert found.status.ravel().tolist() == [version % 7 for _, version, _, _ in cells]
        with_base = starts.stop <= weighted
        assert found.base.ravel().tolist() == [base if with_base else 0 for _, _, _, base in cells]
