"""A worker that cannot keep up leaves frames out; later every table is as if it had not. Real Kafka, real Triton."""

import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import msgspec
import pytest

from cli.collect import read_all
from cli.system import Processes
from cli.windows import states
from devstack.process import Process
from devstack.stack import Stack
from processors.triton import TritonDetector
from replay.again import Again, look_again
from replay.compare import Comparison
from schemas.messages import AnalysisLedger, FailedWindow, LedgerEntry, LogRecord
from schemas.topics import FAILED_WINDOWS, LEDGER
from tests.replay.camera_log import FPS, MODEL, SECOND_NS, publish, records

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
CAMERAS = ("shed-a", "shed-b")
SECONDS = 32
BURST = 20
"""seconds of it that come at once"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(services=("kafka", "triton"), model_repository=ROOT / "triton_models", models=(MODEL,)) as running:
        yield running


def until(holds: Callable[[], bool], seconds: float, what: str, why: Callable[[], object] = str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: {why()}"
        time.sleep(1)


def entries(stack: Stack) -> list[AnalysisLedger]:
    found = []
    for record in read_all(stack.addresses.kafka_bootstrap, [LEDGER.name]):
        entry: LedgerEntry = msgspec.json.decode(record.value or b"", type=LedgerEntry)
        if isinstance(entry, AnalysisLedger):
            found.append(entry)
    return found


def newest(said: list[AnalysisLedger]) -> dict[tuple[str, int], AnalysisLedger]:
    return {(e.camera, e.keyframe_offset): e for e in sorted(said, key=lambda entry: entry.revision)}


def accounted(stack: Stack, gops: int) -> bool:
    """Whether there is an entry of so many GOPs, for each camera."""
    cameras = [camera for camera, _ in newest(entries(stack))]
    return all(cameras.count(camera) >= gops for camera in CAMERAS)


def differences(stack: Stack, begin_ns: int) -> list[Comparison]:
    """Of what was published from a fresh run over the whole log, which leaves nothing out."""

    async def look(camera: str) -> Again:
        detector = TritonDetector(stack.addresses.triton_grpc, True)
        try:
            end_ns = begin_ns + SECONDS * SECOND_NS
            return await look_again(stack.addresses.kafka_bootstrap, detector, camera, begin_ns, end_ns)
        finally:
            await detector.stop()

    found = [asyncio.run(look(camera)) for camera in CAMERAS]
    assert all(again.start_offset < 2 and not again.cold for again in found), "from the first record"
    return [again.comparison for again in found]


def interleaved(logs: list[list[LogRecord]]) -> list[LogRecord]:
    return [record for group in zip(*logs, strict=True) for record in group]


def test_what_was_shed_is_backfilled_to_the_byte_and_behind_it_too(stack: Stack) -> None:
    bootstrap = stack.addresses.kafka_bootstrap
    # the minute is over long after the burst: its counts are right only if the live state was followed
    begin_ns = (time.time_ns() - 900 * SECOND_NS) // (60 * SECOND_NS) * 60 * SECOND_NS + 34 * SECOND_NS
    logs = [records(camera, SECONDS, begin_ns) for camera in CAMERAS]
    worker = Processes(stack, ("worker",), extra={"REWATCH_LATENCY_BUDGET_MS": "500"})
    worker.start()
    burst = BURST * FPS
    publish(stack, interleaved([log[:burst] for log in logs]))
    until(lambda: any(entry.shed for entry in entries(stack)), 120, "the worker keeps up")
    # what it has said of a GOP that the next one does otherwise must not stay
    victim = stack.service("worker")
    assert isinstance(victim, Process)
    victim.kill()
    victim.stop()
    victim.start()
    until(partial(accounted, stack, BURST - 1), 120, "the burst is not analysed")

    said = entries(stack)
    assert all(e.consumed == e.decoded + e.failed and e.decoded == e.inferred + e.skipped for e in said)
    assert all(e.inferred == FPS for e in said if not e.shed)
    assert all(e.inferred < FPS and e.failed == 0 for e in said if e.shed)
    shed = {key for key, entry in newest(said).items() if entry.shed}
    assert shed
    waiting = {(one.window.camera, one.window.keyframe_offset) for one in states(bootstrap) if one.state == "shed"}
    assert waiting >= shed
    exposed = httpx.get(f"{worker.url['worker']}/metrics", trust_env=False).text
    assert "rewatch_worker_shed_level{camera=" in exposed

    Processes(stack, ("replayer",)).start()

    def filled() -> bool:
        known = {(one.window.camera, one.window.keyframe_offset): one.state for one in states(bootstrap)}
        return {known[key] for key in shed} <= {"backfilled", "behind"}

    until(filled, 240, "the GOPs of the burst that are whole are not backfilled")

    # the worker goes on with what it remembers, which is not all that there was
    for gop in range(BURST, SECONDS):
        publish(stack, interleaved([log[gop * FPS : (gop + 1) * FPS] for log in logs]))
        until(partial(accounted, stack, gop), 120, f"GOP {gop} is not analysed")

    def whole() -> bool:
        return not any(entry.shed for entry in newest(entries(stack)).values())

    # looking again, here, takes the room that filling in needs
    until(whole, 240, "what was left out is not filled in")
    compared: list[Comparison] = []

    def equal() -> bool:
        compared[:] = differences(stack, begin_ns)
        if not any(comparison.differences for comparison in compared):
            return True
        # looking takes the time that filling in needs, of which there is a minute between two attempts
        time.sleep(10)
        return False

    def why() -> object:
        return [[*states(bootstrap, camera)][-3:] for camera in CAMERAS], [one.differences[:6] for one in compared]

    until(equal, 240, "the tables do not become those of a run that left nothing out", why)
    counted = [comparison.same for comparison in compared]
    assert all(same["Detections"] >= (SECONDS - 1) * FPS and same["Event"] > 0 and same["Flow"] > 0 for same in counted)
    after = newest(entries(stack))
    assert not any(entry.shed for entry in after.values())
    assert all(after[key].revision == 1 for key in shed)

    # one stretch is one look: of the burst no window but the first of each camera has had an attempt
    attempts: dict[str, set[int]] = {camera: set() for camera in CAMERAS}
    for record in read_all(bootstrap, [FAILED_WINDOWS.name]):
        window = msgspec.json.decode(record.value or b"", type=FailedWindow)
        assert window.shed
        if window.attempt > 0 and (window.camera, window.keyframe_offset) in shed:
            attempts[window.camera].add(window.keyframe_offset)
    assert all(len(offsets) <= 1 for offsets in attempts.values()), attempts
