"""Another version goes live in a real Triton while it infers: no request fails, each answer names who gave it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton

from devstack.stack import Stack
from processors.errors import WindowFailedError
from processors.ports import Inference, ModelContract
from processors.triton import TritonDetector
from tests.training.networks import write_network
from training.acceleration import accelerate, decelerate
from training.contract import ModelError
from training.importing import import_detector
from training.model_repository import load
from training.model_server import TritonServer
from training.promotion import promote, roll_back
from training.tensorrt import options_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
SCORES = {"1": 0.9, "2": 0.5, "3": 0.7}
PICTURE = np.zeros((64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`mine`, with three versions whose answers differ; the first is live."""
    folder = tmp_path_factory.mktemp("served")
    for version, score in SCORES.items():
        file = write_network(folder, score)
        labels = folder / "labels.txt"
        import_detector(file, "mine", "yolox", folder / "models", labels=labels, as_version=version != "1")
    return folder / "models"


@pytest.fixture(scope="module")
def stack(repository: Path) -> Iterator[Stack]:
    with Stack(services=("triton",), model_repository=repository, models=("mine",)) as running:
        yield running


@pytest.fixture
def server(stack: Stack, repository: Path) -> Iterator[TritonServer]:
    yield TritonServer(stack.addresses.triton_grpc)
    promote(repository, "mine", 1, TritonServer(stack.addresses.triton_grpc))


@pytest.fixture
async def detector(stack: Stack, server: TritonServer) -> AsyncIterator[TritonDetector]:
    made = TritonDetector(stack.addresses.triton_grpc, shared_memory=False)
    yield made
    await made.stop()


def is_true(answer: Inference) -> bool:
    """The version that it names is the one whose score it has."""
    return float(answer.rows[0, 4]) == pytest.approx(SCORES[answer.version], abs=1e-3)


async def infer_for_ever(detector: TritonDetector, contract: ModelContract) -> None:
    while True:
        assert (await detector.infer(contract, [PICTURE]))[0].version == contract.version


