import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from devstack.stack import Stack
from processors.duck import DuckStore
from processors.influx import InfluxStore
from processors.store import FakeStore, Store


@pytest.fixture(scope="session")
def influx_stack() -> Iterator[Stack]:
    with Stack(services=("influxdb",)) as stack:
        yield stack


@pytest.fixture(params=["fake", "duckdb", pytest.param("influxdb", marks=pytest.mark.integration)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each adapter, empty."""
    opened: Store
    if request.param == "fake":
        opened = FakeStore()
    elif request.param == "duckdb":
        opened = DuckStore(tmp_path)
    else:
        opened = empty_influx(request.getfixturevalue("influx_stack"))
    yield opened
    opened.close()


def empty_influx(stack: Stack) -> InfluxStore:
    """A database of its own; 1.8 makes one with InfluxQL only."""
    name, url = f"test-{uuid.uuid4().hex}", stack.addresses.influx_url
    httpx.post(f"{url}/query", data={"q": f'CREATE DATABASE "{name}"'}, trust_env=False).raise_for_status()
    return InfluxStore(url, "", "rewatch", name)
