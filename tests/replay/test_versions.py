"""Versions of a model change while a camera is watched: looking again asks each frame of the version it names."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import onnx
import pytest

from cli.system import Processes
from devstack.stack import Stack
from processors.triton import CONTRACT_SECONDS, TritonDetector
from replay.compare import content
from replay.named import VersionGoneError
from replay.window import try_again
from schemas.messages import AccessUnit, Detections, FailedWindow
from schemas.partition import partition_of
from schemas.topics import FRAMES, PARTITIONS
from tests.replay.camera_log import SECOND_NS, gops, publish, records, wait_for_ledger
from tests.replay.past import CAMERA, ROOT, SECONDS, Past
from training.contract import ServedModel
from training.model_repository import add_version, load
from training.model_server import TritonServer
from training.promotion import promote

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
MODEL = "junction-yolo"
HALF = 15 * SECOND_NS


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled detector as the first version, its INT8 variant as the second and the third."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "triton_models" / MODEL, folder / MODEL)
    variant = load(ROOT / "triton_models" / f"{MODEL}-int8")
    assert variant.card is not None
    model = ServedModel(msgspec.structs.replace(variant.detector, name=MODEL), onnx.load(variant.graph))
    assert [add_version(folder, model, variant.card) for _ in range(2)] == [2, 3]
    return folder


@pytest.fixture(scope="module")
def past(repository: Path) -> Iterator[Past]:
    """Half of it seen by version 1, half by version 2."""
    begin_ns = time.time_ns() - 600 * SECOND_NS
    log = records(CAMERA, SECONDS, begin_ns, MODEL)
    later = [unit for unit in log if isinstance(unit, AccessUnit) and unit.captured_ns >= begin_ns + HALF]
    first = next(number for number, unit in enumerate(log) if unit in later and getattr(unit, "keyframe", False))
    with Stack(services=("kafka", "triton"), model_repository=repository, models=(MODEL,)) as stack:
        Processes(stack, ("worker",)).start()
        publish(stack, log[:first])
        wait_for_ledger(stack, CAMERA, gops(log[:first]) - 1)
        promote(repository, MODEL, 2, TritonServer(stack.addresses.triton_grpc))
        time.sleep(CONTRACT_SECONDS + 1)
        publish(stack, log[first:])
        wait_for_ledger(stack, CAMERA, gops(log) - 1)
        time.sleep(1)
        yield Past(stack, begin_ns)


def named(past: Past) -> dict[int, str]:
    found = [message for message in past.newest().values() if isinstance(message, Detections)]
    return {
        message.captured_ns: message.provenance.model_version for message in sorted(found, key=lambda m: m.captured_ns)
    }


def test_results_name_the_version_that_gave_them_and_not_a_frame_is_missing(past: Past) -> None:
    versions = list(named(past).values())
    assert versions == sorted(versions)
    assert set(versions) == {"1", "2"}
    assert len(versions) >= (SECONDS - 2) * 15


def test_looking_again_over_the_change_finds_every_byte_the_same(past: Past) -> None:
    for start, end in ((0.0, 20.0), (10.0, 20.0), (2.0, 4.0), (22.0, 26.0)):
        again = past.again(start, end)
        assert again.comparison.differences == (), (start, end)
        assert again.consistent


def test_without_the_version_that_results_name_nothing_is_looked_at_and_nothing_revised(
    past: Past, repository: Path
) -> None:
    server = TritonServer(past.stack.addresses.triton_grpc)
    before = {key: content(message) for key, message in past.newest().items()}
    promote(repository, MODEL, 3, server)
    with pytest.raises(VersionGoneError, match="version 1 of model junction-yolo"):
        past.again(0.0, 20.0)
    code, said = past.rewatch("replay", "--camera", CAMERA, "--from", past.at(2), "--to", past.at(4))
    assert code == 1
    assert "--also 1" in said["error"]
    window = FailedWindow(CAMERA, "s1", 0, FRAMES.name, partition_of(CAMERA.encode(), PARTITIONS), 0, 0, 0, "corrupt")
    assert "version 1 of model junction-yolo" in attempt(past, window)
    assert {key: content(message) for key, message in past.newest().items()} == before
    promote(repository, MODEL, 3, server, also=(1,))
    assert past.again(0.0, 12.0).comparison.differences == ()


def attempt(past: Past, window: FailedWindow) -> str:
    """The reason of the failure."""

    async def tried() -> FailedWindow | None:
        detector = TritonDetector(past.stack.addresses.triton_grpc, True)
        try:
            return await try_again(past.bootstrap, detector, window)
        finally:
            await detector.stop()

    failure = asyncio.run(tried())
    assert failure is not None
    assert (failure.attempt, failure.given_up) == (1, False)
    return failure.reason