class Traffic:
    """Sessions that never stop: each asks for the contract at its keyframes and infers in between."""

    def __init__(self, detector: TritonDetector, sessions: int = 4) -> None:
        self._detector, self._sessions = detector, sessions
        self.pinned: list[tuple[str, Inference]] = []
        self._version, self._seen = "", asyncio.Event()

    async def __aenter__(self) -> "Traffic":
        self._tasks = [asyncio.create_task(self._infer()) for _ in range(self._sessions)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for found in await asyncio.gather(*self._tasks, return_exceptions=True):
            assert isinstance(found, asyncio.CancelledError), found

    async def _infer(self) -> None:
        while True:
            contract = await self._detector.contract("mine")
            for _ in range(5):
                (answer,) = await self._detector.infer(contract, [PICTURE])
                self.pinned.append((contract.version, answer))
                if answer.version == self._version:
                    self._seen.set()

    async def until(self, version: str) -> None:
        self._version = version
        self._seen.clear()
        await self._seen.wait()


async def test_no_inference_fails_while_versions_go_live_and_back(
    repository: Path, detector: TritonDetector, server: TritonServer
) -> None:
    async with Traffic(detector) as traffic:
        await traffic.until("1")
        done = await asyncio.to_thread(promote, repository, "mine", 2, server)
        assert done.server.startswith("live in Triton")
        await traffic.until("2")
        await asyncio.to_thread(roll_back, repository, "mine", server)
        await traffic.until("1")
    answers = [answer for _, answer in traffic.pinned]
    assert all(is_true(answer) for answer in answers)
    assert all(wanted == answer.version for wanted, answer in traffic.pinned), (
        "the pinned version is the one that answers"
    )
    assert {answer.version for answer in answers} == {"1", "2"}


async def test_a_version_that_is_taken_away_is_succeeded_by_the_live_one_and_named_so(
    repository: Path, detector: TritonDetector, server: TritonServer
) -> None:
    contract = await detector.contract("mine")
    assert contract.version == "1"
    await asyncio.to_thread(promote, repository, "mine", 2, server)
    (kept,) = await detector.infer(contract, [PICTURE])
    assert (kept.version, is_true(kept)) == ("1", True)
    await asyncio.to_thread(promote, repository, "mine", 3, server)
    while (answer := (await detector.infer(contract, [PICTURE]))[0]).version == "1":
        pass
    assert (answer.version, is_true(answer)) == ("3", True)
    assert (await detector.contract("mine")).version == "3"


async def test_a_version_that_is_asked_for_answers_itself_or_not_at_all(
    repository: Path, detector: TritonDetector, server: TritonServer
) -> None:
    await asyncio.to_thread(promote, repository, "mine", 2, server)
    first = await detector.contract("mine", "1")
    assert (first.version, first.exact) == ("1", True)
    assert is_true(*await detector.infer(first, [PICTURE]))
    await asyncio.to_thread(promote, repository, "mine", 3, server)
    with pytest.raises(WindowFailedError, match="version 1"):
        await infer_for_ever(detector, first)
    await asyncio.to_thread(promote, repository, "mine", 3, server, (1,))
    assert (await detector.infer(first, [PICTURE]))[0].version == "1"


async def test_an_accelerator_goes_on_and_off_while_it_infers_and_versions_keep_it(
    stack: Stack, repository: Path, detector: TritonDetector, server: TritonServer
) -> None:
    def precision(version: str) -> str:
        with triton.InferenceServerClient(stack.addresses.triton_grpc) as client:
            return options_of(client.get_model_config("mine", version).config).get("precision_mode", "")

    async with Traffic(detector) as traffic:
        await traffic.until("1")
        done = await asyncio.to_thread(
            accelerate, repository, "mine", "fp16", server, engines="/engines", seen_as="/models"
        )
        assert done.server.startswith("live in Triton")
        assert await asyncio.to_thread(precision, "1") == "FP16"
        await asyncio.to_thread(promote, repository, "mine", 2, server)
        await traffic.until("2")
        assert await asyncio.to_thread(precision, "2") == "FP16"
        await asyncio.to_thread(decelerate, repository, "mine", server)
        assert await asyncio.to_thread(precision, "2") == ""
    assert all(is_true(answer) for _, answer in traffic.pinned)


async def test_the_live_version_is_so_after_a_restart_of_triton(
    stack: Stack, repository: Path, detector: TritonDetector, server: TritonServer
) -> None:
    await asyncio.to_thread(promote, repository, "mine", 2, server)
    await asyncio.to_thread(roll_back, repository, "mine", server)
    await asyncio.to_thread(stack.triton.restart)
    assert is_true(*await detector.infer(await detector.contract("mine"), [PICTURE]))
    assert (await detector.contract("mine")).version == "1"


async def test_a_version_that_triton_refuses_changes_nothing(
    repository: Path, detector: TritonDetector, server: TritonServer
) -> None:
    broken = repository / "mine" / "4"
    shutil.copytree(repository / "mine" / "2", broken)
    (broken / "model.onnx").write_bytes((broken / "model.onnx").read_bytes()[:100])
    before = {p: p.read_bytes() for p in sorted((repository / "mine").iterdir()) if p.is_file()}
    contract = await detector.contract("mine")
    try:
        with pytest.raises(ModelError, match=r"goes on as before: .*not a usable ONNX model"):
            await asyncio.to_thread(promote, repository, "mine", 4, server)
    finally:
        shutil.rmtree(broken)
    assert {p: p.read_bytes() for p in sorted((repository / "mine").iterdir()) if p.is_file()} == before
    assert load(repository / "mine").live == int(contract.version)
    assert is_true(*await detector.infer(contract, [PICTURE]))
    assert (await detector.infer(contract, [PICTURE]))[0].version == contract.version


def test_a_triton_that_serves_another_folder_is_not_believed(
    tmp_path: Path, stack: Stack, server: TritonServer
) -> None:
    for name in ("mine", "alien"):
        labels = tmp_path / "labels.txt"
        import_detector(write_network(tmp_path), name, "yolox", tmp_path / "models", labels=labels)
        import_detector(
            write_network(tmp_path, 0.5), name, "yolox", tmp_path / "models", labels=labels, as_version=True
        )
    assert "does not serve this folder" in promote(tmp_path / "models", "alien", 2, server).server
    with pytest.raises(ModelError, match="serves mine from another folder"):
        promote(tmp_path / "models", "mine", 2, server)
    assert load(tmp_path / "models" / "mine").live == 1
