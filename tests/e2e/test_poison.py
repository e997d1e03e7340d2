"""A GOP whose decoding kills the process, on real Kafka and real Triton: three workers die of it, no more, and neither
its camera nor its neighbour loses anything else. Attempts at it die alone; a sound decoder repairs it."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import psutil
import pytest

from cli.collect import read_all
from cli.system import Processes
from cli.windows import states
from devstack.ports import free_port
from devstack.process import Process
from devstack.stack import Stack
from processors.triton import TritonDetector
from replay import errand
from replay.again import Again, look_again
from replay.attempt import Attempt, attempt
from replay.child import Surroundings
from replay.window import MAX_ATTEMPTS
from runtime.kafka import create_topics
from schemas.messages import AccessUnit, AnalysisLedger, Checkpoint, FailedWindow, LedgerEntry, LogRecord, ReplayRequest
from schemas.partition import partition_of
from schemas.topics import CHECKPOINTS, FRAMES, LEDGER, PARTITIONS, TOPICS
from schemas.windows import WindowState
from tests.e2e.poisoned import CAMERA, GOP, INDEX, command
from tests.replay.camera_log import MODEL, SECOND_NS, failed_frames, publish, records

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 9
NEIGHBOUR = next(
    name
    for name in (f"good-{number}" for number in range(1000))
    if partition_of(name.encode(), PARTITIONS) == partition_of(CAMERA.encode(), PARTITIONS)
)


class Scene(msgspec.Struct):
    """What three workers have died of."""

    stack: Stack
    begin_ns: int
    deaths: list[int | None]

    @property
    def bootstrap(self) -> str:
        return self.stack.addresses.kafka_bootstrap

    def state(self) -> WindowState:
        (found,) = states(self.bootstrap, CAMERA)
        return found

    def ledgers(self, camera: str) -> dict[int, AnalysisLedger]:
        return {entry.gop: entry for entry in ledgers(self.bootstrap) if entry.camera == camera}

    def again(self, camera: str) -> Again:
        async def look() -> Again:
            detector = TritonDetector(self.stack.addresses.triton_grpc, True)
            try:
                end_ns = self.begin_ns + SECONDS * SECOND_NS
                return await look_again(self.bootstrap, detector, camera, self.begin_ns, end_ns)
            finally:
                await detector.stop()

        return asyncio.run(look())

    def task(self, window: FailedWindow) -> Attempt:
        return Attempt(self.around, window)

    @property
    def around(self) -> Surroundings:
        return Surroundings(self.bootstrap, self.stack.addresses.triton_grpc)

    def environment(self) -> dict[str, str]:
        return {
            "REWATCH_KAFKA": self.bootstrap,
            "REWATCH_TRITON": self.stack.addresses.triton_grpc,
            "PYTHONPATH": str(ROOT),
        }


def ledgers(bootstrap: str) -> list[AnalysisLedger]:
    found: list[LedgerEntry] = [
        msgspec.json.decode(record.value or b"", type=LedgerEntry) for record in read_all(bootstrap, [LEDGER.name])
    ]
    return [entry for entry in found if isinstance(entry, AnalysisLedger)]


def wait_until(true: Callable[[], bool], what: str, step: Callable[[], None] = lambda: None) -> None:
    deadline = time.monotonic() + 150
    while not true():
        assert time.monotonic() < deadline, what
        step()
        time.sleep(0.3)


def checkpointed(bootstrap: str) -> set[int]:
    """The GOPs in front of which the camera's state is saved."""
    saved = [
        msgspec.json.decode(record.value, type=Checkpoint).offset
        for record in read_all(bootstrap, [CHECKPOINTS.name])
        if record.key == CAMERA.encode() and record.value
    ]
    gops = {
        record.offset: int(record.headers["gop"])
        for record in read_all(bootstrap, [FRAMES.name])
        if record.key == CAMERA.encode()
    }
    return {gops[offset] for offset in saved}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    begin_ns = time.time_ns() - 600 * SECOND_NS
    pairs = zip(records(CAMERA, SECONDS, begin_ns), records(NEIGHBOUR, SECONDS, begin_ns), strict=True)
    log: list[LogRecord] = [unit for pair in pairs for unit in pair]
    lethal = next(
        number
        for number, unit in enumerate(log)
        if isinstance(unit, AccessUnit) and (unit.camera, unit.gop, unit.index) == (CAMERA, GOP, INDEX)
    )
    with Stack(services=("kafka", "triton"), models=(MODEL,)) as stack:
        bootstrap = stack.addresses.kafka_bootstrap
        create_topics(bootstrap, TOPICS, 1)
        scene = Scene(stack, begin_ns, [])
        port = free_port()

        def ready() -> None:
            httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2.0, trust_env=False).raise_for_status()

        environment = {**scene.environment(), "REWATCH_HTTP_PORT": str(port)}
        worker = Process("worker", command("worker", "kill"), stack.directory, environment, ready, timeout=120.0)
        stack.start(worker)
        publish(stack, log[:lethal])
        # so that the GOP in front is done for good, and each death is this GOP's
        wait_until(lambda: GOP in checkpointed(bootstrap), "the GOP in front is saved")
        publish(stack, log[lethal:])

        def supervise() -> None:
            if not worker.running:
                scene.deaths.append(worker.returncode)
                worker.stop()
                worker.start()

        def done() -> bool:
            return all(len(scene.ledgers(camera)) == SECONDS - 1 for camera in (CAMERA, NEIGHBOUR))

        # the last GOP stays open: nothing has come after it
        wait_until(done, "all GOPs but the last are accounted for", supervise)
        yield scene


