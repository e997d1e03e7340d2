"""The Triton adapter against a real tritonserver: answers, refusals, and what it does when Triton is hurt."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from devstack.stack import Stack
from processors.errors import WindowFailedError
from processors.triton import TritonDetector
from tests.devstack.models import write_model
from tests.processors.models import write_detector

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def grey(level: int) -> NDArray[np.uint8]:
    return np.full((32, 48, 3), level, np.uint8)


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
    answers = await asyncio.gather(*(detector.infer(contract, grey(level)) for level in range(0, 250, 10)))
    assert [round(float(rows[0, 4]) * 255) for rows in answers] == list(range(0, 250, 10))


async def test_a_model_that_nobody_loaded_is_loaded(detector: TritonDetector) -> None:
    contract = await detector.contract("lazy")
    assert (await detector.infer(contract, grey(51)))[0, 4] == pytest.approx(0.2)


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
        await detector.infer(contract, np.zeros((8, 8, 3), np.uint8))


async def test_a_killed_model_process_is_revived_and_nothing_is_lost(stack: Stack, detector: TritonDetector) -> None:
    contract = await detector.contract("brightness")
    assert (await detector.infer(contract, grey(10))).shape == (2, 6)
    for pid in stack.triton.stub_pids():
        os.kill(pid, signal.SIGKILL)
    answers = await asyncio.gather(*(detector.infer(contract, grey(level)) for level in (20, 30, 40)))
    assert [round(float(rows[0, 4]) * 255) for rows in answers] == [20, 30, 40]


async def test_a_triton_that_comes_back_is_waited_for(stack: Stack, detector: TritonDetector) -> None:
    contract = await detector.contract("brightness")
    stack.triton.kill()
    asking = asyncio.create_task(detector.infer(contract, grey(90)))
    await asyncio.sleep(1)
    assert not asking.done()
    assert not detector.healthy
    await asyncio.get_running_loop().run_in_executor(None, stack.triton.restart)
    assert round(float((await asking)[0, 4]) * 255) == 90
    assert detector.healthy
