"""Three short disturbed runs; `make chaos` makes many long ones."""

import os
import random
from pathlib import Path

import pytest

from tests.chaos.campaign import Campaign, repository

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

STOP_SECONDS = 9.0
"""longer than the group waits for a silent worker"""


def test_whatever_happens_the_tables_are_the_same(tmp_path: Path) -> None:
    seed = int(os.environ.get("REWATCH_TEST_SEED") or random.randrange(10**6))
    print(f"seed {seed}; repeat with REWATCH_TEST_SEED={seed}")
    campaign = Campaign(repository(tmp_path), seconds=12, strikes=3, stop_seconds=STOP_SECONDS)
    assert campaign.undisturbed() > 12 * 15 * 3
    # three brokers are half of a run's CPU; a single one that is killed is missed by all
    for number, (brokers, surely) in enumerate(((3, "broker: kill -9"), (1, None), (1, None))):
        run = campaign.disturbed(seed + number, print, brokers, surely)
        assert len(run.faults) == 3
        assert run.differences == [], f"seed {run.seed}: {run.faults}"
        assert run.rows_compared > 2 * 12 * 15 * 3
