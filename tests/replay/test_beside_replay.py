"""Cameras whose detectors take more than the picture (a memory, optical flow), on real Kafka and Triton: their worker
dies, and every stretch is looked at again; what is kept of a camera must come back as it was, to the byte."""

import os
import random
import time
from collections.abc import Iterator, Mapping

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
from vision.optical_flow import Kept, unpacked

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MODELS = {"remembering": "junction-temporal-int8", "moving": "junction-two-streams-int8"}
every_camera = pytest.mark.parametrize("camera", MODELS)
SECONDS, DIES_AT = 16, 6
WANTED_FPS = 8


@pytest.fixture(scope="module")
def pasts() -> Iterator[Mapping[str, Past]]:
    # what is kept is forgotten at each half minute: one of them within
    half_minute_ns = 30 * SECOND_NS
    begin_ns = (time.time_ns() - 600 * SECOND_NS) // half_minute_ns * half_minute_ns - 9 * SECOND_NS
    models = tuple(MODELS.values())
    logs = {camera: records(camera, SECONDS, begin_ns, model=model) for camera, model in MODELS.items()}
    with Stack(services=("kafka", "triton"), model_repository=ROOT / "triton_models", models=models) as stack:
        Processes(stack, ("worker",)).start()
        for log in logs.values():
            publish(stack, log[: DIES_AT * FPS])
        for camera in logs:
            wait_for_ledger(stack, camera, DIES_AT - 1)
        worker = stack.service("worker")
        assert isinstance(worker, Process)
        worker.kill()
        worker.stop()
        worker.start()
        for log in logs.values():
            publish(stack, log[DIES_AT * FPS :])
        # the last GOP stays open: nothing has come after it
        for camera, log in logs.items():
            wait_for_ledger(stack, camera, gops(log) - 1)
        time.sleep(1)
        yield {camera: Past(stack, begin_ns, camera) for camera in logs}


@every_camera
def test_a_worker_that_takes_over_knows_what_the_dead_one_did(pasts: Mapping[str, Past], camera: str) -> None:
    """Looked at from its beginning on, by a process that never died."""
    whole = pasts[camera].again(0.0, SECONDS - 1.5)
    assert whole.comparison.differences == ()
    assert not whole.cold
    assert whole.comparison.same["Detections"] == whole.frames > 100


@every_camera
def test_every_stretch_comes_out_the_same_from_the_checkpoint_before_it(pasts: Mapping[str, Past], camera: str) -> None:
    seed = int(os.environ.get("REWATCH_TEST_SEED") or random.randrange(10**6))
    print(f"seed {seed}; repeat with REWATCH_TEST_SEED={seed}")
    dice = random.Random(seed)
    for _ in range(3):
        begin = dice.uniform(1, SECONDS - 5)
        again = pasts[camera].again(begin, begin + dice.uniform(0.2, 3))
        assert again.comparison.differences == ()
        assert again.consistent
        assert not again.cold
        assert again.comparison.same["Detections"] == again.frames > 0


@every_camera
def test_it_is_asked_as_often_as_it_has_learnt(pasts: Mapping[str, Past], camera: str) -> None:
    found = [message for message in pasts[camera].newest().values() if isinstance(message, Detections)]
    parts = [message.captured_ns * WANTED_FPS // SECOND_NS for message in found]
    assert len(parts) == len(set(parts))
    assert len(parts) == pytest.approx(max(parts) - min(parts), abs=2)
    assert {message.provenance.model for message in found} == {MODELS[camera]}
    assert sum(len(message.boxes) for message in found) > len(found), "next to nothing was found"


def test_checkpoints_hold_what_is_kept(pasts: Mapping[str, Past]) -> None:
    states = {}
    for camera, past in pasts.items():
        span = locate(past.bootstrap, camera, past.begin_ns + 8 * SECOND_NS, past.begin_ns + 9 * SECOND_NS)
        states[camera] = msgspec.json.decode(checkpoints(past.bootstrap, span)[-1].state)
    memory = msgspec.convert(states["remembering"]["chain"]["memory"], Memory)
    assert len(memory.kept) == 4 * 2 * 64 * 8 * 14
    assert any(memory.kept)
    known = unpacked(msgspec.convert(states["moving"]["moving"], Kept))
    assert known.greys[0].shape == (128, 224)
    assert known.flows.any()
    assert len(states["moving"]["moving"]["packed"]) < 150_000
