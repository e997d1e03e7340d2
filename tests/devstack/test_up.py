"""`rewatch up, status, down, doctor` as a person uses them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from devstack.state import FILE, read_state
from tests.devstack.waiting import gone, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]


def rewatch(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from cli.stack import app; app()", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def up(folder: Path, *arguments: str) -> dict[str, Any]:
    result = rewatch("up", "--directory", str(folder), "--services", "redis", "--json", *arguments)
    assert result.returncode == 0, result.stderr
    state: dict[str, Any] = json.loads(result.stdout)
    return state


def status(folder: Path) -> tuple[int, dict[str, Any]]:
    result = rewatch("status", "--directory", str(folder), "--json")
    return result.returncode, json.loads(result.stdout)


def test_up_status_down(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    state = up(folder)
    try:
        assert state["phase"] == "ready"
        assert state["addresses"]["redis_url"].startswith("redis://127.0.0.1:")
        assert (folder / FILE).stat().st_mode & 0o777 == 0o600
        assert up(folder)["pid"] == state["pid"]  # once is enough
        code, checked = status(folder)
        assert code == 0
        (redis,) = checked["services"]
        assert redis["ready"] is True
        assert redis["rss_bytes"] > 1 << 20
        assert redis["uptime_s"] > 0
        table = rewatch("status", "--directory", str(folder))
        assert table.returncode == 0
        assert "redis" in table.stdout
    finally:
        down = rewatch("down", "--directory", str(folder))
    assert down.stdout == "stopped\n"
    assert gone(state["pid"])
    assert gone(redis["pid"])
    assert not (folder / FILE).exists()
    assert rewatch("down", "--directory", str(folder)).stdout == "nothing was running\n"
    assert status(folder) == (3, {})


def test_what_ends_is_started_again_and_what_hangs_is_seen(tmp_path: Path) -> None:
    state = up(tmp_path)
    try:
        first = state["services"][0]["pid"]
        os.kill(first, signal.SIGKILL)

        def restarted() -> bool:
            now = read_state(tmp_path)
            return now is not None and now.services[0].restarts == 1 and now.services[0].pid not in (None, first)

        assert until(restarted, 60)
        assert until(lambda: status(tmp_path)[0] == 0, 60)
        second = status(tmp_path)[1]["services"][0]["pid"]
        psutil.Process(second).suspend()
        code, seen = status(tmp_path)
        assert code == 1
        assert seen["services"][0]["ready"] is False
        assert seen["services"][0]["detail"]
    finally:
        rewatch("down", "--directory", str(tmp_path))
    assert gone(second)


def test_kill_9_of_the_supervisor_leaves_nothing(tmp_path: Path) -> None:
    state = up(tmp_path)
    server = state["services"][0]["pid"]
    os.kill(state["pid"], signal.SIGKILL)
    assert until(lambda: gone(server))
    assert status(tmp_path) == (3, {})
    again = up(tmp_path)  # what the killed one left behind doesn't stop the next
    assert again["pid"] != state["pid"]
    rewatch("down", "--directory", str(tmp_path))


def test_interrupt_while_starting_leaves_nothing(tmp_path: Path) -> None:
    # a shell's background job ignores interrupts, and so would all that it starts
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from cli.stack import app; app()"
    )
    command = [sys.executable, "-c", program, "up", "--directory", str(tmp_path), "--services", "kafka"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def started() -> bool:
        state = read_state(tmp_path)
        return state is not None

    assert until(started, 60)
    state = read_state(tmp_path)
    assert state is not None
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    assert until(lambda: gone(state.pid))
    assert not any(str(tmp_path) in " ".join(other.info["cmdline"] or ()) for other in psutil.process_iter(["cmdline"]))


def test_a_failed_start_says_why(tmp_path: Path) -> None:
    result = rewatch("up", "--directory", str(tmp_path), "--services", "redis,triton", "--model-repository", "nowhere")
    assert result.returncode == 1
    assert "there is no model repository" in result.stderr
    unknown = rewatch("up", "--directory", str(tmp_path), "--services", "zookeeper")
    assert unknown.returncode == 1
    assert "no such service: zookeeper" in unknown.stderr
    assert status(tmp_path) == (3, {})


def test_doctor(tmp_path: Path) -> None:
    good = rewatch("doctor")
    assert good.returncode == 0, good.stdout
    assert "ok    Java" in good.stdout
    environment = {**os.environ, "REWATCH_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", "from cli.stack import app; app()", "doctor"]
    bad = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert bad.returncode == 1
    assert "MEND  Kafka in the cache" in bad.stdout
    assert "fix: rewatch setup" in bad.stdout
