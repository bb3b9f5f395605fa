"""Views of Arrow columns are right at any offset and cost no import of pandas."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from schemas.columns import arrow, bits, byte_strings, numbers, strings, valid

FIGURES = pa.array([1.5, None, -2.0, None, 4.0, 5.0, None, 7.0, 8.0, 9.0, None])
FLAGS = pa.array([True, False, True, True, False, False, True, False, True, True, False])
SLICES = [(start, count) for start in (0, 1, 7, 8, 9, 11) for count in (0, 1, 2, 3) if start + count <= len(FLAGS)]


@pytest.mark.parametrize(("start", "count"), SLICES)
def test_a_slice_shows_its_own_rows(start: int, count: int) -> None:
    figures, flags = (column.slice(start, count) for column in (FIGURES, FLAGS))
    held = valid(figures)
    assert held.tolist() == [figure is not None for figure in figures.to_pylist()]
    assert numbers(figures, np.float64)[held].tolist() == figures.drop_null().to_pylist()
    assert bits(flags).tolist() == flags.to_pylist()


def test_a_column_of_nothing_but_nulls_holds_nothing() -> None:
    assert valid(pa.nulls(3)).tolist() == valid(pa.nulls(3, pa.float64())).tolist() == [False] * 3
    assert valid(pa.array([1, 2])).tolist() == [True, True]


def test_numpy_arrays_and_texts_become_arrow_columns() -> None:
    assert arrow(np.arange(6)[::2]).to_pylist() == [0, 2, 4]
    assert arrow(np.array([7, 8], np.int32), pa.date32()).type == pa.date32()
    assert arrow(np.array([7, 8]), present=np.array([False, True])).to_pylist() == [None, 8]
    assert strings(["é", "", "x"]).to_pylist() == ["é", "", "x"]
    assert strings([]).to_pylist() == []
    assert byte_strings([b"\xff", b""]).to_pylist() == [b"\xff", b""]


PROGRAM = """
import sys
import numpy as np, pyarrow as pa
from schemas.catalogue import load
from schemas.codec import EVENT_COLUMNS, Decoded
from schemas.columns import arrow, strings
from schemas.spans import Spans
from schemas.rules import Block, Rules
from streams.rows import observation_rows, rejected_rows

texts = [strings([text] * 2) for text in ("S1", "G18.001", "01", "_T", "2026-11-22T06:00:00/PT6H")]
value, status = arrow(np.array([1.0, 0.5])), arrow(np.zeros(2, np.uint8))
zeros = arrow(np.zeros(2, np.int32)), arrow(np.zeros(2, np.int64))
columns = [*texts, value, value, status, *zeros, pa.nulls(2, pa.string())]
batch = pa.RecordBatch.from_arrays(columns, schema=EVENT_COLUMNS)
times = np.full(2, 1795413600000)
block = Block("gris.events.g18", "g18", 0, 1, np.arange(2), times, Spans.of([b"G18.001"] * 2), Spans.of([b""] * 2), {})
judged = Rules(load(), b"{}").judge(block, Decoded(2, np.arange(2), batch, [], np.ones(2, np.int64)))
assert observation_rows(block, judged.accepted, "x").num_rows == rejected_rows(block, judged.refused, "x").num_rows == 1
sys.exit("pandas" in sys.modules)
"""


def test_judging_and_making_rows_does_not_import_pandas() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
