"""A day with `rewatch up`, as the README tells it: every command finds the running system by itself."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack.cache import cache_directory
from simulator.clip import truth_path
from simulator.record import read_truth
from simulator.spec import analysis_yaml
from tests.devstack.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


class Shell:
    def __init__(self, cache: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REWATCH_")}
        self._environment = {**kept, "REWATCH_CACHE": str(cache)}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *words], capture_output=True, text=True, env=self._environment
        )

    def said(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.said(*words, "--json"))

    def lines(self, *words: str) -> list[Any]:
        return [json.loads(line) for line in self.said(*words, "--json").splitlines()]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """The installed servers, but a place of its own for what runs: somebody may have a system up already."""
    for installed in cache_directory().iterdir():
        if installed.name != "run":
            (tmp_path / installed.name).symlink_to(installed)
    shell = Shell(tmp_path)
    try:
        yield shell
    finally:
        shell.run("down")


def test_a_day(shell: Shell, tmp_path: Path) -> None:
    clip, wanted = tmp_path / "clip.mp4", tmp_path / "cameras.yml"
    shell.said("simulate", "--out", str(clip), "--seconds", "20", "--size", "640x360", "--seed", "40")
    geometry = read_truth(truth_path(clip))[0].geometry
    analysis = analysis_yaml(geometry, model="junction-yolo")
    source = {"url": str(clip), "loop": True}
    wanted.write_text(json.dumps({"cameras": [{"id": "junction", "source": source, "analysis": analysis}]}))
    assert "page" in shell.said("up")
    shell.said("cameras", "apply", str(wanted))
    assert "junction" in shell.said("cameras", "list")

    def serving() -> dict[str, Any] | None:
        seen = json.loads(shell.run("status", "--json").stdout)
        served = [one for one in seen["cameras"] if one["camera"] == "junction" and one["ingest"] and one["worker"]]
        return seen if served else None

    assert until(lambda: serving() is not None, 60)
    status = serving()
    assert status is not None
    roles = {one["beat"]["role"] for one in status["processes"]}
    assert roles == {"ingest", "worker", "recorder", "replayer", "gateway"}
    served = next(one for one in status["cameras"] if one["camera"] == "junction")
    pids = {service["name"]: service["pid"] for service in status["services"]}
    assert (served["ingest"].split("-")[-1], served["worker"].split("-")[-1]) == (
        str(pids["ingest"]),
        str(pids["worker"]),
    )
    assert "analysed by" in shell.said("status")

    assert until(lambda: len(shell.lines("query", "events", "--camera", "junction")) > 3, 90)
    happened = [event for event in shell.lines("query", "events") if event["kind"] == "line_crossed"]
    assert happened
    assert shell.json("ledger", "--camera", "junction")["cameras"][0]["frames"]["failed"] == 0
    first, last = happened[0], happened[-1]
    again = shell.json(
        "replay", "--camera", "junction", "--from", str(first["captured_ns"] - 1), "--to", str(last["captured_ns"] + 1)
    )
    assert again["published"] == 0, again
    assert again["counts"]["Event"]["same"] > 0
    verdict = shell.json("verify", first["id"])
    assert verdict["same"] is True, verdict
    assert shell.said("down") == "stopped\n"
    assert shell.run("status").returncode == 3
