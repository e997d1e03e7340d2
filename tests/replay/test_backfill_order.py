"""A backfill and a live worker that is behind: neither may say of a GOP what the other says of it later."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cli.system import Processes
from devstack.process import Process
from devstack.stack import Stack
from processors.triton import TritonDetector
from replay.backfill import backfill
from replay.compare import Comparison, Difference, revisions
from replay.past import Key, Outcome, checkpoints, key_of, published
from replay.publish import publish as say
from replay.span import Span, locate
from schemas.examples import RESULTS
from schemas.messages import SHED, AnalysisLedger, Event, FailedWindow
from tests.replay.camera_log import FPS, MODEL, SECOND_NS, publish, records, wait_for_ledger

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
CAMERA = "behind"
SECONDS, SEEN = 9, 5


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(services=("kafka", "triton"), model_repository=ROOT / "triton_models", models=(MODEL,)) as running:
        yield running


def looked_at(stack: Stack, window: FailedWindow) -> FailedWindow | None:
    async def look() -> FailedWindow | None:
        detector = TritonDetector(stack.addresses.triton_grpc, True)
        try:
            return await backfill(stack.addresses.kafka_bootstrap, detector, window)
        finally:
            await detector.stop()

    return asyncio.run(look())


def test_it_waits_for_a_worker_that_has_not_done_with_the_gop(stack: Stack) -> None:
    bootstrap, begin_ns = stack.addresses.kafka_bootstrap, time.time_ns() - 600 * SECOND_NS

    def span(second: int) -> Span:
        return locate(bootstrap, CAMERA, begin_ns + second * SECOND_NS, begin_ns + (second + 1) * SECOND_NS)

    def table() -> dict[Key, Outcome]:
        return published(bootstrap, span(0), 2**63)

    log = records(CAMERA, SECONDS, begin_ns)
    Processes(stack, ("worker",)).start()
    publish(stack, log[: SEEN * FPS])
    wait_for_ledger(stack, CAMERA, SEEN - 1)
    # the worker dies in the GOP that it has begun, and the camera goes on
    at = span(SEEN - 1)
    while max(checkpoint.offset for checkpoint in checkpoints(bootstrap, at)) < at.keyframe_offset:
        time.sleep(0.2)
    worker = stack.service("worker")
    assert isinstance(worker, Process)
    worker.kill()
    worker.stop()
    publish(stack, log[SEEN * FPS :])

    # as one that says it before the GOP is known, and as what a look at an earlier one has left
    offset, before = at.keyframe_offset, table()
    state = next(c for c in checkpoints(bootstrap, at) if c.offset == offset)
    said = FailedWindow(
        CAMERA, log[0].session, SEEN - 1, at.topic, at.partition, offset, offset, offset, "every second frame",
        shed=True,
    )  # fmt: skip
    left_over = FailedWindow(
        CAMERA, at.camera, 0, at.topic, at.partition, 0, 0, offset, SHED,
        attempt=1, shed=True, state=state.state, state_version=state.state_version,
    )  # fmt: skip

    def waits() -> None:
        for window in (said, left_over):
            left = looked_at(stack, window)
            assert left is not None
            assert (left.last_offset, left.attempt, left.given_up) == (offset, window.attempt + 1, False)
            assert left.state == window.state
            assert left.reason == f"{SHED}the live worker has not done with it yet"

    waits()
    assert table() == before, "nothing is said ahead of the worker"

    # killed later, the GOP's entry is there and the checkpoint behind it is not: the next worker does the GOP again,
    # and may leave out other frames
    entry = AnalysisLedger(
        CAMERA, said.session, said.gop, at.keyframe_ns, FPS, FPS, 1, FPS - 1, 0, at.topic, at.partition, offset,
        f"{SHED}three of four frames",
    )  # fmt: skip
    say(bootstrap, [entry])
    waits()
    assert table() == {**before, key_of(entry): entry}, "nor beside one whose word is not the last"

    worker.start()
    wait_for_ledger(stack, CAMERA, SECONDS)
    for window in (said, left_over):
        left = looked_at(stack, window)
        assert left is not None
        assert left.given_up or not left.reason, "met"
    assert {message.revision for message in table().values()} == {0}, "the worker's word stands: nothing was shed"


def test_what_nobody_had_said_outranks_what_a_worker_says_late() -> None:
    example = RESULTS["event"]
    assert isinstance(example, Event)
    live = msgspec.structs.replace(example, revision=0)
    (found,) = revisions(Comparison({}, (Difference("gained", key_of(live), None, live),)))
    assert found.revision == 1
