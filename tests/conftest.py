"""Servers that many tests share: started once, on the first use, for the whole run."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.stack import Stack

# tests share their cores: what looks again must not wait for all that others do
os.environ.setdefault("REWATCH_REPLAY_NICE", "0")


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap address of a real broker. Tests make topics and groups of their own names on it."""
    with Stack(services=("kafka",)) as stack:
        yield stack.addresses.kafka_bootstrap


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Clips, models and labels beside the checkout. Skips, saying so, where the folder is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the folder {folder} with real clips and models is not there")
    return folder


@pytest.fixture
def undo() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack
