"""`gris bench`, small, end to end: broker, engine and worker of its own, a right result, nothing left behind."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deploy.benchmark.announced import Ends, announced_differences
from deploy.benchmark.publish import publish
from deploy.benchmark.run import Plan, Report
from deploy.benchmark.stack import running
from deploy.benchmark.table import as_json, table
from deploy.benchmark.throughput import Run, measured, throughput
from deploy.benchmark.verdict import differences
from deploy.benchmark.workload import Workload
from deploy.local.stack import fetch
from schemas.errors import Fatal
from tests.support.wait import wait_for

SECONDS = 240


def bench(tmp_path: Path, *arguments: str) -> tuple[str, dict[str, Any]]:
    """Run `gris bench` to its end, rightly, and see that it leaves nothing; answer its table and its file."""
    file, temporary, here = tmp_path / "bench.json", tmp_path / "temporary", tmp_path / "here"
    temporary.mkdir()
    here.mkdir()
    ran = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "bench", *arguments, "--json", str(file)],
        cwd=here,
        env=os.environ | {"TMPDIR": str(temporary)},
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "WRONG" not in ran.stdout
    assert [*temporary.iterdir(), *here.iterdir()] == []
    said = json.loads(file.read_text(encoding="utf-8"))
    assert (said["right"], said["wrong"]) == (True, [])
    return ran.stdout, said


def test_a_small_bench_is_right_and_says_everything_in_its_json_file(tmp_path: Path) -> None:
    parts = [word for part in ("throughput", "floors", "rivals", "latency", "feed") for word in ("--only", part)]
    small = ("--events", "10000", "--workers", "1", "--rate", "300", "--seconds", "2", "--clients", "3", "--crowd", "5")
    shown, said = bench(tmp_path, *parts, *small)
    assert "events/s" in shown
    assert said["published"]["accepted"] + said["published"]["rejected"] == 10_000
    assert said["published"]["rejected"] > 100

    (run,) = said["throughput"]
    assert (run["events"], run["workers"], run["partitions"], run["inserts"]) == (10_000, 1, 4, True)
    measures = run["measures"]
    assert measures["events_per_second"] > 0
    assert 0 < measures["seconds"] <= measures["whole_seconds"]
    assert 0 < measures["first_row_seconds"] <= measures["whole_seconds"]
    assert measures["cpu_us_per_event"] > 0
    assert measures["peak_rss_bytes"] > 1 << 20
    assert measures["flushes"] > 0
    assert {"decode", "rules", "rows", "fold", "totals", "observations"} <= measures["stages"].keys()
    assert {"decode", "rules", "rows", "fold", "observations"} <= measures["cpu_stages"].keys()
    assert len(said["floors"]) == 9

    assert [(race["events"], race["wrong"]) for race in said["rivals"]] == [(10_000, [])] * 3
    assert all(race["events_per_second"] > 0 for race in said["rivals"])

    (rate,) = said["latency"]["rates"]
    assert (rate["rate"], rate["events"], rate["clients"]) == (300, 600, 3)
    for times in (rate["stored"], rate["on_stream"]):
        assert 0 < times["p50"] <= times["p90"] <= times["p99"] <= times["max"]
    assert rate["flush_ms"]["flush"] > rate["flush_ms"]["observations"] > 0
    assert [one["per_second"] > 0 for one in said["feed"]["requests"]] == [True] * 4
    (fan,) = said["feed"]["fan_outs"]
    assert (fan["clients"], fan["reached"]) == (5, 25)


def test_a_wrong_result_is_named_and_has_no_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.benchmark.publish.LIBRDKAFKA", "no_such_client")  # the other way to publish
    workload = Workload(5_000)
    with running(tmp_path / "stack") as stack:
        assert publish(workload, stack.settings.kafka, lambda _: None) == "kafka-python"
        measures = measured(stack, workload.events, 1, lambda *_: None)
        stack.stop_workers()
        assert list(differences(stack, workload.expected)) == []
        # One figure of a province gone, and with it the totals that it entered.
        stack.client.command(
            "ALTER TABLE observations DELETE WHERE indicator = 'B02.003' AND area = '32' SETTINGS mutations_sync = 1"
        )
        stack.client.command(
            "INSERT INTO day_totals SELECT * REPLACE (value + 1 AS value, version + 1 AS version) FROM day_totals FINAL"
            " WHERE indicator = 'B01.001' AND area = 'VN'"
        )
        wrong = tuple(differences(stack, workload.expected))
    assert any("gris.events.b02" in line and "accepted" in line for line in wrong)
    assert any("B01.001 VN" in line for line in wrong)
    assert any(line.startswith("gris check: ") for line in wrong)
    plan = Plan(("throughput",), 5_000, "week", 2020, 1, ((1, True),), (), 1, 1, ())
    run = Run(5_000, 1, 4, True, 1.0, wrong, None)
    report = Report(plan, {"cpus": 2, "load_average_before": 0}, throughput=[run])
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table(report))
    shown = console.export_text()
    assert "WRONG" in shown
    assert "events/s" not in shown
    assert as_json(report)["right"] is False
    assert as_json(report)["throughput"][0]["measures"] is None
    assert measures.events_per_second > 0


def test_without_inserts_what_is_announced_is_checked_and_nothing_is_kept(tmp_path: Path) -> None:
    """Two partitions a topic, two workers: every partition's events are in the count."""
    workload = Workload(30_000)
    with running(tmp_path / "stack", partitions=2) as stack:
        publish(workload, stack.settings.kafka, lambda _: None)
        kept: list[object] = []
        run = throughput(
            stack,
            workload,
            2,
            lambda *_: None,
            inserts=False,
            then=lambda fresh: kept.extend(fresh.client.query("SELECT count() FROM observations")),
        )
        assert run.wrong == ()
        assert run.measures is not None
        assert (run.partitions, run.inserts, kept) == (8, False, [(0,)])
        # A stream that says something else is not what was announced.
        assert list(announced_differences(stack.settings.kafka, Ends(0, 0), Workload(30_000, seed=7).expected))
        # A database that is not the bench's, and one that holds events: refused; the bench's own says so.
        settings = stack.settings
        stack.settings = settings.model_copy(update={"clickhouse": settings.clickhouse.replace("gris_bench", "gris")})
        stack.start_workers(1, {"GRIS_BENCH_NO_INSERTS": "1"})
        with pytest.raises(Fatal, match="unset it"):
            stack.workers[0].wait_ready()
        stack.stop_workers()
        stack.settings = settings
        stack.start_workers(1, {"GRIS_BENCH_NO_INSERTS": "1", "GRIS_GROUP": "gris-again"})
        stack.workers[0].wait_ready()
        ready = stack.workers[0].url + "/readyz"
        wait_for(lambda: b"inserts are off" in (fetch(ready) or b""), "it to say so")
        assert "\ngris_inserts_off 1.0\n" in stack.workers[0].metrics()
        assert "NOTHING IS KEPT" in stack.workers[0].service.log_tail()


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "bench", "--only", "throughput", "--events", "500000"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # As at a terminal: whoever runs the tests in the background may have Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no lock is involved
    )
    try:
        found = wait_for(lambda: list(tmp_path.glob("gris-bench-*/*/run/worker-1.pid")), "a worker", within=120)
        pids = [json.loads(file.read_text())["pid"] for file in found[0].parent.glob("*.pid")]
        assert len(pids) >= 3
        child.send_signal(signal.SIGINT)
        assert child.wait(60) != 0
    finally:
        child.kill()
        child.wait()
    assert list(tmp_path.iterdir()) == []
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_a_page_is_filled_from_what_a_bench_wrote(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Speed\n<!-- bench:floors -->\nold\n<!-- /bench -->\n<!-- bench:feed -->\nkept\n<!-- /bench -->\n"
    )
    plan = Plan((), 1, "week", 1, 1, (), (), 1, 1, ())
    said = dataclasses.asdict(Report(plan, {})) | {"floors": [{"what": "lz4", "cpu_us": 0.5, "wall_us": 0.6}]}
    file = tmp_path / "bench.json"
    file.write_text(json.dumps(said))
    ran = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "bench", "tables", str(file), "--page", str(page)],
        check=True,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert "floors" in ran.stdout
    text = page.read_text()
    assert "| lz4 | 0.500 | 0.600 |" in text
    assert "old" not in text
    assert "kept" in text
