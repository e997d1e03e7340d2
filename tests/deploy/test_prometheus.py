"""Prometheus: configuration and rules by promtool, and every metric and label that a rule names is one of ours."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

import runtime.metrics
from tests.rules.repository import ROOT

CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
PLAYED = ROOT / "tests" / "deploy" / "rules_test.yml"
ADDED_BY_PROMETHEUS = {"le", "job", "instance", "role"}


def _promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    promtool = shutil.which("promtool")
    assert promtool is not None, "apt-get install prometheus"
    return subprocess.run([promtool, *map(str, arguments)], capture_output=True, text=True)


def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def _series() -> dict[str, set[str]]:
    """Name of every series that our processes expose, with its labels."""
    found: dict[str, set[str]] = {}
    for metric in vars(runtime.metrics).values():
        if not isinstance(metric, MetricWrapperBase):
            continue
        described = next(iter(metric.describe())).name
        suffixes = [""]
        if isinstance(metric, Counter):
            suffixes = ["_total"]
        elif isinstance(metric, Histogram):
            suffixes = ["_bucket", "_count", "_sum"]
        for suffix in suffixes:
            found[described + suffix] = set(metric._labelnames)
    return found


@pytest.mark.integration
@pytest.mark.parametrize(
    "arguments", [("check", "config", CONFIG), ("test", "rules", PLAYED)], ids=["configuration", "rules"]
)
def test_promtool_agrees(arguments: tuple[str | Path, ...]) -> None:
    done = _promtool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_played_through() -> None:
    played = {
        case["alertname"]
        for test in yaml.safe_load(PLAYED.read_text())["tests"]
        for case in test.get("alert_rule_test", [])
        if case.get("exp_alerts")
    }
    assert played == {rule["alert"] for rule in _rules() if "alert" in rule}


def test_rules_speak_of_metrics_and_labels_that_exist() -> None:
    series = _series()
    recorded = {rule["record"] for rule in _rules() if "record" in rule}
    for rule in _rules():
        expression = rule["expr"]
        for name in re.findall(r"rewatch:[a-z0-9_:]+", expression):
            assert name in recorded, f"{name} in {rule}"
        names = set(re.findall(r"\brewatch_[a-z0-9_]+", expression))
        assert names <= set(series), f"{names - set(series)} in {expression}"
        matched = set(re.findall(r"[{,]\s*([a-z_]+)\s*(?:=~|!~|!=|=)", expression))
        grouped = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in group.split(",")}
        known = set().union(*(series[name] for name in names)) | ADDED_BY_PROMETHEUS
        assert matched | grouped <= known, f"{(matched | grouped) - known} in {expression}"


def test_every_alert_says_what_to_do_or_how_bad_it_is() -> None:
    for rule in _rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"page", "ticket", "info"}
            assert rule["annotations"]["summary"]


def test_every_process_of_the_compose_file_is_scraped() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    jobs = {job["job_name"]: job for job in yaml.safe_load(CONFIG.read_text())["scrape_configs"]}
    targets = {
        host: int(port)
        for job in jobs.values()
        for group in job["static_configs"]
        for host, port in (target.rsplit(":", 1) for target in group["targets"])
    }
    ours = {
        name
        for name, service in compose["services"].items()
        if service.get("image", "").startswith("rewatch:") and service.get("command", [""])[0] in LISTENING
    }
    assert ours | {"triton", "127.0.0.1"} == set(targets)
    assert {targets[name] for name in ours} == {8080}


LISTENING = {"gateway", "ingest", "recorder", "replayer", "worker"}