def test_three_workers_die_of_it_and_the_next_passes_it_over(scene: Scene) -> None:
    assert scene.deaths == [128 + signal.SIGKILL] * 3
    found = scene.ledgers(CAMERA)
    frames = found[0].consumed
    assert {gop: entry.failed for gop, entry in found.items()} == {
        gop: frames if gop == GOP else 0 for gop in range(SECONDS - 1)
    }
    window = scene.state().window
    assert (window.camera, window.gop, window.keyframe_offset) == (CAMERA, GOP, found[GOP].keyframe_offset)
    assert window.first_offset == window.keyframe_offset < window.last_offset
    assert window.reason == found[GOP].reason
    assert "killed before its end, 2 times in a row" in window.reason


def test_the_camera_beside_it_is_as_if_nothing_had_been(scene: Scene) -> None:
    again = scene.again(NEIGHBOUR)
    assert again.comparison.differences == ()
    assert again.consistent
    assert {entry.failed for entry in scene.ledgers(NEIGHBOUR).values()} == {0}
    assert states(scene.bootstrap, NEIGHBOUR) == []


def test_an_attempt_dies_alone_and_the_last_gives_up(scene: Scene) -> None:
    window, told = scene.state().window, []
    while not window.given_up:
        failure = asyncio.run(attempt(scene.task(window), command("attempt", "kill")))
        assert failure is not None
        told.append(failure)
        window = failure
    assert [one.attempt for one in told] == list(range(1, MAX_ATTEMPTS + 1))
    assert {one.reason for one in told} == {"the attempt was killed by SIGKILL"}
    assert {one.keyframe_offset for one in told} == {window.keyframe_offset}


def test_an_attempt_that_crashes_is_a_failure(scene: Scene) -> None:
    failure = asyncio.run(attempt(scene.task(scene.state().window), ("false",)))
    assert failure is not None
    assert failure.reason == "the attempt ended with status 1"


async def test_an_attempt_that_is_cancelled_is_over(scene: Scene) -> None:
    running = asyncio.create_task(attempt(scene.task(scene.state().window), command("attempt", "hang")))
    me = psutil.Process()
    before = set(me.children())
    while not (new := set(me.children()) - before):
        await asyncio.sleep(0.05)
        assert not running.done()
    (child,) = new
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not child.is_running()


async def test_a_requested_replay_dies_alone_too(scene: Scene) -> None:
    request = ReplayRequest("poisoned", CAMERA, scene.begin_ns, scene.begin_ns + SECONDS * SECOND_NS)
    task = errand.Errand(scene.around, request)
    states = [state async for state in errand.run(task, command("errand", "kill"))]
    assert {state.state for state in states[:-1]} <= {"running"}
    assert (states[-1].state, states[-1].reason) == ("failed", "the replay was killed by SIGKILL")


def test_nothing_is_left_of_a_replayer_that_is_killed(scene: Scene) -> None:
    environment = {**os.environ, **scene.environment()}
    replayer = subprocess.Popen(command("replayer", "hang"), cwd=ROOT, env=environment)
    try:
        process = psutil.Process(replayer.pid)
        wait_until(lambda: bool(process.children()), "an attempt is under way")
        (child,) = process.children()
    finally:
        replayer.kill()
        replayer.wait(15)
    child.wait(15)


def test_the_replayer_survives_it_and_a_sound_one_repairs_it(scene: Scene) -> None:
    poisoned = Process("poisoned", command("replayer", "kill"), scene.stack.directory, scene.environment())
    scene.stack.start(poisoned, wait=False)
    wait_until(lambda: scene.state().window.attempt > 0, "an attempt has failed")
    assert scene.state().window.reason == "the attempt was killed by SIGKILL"
    assert poisoned.running
    poisoned.stop()

    Processes(scene.stack, ("replayer",)).start()
    wait_until(lambda: failed_frames(scene.stack, CAMERA) == 0, "it is repaired")
    assert scene.state().state == "behind", "the camera has gone dark, and its live state does not know of the repair"
    again = scene.again(CAMERA)
    assert again.comparison.differences == ()
    assert again.consistent
    repaired = {entry.gop: entry for entry in ledgers(scene.bootstrap) if entry.camera == CAMERA and entry.revision}
    assert repaired[GOP].failed == 0
    assert repaired[GOP].consumed == scene.ledgers(CAMERA)[0].consumed
