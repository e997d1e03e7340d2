"""Workers that are killed, stopped and joined by others at random moments change nothing in what is published."""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.collect import Record, read_all
from cli.demo.clips import View, clips
from cli.system import Processes
from devstack.process import Process
from devstack.stack import Stack
from runtime.kafka import producer
from schemas.codec import WireRecord, encode
from schemas.messages import End
from schemas.topics import DETECTIONS, EVENTS, FLOW, FRAMES, LEDGER
from simulator.spec import spec
from tests.vision.video import demux

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SECONDS = 12.0
FPS = 15.0
RESULTS = (DETECTIONS, EVENTS, FLOW, LEDGER)


@pytest.fixture(scope="module")
def log() -> list[WireRecord]:
    """Two cameras' records as ingest would have published them, interleaved."""
    views = tuple(View(f"crash-{number}", 40 + number, "day") for number in range(2))
    found: list[list[WireRecord]] = []
    for clip in clips(views, SECONDS, (640, 360), FPS, lambda _: None):
        header = msgspec.json.encode(spec(clip.header.geometry, model="junction-yolo"), order="deterministic")
        units = [
            msgspec.structs.replace(unit, camera=clip.view.camera, analysis=header if unit.keyframe else None)
            for unit in demux(clip.path)
        ]
        records = [encode(unit) for unit in units]
        records.append(encode(End(clip.view.camera, "s1", len(units), "", header, units[-1].captured_ns)))
        found.append(records)
    return [record for group in zip(*found, strict=True) for record in group]


def publish(stack: Stack, log: list[WireRecord]) -> None:
    """Stamped with the present: the clip's own times lie in 1970, and retention would take them."""
    sender = producer(stack.addresses.kafka_bootstrap, "log")
    for record in log:
        sender.produce(FRAMES.name, record.value, record.key, headers=[*record.headers])
        sender.poll(0)
    assert sender.flush(30) == 0


def table(records: list[Record]) -> dict[str, bytes]:
    """As a sink that replaces by identity holds it."""
    return {f"{r.topic} {r.headers['ce_id'].decode()}": r.value or b"" for r in records if "ce_id" in r.headers}


def ended(stack: Stack) -> set[str]:
    entries: list[Any] = [record.json() for record in read_all(stack.addresses.kafka_bootstrap, [LEDGER.name])]
    return {entry["camera"] for entry in entries if entry["stage"] == "end"}


def results(stack: Stack, cameras: set[str], patience: float = 120.0) -> dict[str, bytes]:
    deadline = time.monotonic() + patience
    while not cameras <= ended(stack):
        assert time.monotonic() < deadline, "the cameras' ends were not reached"
        time.sleep(1)
    return table(read_all(stack.addresses.kafka_bootstrap, [topic.name for topic in RESULTS]))


def test_kills_stops_and_joins_change_nothing(models: Path, log: list[WireRecord]) -> None:
    seed = int(os.environ.get("REWATCH_TEST_SEED") or random.randrange(10**6))
    print(f"seed {seed}; repeat with REWATCH_TEST_SEED={seed}")
    dice = random.Random(seed)
    cameras = {record.key.decode() for record in log}

    with Stack(services=("kafka", "triton"), model_repository=models, models=("junction-yolo",)) as stack:
        Processes(stack, ("worker",)).start()
        publish(stack, log)
        undisturbed = results(stack, cameras)
    assert sum(name.startswith("detections") for name in undisturbed) == len(log) - len(cameras)

    with Stack(services=("kafka", "triton"), model_repository=models, models=("junction-yolo",)) as stack:
        workers = Processes(stack, ("worker", "worker-2"))
        workers.start()
        publish(stack, log)
        done = []
        for _ in range(3):
            time.sleep(dice.uniform(0.5, 3.0))
            if cameras <= ended(stack):
                break
            victim = stack.service(dice.choice(["worker", "worker-2"]))
            assert isinstance(victim, Process)
            fault = dice.choice(["kill", "term"])
            done.append((fault, victim.name))
            victim.process.send_signal(signal.SIGKILL if fault == "kill" else signal.SIGTERM)
            victim.process.wait(15)
            victim.stop()
            time.sleep(dice.uniform(0.0, 1.0))
            victim.start()
        disturbed = results(stack, cameras)
    assert done, "the workers were quicker than the first fault"
    differing = {name for name in undisturbed.keys() | disturbed.keys() if undisturbed.get(name) != disturbed.get(name)}
    assert differing == set(), f"after {done}"
