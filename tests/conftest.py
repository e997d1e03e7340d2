"""Servers that many tests share: started once, on the first use, for the whole run."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from devstack.stack import Stack

_TOGETHER = (
    (
        "deploy/test_processes.py",
        "ingest/test_cli.py",
        "ingest/test_service.py",
        "processors/test_faust_losses.py",
        "runtime/test_watermarks.py",
    ),
    ("e2e/test_bad_records.py", "e2e/test_clips.py"),
    ("browser/test_page.py", "gateway/test_gateway_kafka.py"),
    ("store/test_influx_store.py", "store/test_recorder_process.py", "store/test_store_contract.py"),
)
"""files that use the same server of the session: in one process, so that it is started once"""

# tests share their cores: what looks again must not wait for all that others do
os.environ.setdefault("REWATCH_REPLAY_NICE", "0")


# an example may take as long as a busy machine lets it
settings.register_profile("rewatch", deadline=None, print_blob=True)
settings.load_profile("rewatch")


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """A file's tests run in one process, and share its servers."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((f"with {files[0]}" for files in _TOGETHER if file.removeprefix("tests/") in files), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByFile(config, log)


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
