"""The promise of `make demo`: everything runs by itself, stops by itself, and the figures hold."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]


def test_the_demo_reconciles_and_agrees_with_the_truth(tmp_path: Path) -> None:
    out = tmp_path / "demo.json"
    command = [sys.executable, "-m", "cli.main", "demo", "--duration", "15", "--size", "960x540", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(out.read_text())
    assert {camera["id"] for camera in report["cameras"]} == {"junction-day", "junction-night"}
    for camera in report["cameras"]:
        frames = camera["frames"]
        assert frames["received"] == frames["published"] + frames["lost"]
        assert frames["published"] == frames["decoded"] + frames["failed"]
        assert frames["decoded"] == frames["inferred"] + frames["skipped"]
        assert frames["lost"] == frames["failed"] == 0
        assert frames["inferred"] > 100
    assert report["events"]["truth"] > 5
    assert report["events"]["recall"] > 0.5
    assert report["events"]["precision"] > 0.5
    assert report["influx_points"] >= sum(camera["frames"]["inferred"] for camera in report["cameras"])
    assert report["websocket_messages"] >= report["events"]["found"]
    assert set(report["latency_ms"]) >= {"p50", "p95", "p99", "stages"}
    assert "received" in done.stdout
    assert "precision" in done.stdout
