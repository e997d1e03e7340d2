"""The Triton adapter against a real tritonserver: answers, refusals, and what it does when Triton is hurt."""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from devstack.stack import Stack
from processors.errors import WindowFailedError
from processors.ports import Inference, ModelContract
from processors.triton import TritonDetector
from tests.devstack.models import write_model
from tests.processors.models import write_detector

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
SEED = 20


def grey(level: int) -> NDArray[np.uint8]:
    return np.full((32, 48, 3), level, np.uint8)


def brightness(answer: Inference) -> int:
    return round(float(answer.rows[0, 4]) * 255)


async def seen(detector: TritonDetector, contract: ModelContract, image: NDArray[np.uint8]) -> Inference:
    """By itself."""
    (answer,) = await detector.infer(contract, [image])
    return answer


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    repository = tmp_path_factory.mktemp("models")
    write_detector(repository, "brightness")
    write_detector(repository, "lazy")
    write_detector(repository, "seven-columns", columns=7)
    write_model(repository, "no-detector")
    with Stack(services=("triton",), model_repository=repository, models=("brightness",)) as running:
        yield running


@pytest.fixture(params=[True, False], ids=["shared-memory", "grpc"])
async def detector(stack: Stack, request: pytest.FixtureRequest) -> AsyncIterator[TritonDetector]:
    made = TritonDetector(stack.addresses.triton_grpc, request.param, slots=2)
    yield made
    await made.stop()


async def test_the_contract_is_read_from_triton(detector: TritonDetector) -> None:
    contract = await detector.contract("brightness")
    assert (contract.width, contract.height, contract.labels) == (48, 32, ("grey", "other"))
    assert contract.version == "1"


async def test_each_image_gets_its_own_answer_however_many_are_under_way(detector: TritonDetector) -> None:
    contract = await detector.contract("brightness")
    answers = await asyncio.gather(*(seen(detector, contract, grey(level)) for level in range(0, 250, 10)))
    assert [brightness(answer) for answer in answers] == list(range(0, 250, 10))


async def test_images_of_one_request_get_their_own_answers(detector: TritonDetector) -> None:
    """Of few and of many in turns: a place in shared memory grows."""
    contract = await detector.contract("brightness")
    assert contract.batch >= 4
    levels = [range(10, 20), range(30, 32), range(40, 44), range(50, 51), range(60, 63)] * 3
    requests = [[grey(level) for level in some[: contract.batch]] for some in levels]
    answers = await asyncio.gather(*(detector.infer(contract, images) for images in requests))
    assert [[brightness(each) for each in several] for several in answers] == [
        list(some[: contract.batch]) for some in levels
    ]


async def test_a_model_that_nobody_loaded_is_loaded(detector: TritonDetector) -> None:
    contract = await detector.contract("lazy")
    assert (await seen(detector, contract, grey(51))).rows[0, 4] == pytest.approx(0.2)


async def test_a_model_that_does_not_exist_fails_the_window(detector: TritonDetector) -> None:
    with pytest.raises(WindowFailedError, match="nowhere"):
        await detector.contract("nowhere")


@pytest.mark.parametrize(("model", "why"), [("no-detector", "inputs"), ("seven-columns", "detections")])
async def test_a_model_of_another_shape_fails_the_window_and_says_what_is_wrong(
    detector: TritonDetector, model: str, why: str
) -> None:
    with pytest.raises(WindowFailedError, match=why):
        await detector.contract(model)


async def test_an_image_of_the_wrong_shape_fails_the_window(detector: TritonDetector) -> None:
    contract = await detector.contract("brightness")
    with pytest.raises(WindowFailedError, match="shape"):
        await detector.infer(contract, [np.zeros((8, 8, 3), np.uint8)])


async def test_who_asks_and_goes_away_does_not_hurt_triton(stack: Stack, detector: TritonDetector) -> None:
    """Cancelled at any moment of a request: this Triton would end of it within a few seconds."""
    contract = await detector.contract("brightness")
    process, moments = stack.triton.process.pid, random.Random(SEED)
    for level in range(600):
        asking = [asyncio.create_task(seen(detector, contract, grey(level % 250))) for _ in range(4)]
        await asyncio.sleep(moments.uniform(0.0, 0.008))
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    assert brightness(await seen(detector, contract, grey(70))) == 70
    assert (stack.triton.process.pid, stack.triton.process.is_running()) == (process, True)


@contextlib.contextmanager
def standing_still(stack: Stack) -> Iterator[set[int]]:
    """The processes that hold the models."""
    stuck = set(stack.triton.stub_pids())
    for pid in stuck:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield stuck
    finally:
        for pid in stuck:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("shared_memory", [True, False], ids=["shared-memory", "grpc"])
async def test_a_model_process_that_stands_still_is_left_for_a_new_one(stack: Stack, shared_memory: bool) -> None:
    """More askers than places for pictures, all of which are held by requests that get no answer."""
    detector = TritonDetector(stack.addresses.triton_grpc, shared_memory, slots=2, answer_seconds=1.0)
    contract = await detector.contract("brightness")
    assert brightness(await seen(detector, contract, grey(70))) == 70
    with standing_still(stack) as stuck:
        answers = await asyncio.gather(*(seen(detector, contract, grey(level)) for level in range(10, 70, 10)))
        assert [brightness(answer) for answer in answers] == [10, 20, 30, 40, 50, 60]
        assert set(stack.triton.stub_pids()) - stuck
    await detector.stop()
    assert not [name for name in os.listdir("/dev/shm") if name.startswith(f"rewatch-{os.getpid()}-")]


async def test_a_killed_model_process_is_revived_and_nothing_is_lost(stack: Stack, detector: TritonDetector) -> None:
    contract = await detector.contract("brightness")
    assert (await seen(detector, contract, grey(10))).rows.shape == (2, 6)
    for pid in stack.triton.stub_pids():
        os.kill(pid, signal.SIGKILL)
    answers = await asyncio.gather(*(seen(detector, contract, grey(level)) for level in (20, 30, 40)))
    assert [brightness(answer) for answer in answers] == [20, 30, 40]


async def test_a_triton_that_comes_back_is_waited_for(stack: Stack, detector: TritonDetector) -> None:
    contract = await detector.contract("brightness")
    stack.triton.kill()
    asking = asyncio.create_task(seen(detector, contract, grey(90)))
    await asyncio.sleep(1)
    assert not asking.done()
    assert not detector.healthy
    await asyncio.get_running_loop().run_in_executor(None, stack.triton.restart)
    assert brightness(await asking) == 90
    assert detector.healthy
