"""`gris bench`, small, end to end: broker, engine and worker of its own, a right result, nothing left behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

SECONDS = 240


def test_a_small_bench_is_right_and_says_everything_in_its_json_file(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    ran = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "bench", "--events", "20000", "--json", str(file)],
        env=os.environ | {"TMPDIR": str(temporary)},
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "events/s" in ran.stdout
    assert "WRONG" not in ran.stdout

    said = json.loads(file.read_text(encoding="utf-8"))
    assert (said["right"], said["wrong"]) == (True, [])
    assert (said["events"], said["workload"], said["workers"]) == (20_000, "week", 1)
    assert said["accepted"] + said["rejected"] == 20_000
    assert said["rejected"] > 100
    measures = said["measures"]
    assert measures["events_per_second"] > 0
    assert 0 < measures["seconds"] <= measures["whole_seconds"]
    assert 0 < measures["first_row_seconds"] <= measures["whole_seconds"]
    assert measures["cpu_us_per_event"] > 0
    assert measures["peak_rss_bytes"] > 1 << 20
    assert measures["flushes"] > 0
    assert {"frame", "decode", "rules", "rows", "fold", "totals", "observations"} <= measures["stages"].keys()
    assert list(temporary.iterdir()) == []
