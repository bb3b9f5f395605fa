"""`gris bench`, small, end to end: broker, engine and worker of its own, a right result, nothing left behind."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from deploy.benchmark.publish import publish
from deploy.benchmark.run import Outcome, measured
from deploy.benchmark.stack import running
from deploy.benchmark.table import as_json, table
from deploy.benchmark.verdict import differences
from deploy.benchmark.workload import Workload

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


def test_a_wrong_result_is_named_and_has_no_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.benchmark.publish.LIBRDKAFKA", "no_such_client")  # the other way to publish
    workload = Workload(5_000)
    with running(tmp_path / "stack") as bench:
        assert publish(workload, bench.settings.kafka, lambda _: None) == "kafka-python"
        measures = measured(bench, workload.events, 1, lambda *_: None)
        bench.stop_workers()
        assert list(differences(bench, workload.expected)) == []
        # One figure of a province gone, and with it the totals that it entered.
        bench.client.command(
            "ALTER TABLE observations DELETE WHERE indicator = 'B02.003' AND area = '32' SETTINGS mutations_sync = 1"
        )
        bench.client.command(
            "INSERT INTO day_totals SELECT * REPLACE (value + 1 AS value, version + 1 AS version) FROM day_totals FINAL"
            " WHERE indicator = 'B01.001' AND area = 'VN'"
        )
        wrong = tuple(differences(bench, workload.expected))
    assert any("gris.events.b02" in line and "accepted" in line for line in wrong)
    assert any("B01.001 VN" in line for line in wrong)
    assert any(line.startswith("gris check: ") for line in wrong)
    machine: dict[str, object] = {"cpus": 2, "load_average_before": 0}
    outcome = Outcome("week", 5_000, 4_950, 50, 1, "confluent_kafka", 1.0, 1.0, wrong, None, machine)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table(outcome))
    shown = console.export_text()
    assert "WRONG" in shown
    assert "events/s" not in shown
    assert as_json(outcome)["right"] is False
    assert as_json(outcome)["measures"] is None
    assert measures.events_per_second > 0
