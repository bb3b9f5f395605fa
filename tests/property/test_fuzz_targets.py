"""The fuzzer's targets bear their seeds and what was once found; where atheris is installed, also a few seconds."""

import base64
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import NAMES
from tests.fuzz.seeds import TARGETS, seeds, words

# Base64 of inputs on which a target once failed, and what it was.
FOUND = {
    "codec": [
        # A text behind whose length too little follows: fastavro alone takes it for a shorter one.
        (
            "BwAAAAAAAAAAAAAARzA0LjAwMgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
            "ODo8PkBCREZISkxO"
        ),
        # A branch beyond the last, in a field that our schema does not have: fastavro alone steps over it.
        "BwAAAAAAAAAAAAAAAD8AAAAAAAAAAgQGCAAAAAAAAAIEBgg=",
    ],
    "batches": [
        # The name of a header that is said to take 2^63 bytes.
        "AgMQAAAAAmsCdgAYAAACAQEEAmgCeAABmgEAAAQAjP//////////AQAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ],
    "periods": [
        # 80 quoted characters, each of them escaped.
        "Mf//////////////////////////////////////AAAAAAD/////////////////////////OTY1",
    ],
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_bears_its_seeds_and_what_was_found_once(target: str) -> None:
    for data in [*seeds(target), *map(base64.b64decode, FOUND.get(target, ()))]:
        TARGETS[target](data)
    assert words()
    assert set(TARGETS) == set(NAMES)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed (./deploy/fuzz)")
@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run_of_the_fuzzer_finds_nothing(target: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", target, "--seconds", "3", "--seed", "1", "--keep", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-3_000:]
    assert any((tmp_path / target).iterdir())
