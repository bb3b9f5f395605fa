"""The files that run GRIS elsewhere are of one piece with the code: they parse, and name only what exists.

They are not run here (no container engine); what a test can hold to be true of them, this one does.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from deploy.local.settings import LocalSettings
from producers.settings import PublisherSettings
from sinks.feed.metrics import FeedMetrics
from sinks.feed.settings import FeedSettings
from streams.metrics import Metrics
from streams.settings import WorkerSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
YAML_FILES = sorted(path for pattern in ("*.yaml", "*.yml") for path in DEPLOY.rglob(pattern))
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
METRIC = re.compile(r"\bgris_[a-z_]+")
READ_BY_LOGS = {"GRIS_LOG", "GRIS_LOG_LEVEL"}


def parsed(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text())


def exposed_names() -> set[str]:
    """Give every name of a sample that the worker's and the feed's /metrics can show."""
    names = set()
    for registry in (Metrics().registry, FeedMetrics().registry):
        assert isinstance(registry, CollectorRegistry)
        for family in registry.collect():
            names.add(f"{family.name}_total" if family.type == "counter" else family.name)
            if family.type == "histogram":
                names |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
    return names


def expressions() -> list[str]:
    rules = [rule["expr"] for group in parsed("prometheus/alerts.yml")["groups"] for rule in group["rules"]]
    boards = [json.loads(path.read_text()) for path in DASHBOARDS]
    return rules + [
        target["expr"] for board in boards for panel in board["panels"] for target in panel.get("targets", ())
    ]


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_yaml_file_parses(path: Path) -> None:
    assert list(yaml.safe_load_all(path.read_text()))


def test_alerts_and_dashboards_use_only_metrics_that_are_exposed() -> None:
    used = {name for expression in expressions() for name in METRIC.findall(expression)}
    assert used
    assert used <= exposed_names()


def test_every_alert_says_what_to_do_and_how_urgent_it_is() -> None:
    for group in parsed("prometheus/alerts.yml")["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("critical", "warning")
            assert set(rule["annotations"]) == {"summary", "action"}


def test_panels_of_a_dashboard_have_ids_of_their_own_and_do_not_overlap() -> None:
    for path in DASHBOARDS:
        panels = json.loads(path.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert not cells & taken
            taken |= cells


def test_compose_sets_only_variables_that_a_process_reads() -> None:
    known = READ_BY_LOGS | {
        f"GRIS_{field}".upper()
        for settings in (LocalSettings, WorkerSettings, FeedSettings, PublisherSettings)
        for field in settings.model_fields
    }
    for service in parsed("compose.yaml")["services"].values():
        used = {name for name in service.get("environment", {}) if name.startswith("GRIS_")}
        assert used <= known


def test_compose_mounts_only_files_that_exist() -> None:
    compose = parsed("compose.yaml")
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or (DEPLOY / source).exists()


def test_prometheus_scrapes_the_services_of_compose_at_their_ports() -> None:
    services = parsed("compose.yaml")["services"]
    targets = {job["static_configs"][0]["targets"][0] for job in parsed("prometheus/prometheus.yml")["scrape_configs"]}
    assert targets == {
        f"worker:{services['worker']['environment']['GRIS_METRICS_PORT']}",
        f"feed:{services['feed']['environment']['GRIS_FEED_PORT']}",
    }


def test_the_broker_is_the_same_version_everywhere() -> None:
    pom = (DEPLOY / "local" / "kafka" / "pom.xml").read_text()
    version = re.search(r"<kafka\.version>(.+)</kafka\.version>", pom)
    assert version
    assert parsed("compose.yaml")["services"]["kafka"]["image"] == f"apache/kafka:{version[1]}"


def test_requirements_name_no_address_and_every_one_has_a_hash() -> None:
    text = (DEPLOY / "requirements.txt").read_text()
    assert "://" not in text
    assert "find-links" not in text
    pins = re.findall(r"^[a-z].*?==\S+.*?(?=^[a-z]|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(pins) > 50
    assert all("--hash=sha256:" in pin for pin in pins)
