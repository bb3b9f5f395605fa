"""What a worker keeps out of its memory."""

import subprocess
import sys

FIRST_ARRAY = """
import sys
from streams.memory import keep_little

keep_little()

import pyarrow as pa

assert pa.array(["a"], pa.string()).to_pylist() == ["a"]
assert "pandas" not in sys.modules
import pandas
"""


def test_arrow_does_without_pandas_and_whoever_wants_it_still_has_it() -> None:
    ended = subprocess.run([sys.executable, "-c", FIRST_ARRAY], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
