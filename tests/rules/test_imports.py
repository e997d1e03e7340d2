"""The arrows of docs/architecture.md, checked by the contracts in pyproject.toml."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.repository import ROOT


@pytest.mark.timeout(120)
def test_the_import_contracts_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
