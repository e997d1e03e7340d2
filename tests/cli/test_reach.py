import os
from pathlib import Path

import psutil
import pytest

from cli.reach import reached
from devstack.addresses import Addresses
from devstack.state import StackState, write_state


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if `rewatch up` had started one: this process is its supervisor."""
    for name in [name for name in os.environ if name.startswith("REWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("REWATCH_CACHE", str(tmp_path))
    directory = tmp_path / "run"
    directory.mkdir()
    me = psutil.Process()
    addresses = Addresses(kafka_bootstrap="127.0.0.1:11", triton_grpc="127.0.0.1:12", influx_url="http://127.0.0.1:13")
    write_state(StackState(me.pid, me.create_time(), "ready", str(directory), addresses))


@pytest.mark.usefixtures("stack")
def test_commands_talk_to_the_stack_that_runs() -> None:
    settings = reached()
    assert (settings.kafka, settings.triton) == ("127.0.0.1:11", "127.0.0.1:12")
    assert (settings.store, settings.influxdb) == ("influxdb", "http://127.0.0.1:13")
    assert settings.redis == "redis://127.0.0.1:6379/0", "no part of that stack"


@pytest.mark.usefixtures("stack")
def test_what_the_environment_names_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWATCH_KAFKA", "broker:9092")
    monkeypatch.setenv("REWATCH_STORE_DIR", str(tmp_path))
    settings = reached()
    assert (settings.kafka, settings.triton) == ("broker:9092", "127.0.0.1:12")
    assert (settings.store, settings.store_dir) == ("duckdb", tmp_path)


def test_without_a_stack_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REWATCH_KAFKA", raising=False)
    monkeypatch.setenv("REWATCH_CACHE", str(tmp_path))
    assert reached().kafka == "127.0.0.1:9092"
