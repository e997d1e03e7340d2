"""A worker that lives but hangs in a decoder: it notices after a minute and ends itself, and what was not done stays
uncommitted."""

import time
from pathlib import Path

import msgspec
import pytest

from cli.collect import read_all
from devstack.process import Process
from devstack.stack import Stack
from runtime.kafka import create_topics
from schemas.messages import AccessUnit, Checkpoint
from schemas.topics import CHECKPOINTS, TOPICS
from tests.e2e.poisoned import CAMERA, GOP, INDEX, command
from tests.replay.camera_log import MODEL, SECOND_NS, publish, records

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 24


def test_a_worker_that_hangs_ends_itself() -> None:
    log = records(CAMERA, SECONDS, time.time_ns() - 600 * SECOND_NS)
    where = [(unit.gop, unit.index) for unit in log if isinstance(unit, AccessUnit)].index((GOP, INDEX))
    with Stack(services=("kafka", "triton"), models=(MODEL,)) as stack:
        bootstrap = stack.addresses.kafka_bootstrap
        create_topics(bootstrap, TOPICS, 1)
        environment = {
            "REWATCH_KAFKA": bootstrap,
            "REWATCH_TRITON": stack.addresses.triton_grpc,
            "REWATCH_REDIS": "",
            "PYTHONPATH": str(ROOT),
        }
        worker = Process("worker", command("worker", "hang"), stack.directory, environment)
        stack.start(worker)
        half = where + 150  # more than waits in front of the decoder
        publish(stack, log[:half])
        for record in log[half:]:
            if not worker.running:
                break
            publish(stack, [record])
            time.sleep(1)
        assert not worker.running, "it hangs to this day"
        assert worker.returncode not in (0, None)
        assert "stuck: frames/" in worker.log.read_text()
        saved = [
            msgspec.json.decode(record.value, type=Checkpoint).offset
            for record in read_all(bootstrap, [CHECKPOINTS.name])
            if record.value
        ]
        assert max(saved) <= where
