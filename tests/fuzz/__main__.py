"""Run one target under atheris: `python -m tests.fuzz codec --seconds 60 --keep FOLDER`."""

import argparse
import sys
import tempfile
from pathlib import Path

NAMES = ("codec", "rules", "periods", "files", "cells", "sheets", "batches")


def main() -> None:
    """Fuzz for a while; the exit code is not 0 when an input was found that a target does not bear."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--seconds", type=int, default=60, help="how long to look")
    parser.add_argument("--keep", type=Path, help="a folder for what was found to reach new code, and for what failed")
    parser.add_argument("--seed", type=int, default=0, help="0 draws one")
    asked = parser.parse_args()
    try:
        import atheris  # noqa: PLC0415 - only where it is installed
    except ImportError:
        sys.exit("atheris is not installed: ./deploy/fuzz does that (Linux on x86-64 only).")
    with atheris.instrument_imports(
        include=["schemas", "producers", "streams.inflate", "streams.unpack", "tests.fuzz"]
    ):
        from tests.fuzz import seeds  # noqa: PLC0415 - instrumented while imported

    with tempfile.TemporaryDirectory() as scratch:
        keep = (asked.keep or Path(scratch)).resolve()
        corpus, first, dictionary = keep / asked.target, Path(scratch) / "seeds", Path(scratch) / "words"
        for folder in (corpus, first):
            folder.mkdir(parents=True, exist_ok=True)
        for at, seed in enumerate(seeds.seeds(asked.target)):
            (first / f"{at:03}").write_bytes(seed)
        escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in seeds.words())
        dictionary.write_text("".join(f'"{word}"\n' for word in escaped), encoding="ascii")
        options = [
            f"-max_total_time={asked.seconds}",
            f"-artifact_prefix={keep}/failed-{asked.target}-",
            f"-dict={dictionary}",
            f"-seed={asked.seed}",
            "-max_len=4096",
            "-timeout=20",
            "-rss_limit_mb=2000",
            "-print_final_stats=1",
        ]
        atheris.Setup([sys.argv[0], *options, str(corpus), str(first)], seeds.TARGETS[asked.target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
