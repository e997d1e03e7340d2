"""A camera whose detector has a memory, on real Kafka and Triton: its worker dies, and every stretch of it is looked at
again; the memory must come back as it was, to the byte."""

import os
import random
import time
from collections.abc import Iterator

import msgspec
import pytest

from cli.system import Processes
from devstack.process import Process
from devstack.stack import Stack
from replay.past import checkpoints
from replay.span import locate
from schemas.messages import Detections
from tests.replay.camera_log import FPS, SECOND_NS, gops, publish, records, wait_for_ledger
from tests.replay.past import ROOT, Past
from vision.memory import Memory

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MODEL, CAMERA = "junction-temporal-int8", "remembering"
SECONDS, DIES_AT = 16, 6
WANTED_FPS = 8


@pytest.fixture(scope="module")
def past() -> Iterator[Past]:
    # the memory is empty again at each half minute: one of them within
    half_minute_ns = 30 * SECOND_NS
    begin_ns = (time.time_ns() - 600 * SECOND_NS) // half_minute_ns * half_minute_ns - 9 * SECOND_NS
    log = records(CAMERA, SECONDS, begin_ns, model=MODEL)
    with Stack(services=("kafka", "triton"), model_repository=ROOT / "triton_models", models=(MODEL,)) as stack:
        Processes(stack, ("worker",)).start()
        publish(stack, log[: DIES_AT * FPS])
        wait_for_ledger(stack, CAMERA, DIES_AT - 1)
        worker = stack.service("worker")
        assert isinstance(worker, Process)
        worker.kill()
        worker.stop()
        worker.start()
        publish(stack, log[DIES_AT * FPS :])
        # the last GOP stays open: nothing has come after it
        wait_for_ledger(stack, CAMERA, gops(log) - 1)
        time.sleep(1)
        yield Past(stack, begin_ns, CAMERA)


def test_a_worker_that_takes_over_remembers_what_the_dead_one_did(past: Past) -> None:
    """Looked at from its beginning on, by a process that never died."""
    whole = past.again(0.0, SECONDS - 1.5)
    assert whole.comparison.differences == ()
    assert not whole.cold
    assert whole.comparison.same["Detections"] == whole.frames > 100


def test_every_stretch_comes_out_the_same_from_the_checkpoint_before_it(past: Past) -> None:
    seed = int(os.environ.get("REWATCH_TEST_SEED") or random.randrange(10**6))
    print(f"seed {seed}; repeat with REWATCH_TEST_SEED={seed}")
    dice = random.Random(seed)
    for _ in range(4):
        begin = dice.uniform(1, SECONDS - 5)
        again = past.again(begin, begin + dice.uniform(0.2, 3))
        assert again.comparison.differences == ()
        assert again.consistent
        assert not again.cold
        assert again.comparison.same["Detections"] == again.frames > 0


def test_it_is_asked_as_often_as_it_has_learnt(past: Past) -> None:
    found = [message for message in past.newest().values() if isinstance(message, Detections)]
    parts = [message.captured_ns * WANTED_FPS // SECOND_NS for message in found]
    assert len(parts) == len(set(parts))
    seconds = (max(parts) - min(parts)) / WANTED_FPS
    assert len(parts) == pytest.approx(seconds * WANTED_FPS, abs=2)
    assert {message.provenance.model for message in found} == {MODEL}
    assert sum(len(message.boxes) for message in found) > len(found), "next to nothing was found"


def test_checkpoints_hold_the_memory(past: Past) -> None:
    span = locate(past.bootstrap, CAMERA, past.begin_ns + 8 * SECOND_NS, past.begin_ns + 9 * SECOND_NS)
    state = msgspec.json.decode(checkpoints(past.bootstrap, span)[-1].state)
    memory = msgspec.convert(state["chain"]["memory"], Memory)
    assert len(memory.kept) == 4 * 2 * 64 * 8 * 14
    assert any(memory.kept)
