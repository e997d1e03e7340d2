"""What was trained answers in a Triton that runs, without a restart, and the version before ends what it has begun."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra `train` (PyTorch) isn't installed")

import msgspec

from devstack.stack import Stack
from processors.triton import TritonDetector
from tests.training import folders
from tests.training.test_course import BOXES, order
from tests.training.test_model_versions import NOBODY, files
from training.audience import Listener
from training.contract import ModelError
from training.course.run import run
from training.model_repository import load
from training.model_server import TritonServer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With `parts`, trained, in the repository `models`."""
    folder = tmp_path_factory.mktemp("trained")
    folders.coco(folder / "pictures", dict(list(BOXES.items())[:10]))
    run(order(folder / "pictures"), folder / "models", folder / "work", NOBODY, Listener())
    return folder


@pytest.fixture(scope="module")
def server(here: Path) -> Iterator[str]:
    with Stack(services=("triton",), model_repository=here / "models", models=("parts",)) as running:
        yield running.addresses.triton_grpc


async def test_the_next_version_answers_without_a_restart(here: Path, server: str) -> None:
    detector, picture = TritonDetector(server, shared_memory=False), np.zeros((64, 64, 3), np.uint8)
    try:
        before = await detector.contract("parts")
        assert (await detector.infer(before, [picture]))[0].version == "1"
        asked = order(here / "pictures", seed=2)
        done = await asyncio.to_thread(
            run, asked, here / "models", here / "work", TritonServer(server), Listener(), False
        )
        assert (done.version, done.promotion.server) == (2, f"live in Triton at {server}")
        assert (await detector.infer(before, [picture]))[0].version == "1"
        while (contract := await detector.contract("parts")).version == "1":
            await detector.infer(contract, [picture])
        assert (await detector.infer(contract, [picture]))[0].version == "2"
    finally:
        await detector.stop()


async def test_a_model_of_another_name_answers_at_once(here: Path, server: str) -> None:
    asked = msgspec.structs.replace(order(here / "pictures"), name="others")
    done = await asyncio.to_thread(run, asked, here / "models", here / "others", TritonServer(server), Listener())
    assert done.promotion.server == f"live in Triton at {server}"
    detector = TritonDetector(server, shared_memory=False)
    try:
        contract = await detector.contract("others")
        assert (contract.version, contract.labels) == ("1", ("bolt", "nut"))
    finally:
        await detector.stop()


async def test_what_triton_refuses_leaves_the_old_version_live(here: Path, server: str) -> None:
    """The disk has the version; only the promotion fails, and the same order tries that again."""
    live = load(here / "models" / "parts").live
    asked, server_of = order(here / "pictures", seed=3), TritonServer(server)
    spoilt = here / "models" / "parts" / str(live) / "model.onnx"
    content = spoilt.read_bytes()
    spoilt.write_bytes(b"nonsense")
    try:
        with pytest.raises(ModelError, match="goes on as before"):
            await asyncio.to_thread(run, asked, here / "models", here / "work", server_of, Listener())
    finally:
        spoilt.write_bytes(content)
    assert load(here / "models" / "parts").live == live
    stored = files(here / "models")
    listener = Listener()
    done = await asyncio.to_thread(run, asked, here / "models", here / "work", server_of, listener)
    assert done.promotion.live == done.version == live + 1
    assert any("published before" in line for line in listener.said)
    assert files(here / "models").keys() - stored.keys() <= {"parts/history.json"}
