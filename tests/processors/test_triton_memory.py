"""The Triton adapter and detectors with a memory, on a real tritonserver."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from devstack.stack import Stack
from processors.errors import WindowFailedError
from processors.triton import TritonDetector
from tests.processors.models import write_detector, write_remembering

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
EMPTY = np.zeros((2, 3), np.float32)


def grey(level: int) -> NDArray[np.uint8]:
    return np.full((32, 48, 3), level, np.uint8)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    repository = tmp_path_factory.mktemp("models")
    write_remembering(repository, "remembering")
    write_remembering(repository, "timeless", fps="often")
    write_remembering(repository, "bent", back=(3, 2))
    write_detector(repository, "plain")
    with Stack(services=("triton",), model_repository=repository, models=("remembering", "plain")) as running:
        yield running


@pytest.fixture
async def detector(stack: Stack) -> AsyncIterator[TritonDetector]:
    made = TritonDetector(stack.addresses.triton_grpc, shared_memory=True, slots=2)
    yield made
    await made.stop()


async def test_the_contract_says_what_it_remembers_and_how_often_it_looks(detector: TritonDetector) -> None:
    contract = await detector.contract("remembering")
    assert (contract.memory, contract.fps, contract.labels) == ((2, 3), 8.0, ("grey", "other"))
    plain = await detector.contract("plain")
    assert (plain.memory, plain.fps) == ((), None)


async def test_what_it_answers_depends_on_what_it_is_given_back(detector: TritonDetector) -> None:
    contract = await detector.contract("remembering")
    memory, scores = EMPTY, []
    for _ in range(3):
        answer = await detector.recall(contract, grey(51), memory)
        assert answer.memory is not None
        assert answer.version == "1"
        scores.append(float(answer.rows[0, 4]))
        memory = answer.memory
    assert scores == pytest.approx([0.2, 1.2, 2.2], abs=1e-5)
    assert memory.tolist() == [[3.0] * 3] * 2


async def test_cameras_that_ask_at_once_keep_their_memories_apart(detector: TritonDetector) -> None:
    contract = await detector.contract("remembering")
    answers = await asyncio.gather(*(detector.recall(contract, grey(0), EMPTY + np.float32(k)) for k in range(20)))
    assert [float(answer.rows[0, 4]) for answer in answers] == pytest.approx(range(20))
    assert [float(np.asarray(answer.memory)[0, 0]) for answer in answers] == pytest.approx(range(1, 21))


async def test_what_does_not_fit_fails_the_window_with_its_name(detector: TritonDetector) -> None:
    contract = await detector.contract("remembering")
    with pytest.raises(WindowFailedError, match="unexpected shape for input 'memory'"):
        await detector.recall(contract, grey(0), EMPTY[:1])
    with pytest.raises(WindowFailedError, match="unexpected shape for input 'image'"):
        await detector.recall(contract, grey(0)[:30], EMPTY)
    with pytest.raises(WindowFailedError, match=r"`next_memory` is not \(5,\) of numbers"):
        await detector.recall(msgspec.structs.replace(contract, memory=(5,)), grey(0), EMPTY)
    with pytest.raises(WindowFailedError, match="`next_memory` is not"):
        await detector.recall(contract, grey(0), EMPTY * np.float32(np.nan))


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("bent", "`memory` and `next_memory` are not FP32 of one shape"),
        ("timeless", "'often' are no pictures a second"),
    ],
)
async def test_a_memory_that_cannot_be_given_back_fails_the_window(
    detector: TritonDetector, model: str, why: str
) -> None:
    with pytest.raises(WindowFailedError, match=why):
        await detector.contract(model)
