"""Windows that failed are tried again by themselves: repaired where that is possible, given up where it is not."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from cli.collect import read_all
from cli.system import Processes
from cli.windows import states
from devstack.process import Process
from devstack.stack import Stack
from processors.triton import TritonDetector
from replay.again import look_again
from replay.log import LogGoneError, PartitionLog
from replay.window import MAX_ATTEMPTS, open_span, try_again
from schemas.messages import FailedWindow, Gap
from schemas.partition import partition_of
from schemas.topics import FAILED_WINDOWS, FRAMES, PARTITIONS
from tests.replay.camera_log import FPS, MODEL, SECOND_NS, failed_frames, gops, publish, records, wait_for_ledger

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 12


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "triton_models" / MODEL, repository / MODEL)
    return repository


@pytest.fixture(scope="module")
def stack(repository: Path) -> Iterator[Stack]:
    with Stack(services=("kafka", "triton"), model_repository=repository, models=(MODEL,)) as running:
        Processes(running, ("worker",)).start()
        yield running


def test_a_model_that_comes_late_repairs_everything_even_if_the_replayer_is_killed(
    stack: Stack, repository: Path
) -> None:
    bootstrap, begin_ns = stack.addresses.kafka_bootstrap, time.time_ns() - 600 * SECOND_NS
    # the camera has gone dark: nothing but a gap comes behind the last GOP
    log = records("late", SECONDS, begin_ns, "late-yolo")
    log.append(Gap("late", "s1", "connection lost", begin_ns + 12 * SECOND_NS, begin_ns + 20 * SECOND_NS, -1))
    publish(stack, log)
    wait_for_ledger(stack, "late", gops(log))
    failed = states(bootstrap, "late")
    assert [one.state for one in failed] == ["waiting"] * gops(log)
    assert "late-yolo" in failed[0].window.reason

    shutil.copytree(repository / MODEL, repository / "late-yolo")
    config = repository / "late-yolo" / "config.pbtxt"
    config.write_text(config.read_text().replace(f'name: "{MODEL}"', 'name: "late-yolo"'))
    Processes(stack, ("replayer",)).start()
    time.sleep(3)
    victim = stack.service("replayer")
    assert isinstance(victim, Process)
    victim.kill()
    victim.stop()
    victim.start()
    deadline = time.monotonic() + 120
    while failed_frames(stack, "late"):
        assert time.monotonic() < deadline, states(bootstrap, "late")
        time.sleep(1)
    victim.stop()

    async def look() -> dict[str, dict[str, int]]:
        detector = TritonDetector(stack.addresses.triton_grpc, True)
        try:
            end_ns = begin_ns + SECONDS * SECOND_NS
            again = await look_again(bootstrap, detector, "late", begin_ns, end_ns)
            return again.comparison.counts()
        finally:
            await detector.stop()

    counts = asyncio.run(look())
    assert counts["Detections"]["same"] == SECONDS * FPS
    assert counts["Event"]["same"] > 0
    assert all(count == 0 for kind in counts.values() for name, count in kind.items() if name != "same"), counts


def test_what_retention_has_deleted_is_given_up_in_one_attempt(stack: Stack) -> None:
    bootstrap, camera = stack.addresses.kafka_bootstrap, "gone"
    log = records(camera, SECONDS, time.time_ns() - 600 * SECOND_NS)
    publish(stack, log, damaged=40)
    wait_for_ledger(stack, camera, gops(log) - 1)
    (failed,) = states(bootstrap, camera)
    window = failed.window
    partition = partition_of(camera.encode(), PARTITIONS)
    with PartitionLog(bootstrap, FRAMES.name, partition) as whole:
        last = whole.high - 1
    low = window.keyframe_offset + 3
    delete(bootstrap, partition, low)

    replayer = stack.service("replayer")
    replayer.start()
    deadline = time.monotonic() + 120
    while (found := states(bootstrap, camera)[0]).state == "waiting":
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    replayer.stop()
    assert (found.state, found.window.attempt) == ("given up", 1)
    where = f"frames/{partition}: offset {window.keyframe_offset} was deleted"
    assert found.window.reason == f"{where}; left are {low} to {last}"

    delete(bootstrap, partition, -1)
    with pytest.raises(LogGoneError, match=f"{where}; nothing is left"):
        open_span(bootstrap, window)


def delete(bootstrap: str, partition: int, before: int) -> None:
    """As retention would. -1: everything."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    (future,) = admin.delete_records([TopicPartition(FRAMES.name, partition, before)]).values()
    future.result(10)


def test_what_can_never_succeed_is_given_up_with_its_reason(stack: Stack) -> None:
    bootstrap, begin_ns = stack.addresses.kafka_bootstrap, time.time_ns() - 600 * SECOND_NS
    log = records("damaged", SECONDS, begin_ns)
    publish(stack, log, damaged=40)
    wait_for_ledger(stack, "damaged", gops(log) - 1)
    (failed,) = states(bootstrap, "damaged")
    before = len(read_all(bootstrap, [FAILED_WINDOWS.name]))

    async def attempts() -> list[FailedWindow]:
        detector = TritonDetector(stack.addresses.triton_grpc, True)
        found, window = [], failed.window
        try:
            while not window.given_up:
                again = await try_again(bootstrap, detector, window)
                assert again is not None
                found.append(again)
                window = again
            return found
        finally:
            await detector.stop()

    found = asyncio.run(attempts())
    assert [window.attempt for window in found] == list(range(1, MAX_ATTEMPTS + 1))
    assert [window.given_up for window in found] == [False] * (MAX_ATTEMPTS - 1) + [True]
    assert {window.reason for window in found} == {failed.window.reason}
    assert "malformed record" in failed.window.reason
    assert len(read_all(bootstrap, [FAILED_WINDOWS.name])) == before, "whoever calls it tells it"


def test_a_window_whose_frames_are_gone_is_given_up_at_once(stack: Stack) -> None:
    async def attempt() -> FailedWindow | None:
        detector = TritonDetector(stack.addresses.triton_grpc, True)
        window = FailedWindow("nobody", "s1", 0, FRAMES.name, 3, 10**9, 10**9, 10**9, "a test")
        try:
            return await try_again(stack.addresses.kafka_bootstrap, detector, window)
        finally:
            await detector.stop()

    answer = asyncio.run(attempt())
    assert answer is not None
    assert answer.given_up
    assert "is no keyframe of camera nobody" in answer.reason
