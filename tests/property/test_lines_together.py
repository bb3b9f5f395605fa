"""Report lines encoded by column are, byte for byte, those encoded one by one."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec_areas import AreaColumns
from schemas.codec_lines import Head, encode_line, encode_lines

COUNTS = st.integers(0, 200) | st.integers(0, 2**31 - 1)


@st.composite
def area_columns(draw: st.DrawFn) -> AreaColumns:
    """Draw the areas of some lines."""
    codes = draw(st.lists(st.text(max_size=5), max_size=4))
    shape = (draw(st.integers(0, 4)), len(codes))

    def column(each: st.SearchStrategy[Any], kind: type[np.generic]) -> Any:
        size = shape[0] * shape[1]
        return np.array(draw(st.lists(each, min_size=size, max_size=size)), kind).reshape(shape)

    big = st.integers(-(10**18), 10**18)
    said, valued, bounded = (column(st.booleans(), np.bool_) for _ in range(3))
    value, low, high = (column(big, np.int64) for _ in range(3))
    reported, expected, cells = (column(COUNTS, np.int64) for _ in range(3))
    return AreaColumns(codes, said, valued, value, bounded, low, high, reported, expected, cells)


@settings(max_examples=200, deadline=None)
@given(area_columns())
def test_lines_encoded_together_are_the_bytes_of_each_encoded_alone(areas: AreaColumns) -> None:
    heads = [
        Head(20_000 + at, "i" * at, "_T", 2**at, 1_700_000_000_000 + at, "AM"[at % 2], ["F"] * at)
        for at in range(len(areas.said))
    ]
    alone = [
        encode_line(
            *head,
            [
                (
                    code,
                    int(areas.value[row, at]) if areas.valued[row, at] else None,
                    int(areas.low[row, at]) if areas.bounded[row, at] else None,
                    int(areas.high[row, at]) if areas.bounded[row, at] else None,
                    int(areas.reported[row, at]),
                    int(areas.expected[row, at]),
                    int(areas.cells[row, at]),
                )
                for at, code in enumerate(areas.codes)
                if areas.said[row, at]
            ],
        )
        for row, head in enumerate(heads)
    ]
    assert list(encode_lines(heads, areas)) == alone
