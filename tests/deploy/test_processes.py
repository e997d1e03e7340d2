"""Our processes as a container runs them: settings by environment, ready over HTTP, stopped by SIGTERM, and nothing
written but where the settings say, because a container's root file system cannot be."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from devstack.ports import free_port
from runtime.kafka import create_topics
from schemas.topics import TOPICS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

COMMANDS = ("gateway", "ingest", "recorder", "replayer", "worker")


def _answer(url: str) -> str:
    """The body of a 200; otherwise what was answered or went wrong, in brackets."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        return f"({error.code} {error.read().decode()})"
    except OSError as error:
        return f"({error})"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_process_runs_as_in_its_container(command: str, kafka: str, tmp_path: Path) -> None:
    create_topics(kafka, TOPICS, 1)
    folders = {name: tmp_path / name for name in ("current", "home", "cache", "store", "uploads")}
    for folder in folders.values():
        folder.mkdir()
    port = free_port()
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folders["home"]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "REWATCH_CACHE": str(folders["cache"]),
        "REWATCH_HTTP_PORT": str(port),
        "REWATCH_KAFKA": kafka,
        "REWATCH_STORE_DIR": str(folders["store"]),
        "REWATCH_TRITON": f"127.0.0.1:{free_port()}",
        "REWATCH_TRITON_SHARED_MEMORY": "false",
        "REWATCH_UPLOADS_DIR": str(folders["uploads"]),
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", command],
            cwd=folders["current"], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        while (ready := _answer(f"http://127.0.0.1:{port}/readyz")).startswith("("):
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
        assert ready == "ok\n"
        assert _answer(f"http://127.0.0.1:{port}/livez") == "ok\n"
        assert "# TYPE rewatch_" in _answer(f"http://127.0.0.1:{port}/metrics")
        process.send_signal(signal.SIGTERM)
        # uvicorn ends by the signal itself, once it has closed everything
        assert process.wait(60) in (0, -signal.SIGTERM), log.read_text()
    finally:
        process.kill()
        process.wait()
    assert not list(folders["current"].iterdir())
    assert not list(folders["home"].iterdir())
