"""The Triton adapter and detectors that take more than the picture, on a real tritonserver."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from devstack.stack import Stack
from processors.chain import STATE_VERSION, Chain
from processors.errors import WindowFailedError
from processors.ports import MOST_KEPT_BYTES, ModelContract, SceneContract
from processors.stepping import SessionState
from processors.triton import TritonDetector
from processors.triton_beside import with_beside
from processors.triton_scene import scene_contract
from schemas.analysis import ActivityWatch
from schemas.messages import Checkpoint
from schemas.results import to_json
from schemas.topics import MAX_RESULT_BYTES
from tests.processors.models import write_detector, write_remembering
from tests.processors.walk import ANALYSIS
from vision.activity import initial
from vision.memory import Memory

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
        answer = await detector.infer_with(contract, grey(51), memory)
        assert answer.memory is not None
        assert answer.version == "1"
        scores.append(float(answer.rows[0, 4]))
        memory = answer.memory
    assert scores == pytest.approx([0.2, 1.2, 2.2], abs=1e-5)
    assert memory.tolist() == [[3.0] * 3] * 2


async def test_cameras_that_ask_at_once_keep_their_memories_apart(detector: TritonDetector) -> None:
    contract = await detector.contract("remembering")
    answers = await asyncio.gather(*(detector.infer_with(contract, grey(0), EMPTY + np.float32(k)) for k in range(20)))
    assert [float(answer.rows[0, 4]) for answer in answers] == pytest.approx(range(20))
    assert [float(np.asarray(answer.memory)[0, 0]) for answer in answers] == pytest.approx(range(1, 21))


async def test_what_does_not_fit_fails_the_window_with_its_name(detector: TritonDetector) -> None:
    contract = await detector.contract("remembering")
    with pytest.raises(WindowFailedError, match="unexpected shape for input 'memory'"):
        await detector.infer_with(contract, grey(0), EMPTY[:1])
    with pytest.raises(WindowFailedError, match="unexpected shape for input 'image'"):
        await detector.infer_with(contract, grey(0)[:30], EMPTY)
    with pytest.raises(WindowFailedError, match=r"`next_memory` is not \(5,\) of numbers"):
        await detector.infer_with(msgspec.structs.replace(contract, memory=(5,)), grey(0), EMPTY)
    with pytest.raises(WindowFailedError, match="`next_memory` is not"):
        await detector.infer_with(contract, grey(0), EMPTY * np.float32(np.nan))


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


IMAGE = {"image": {"datatype": "UINT8", "shape": ["-1", "32", "48", "3"]}}
ROWS = {"detections": {"datatype": "FP32", "shape": ["-1", "2", "6"]}}


def tensor(kind: str, *sides: int) -> dict[str, Any]:
    return {"datatype": kind, "shape": ["-1", *map(str, sides)]}


def test_what_goes_in_beside_the_picture_is_read_from_its_tensors() -> None:
    plain = ModelContract("m", "1", 48, 32, ("grey",))
    assert with_beside(plain, IMAGE, ROWS, {"fps": "nonsense of no detector's concern"}) == plain
    flow = with_beside(plain, IMAGE | {"flow": tensor("INT8", 16, 24, 16)}, ROWS, {"fps": "8"})
    assert (flow.flow, flow.memory, flow.fps) == ((16, 24, 16), (), 8.0)
    back = ROWS | {"next_memory": tensor("FP32", 4)}
    memory = with_beside(plain, IMAGE | {"memory": tensor("FP32", 4)}, back, {})
    assert (memory.flow, memory.memory, memory.fps) == ((), (4,), None)


@pytest.mark.parametrize(
    ("inputs", "outputs", "why"),
    [
        ({"flow": tensor("INT8", 32, 48, 16)}, {}, r"`flow` of \(16, 24, 16\) INT8 was expected"),
        ({"flow": tensor("FP32", 16, 24, 16)}, {}, "INT8 was expected"),
        ({"flow": tensor("INT8", 16, 24, 16), "memory": tensor("FP32", 4)}, {}, "no memory beside it"),
        ({"memory": tensor("FP16", 4)}, {"next_memory": tensor("FP16", 4)}, "not FP32 of one shape"),
        ({"memory": tensor("FP32", -1)}, {"next_memory": tensor("FP32", -1)}, "not FP32 of one shape"),
        ({"memory": tensor("FP32", 4)}, {}, "not FP32 of one shape"),
        ({}, {"next_memory": tensor("FP32", 4)}, "not FP32 of one shape"),
    ],
)
def test_what_cannot_be_given_fails_the_window(inputs: dict[str, Any], outputs: dict[str, Any], why: str) -> None:
    with pytest.raises(WindowFailedError, match=why):
        with_beside(ModelContract("m", "1", 48, 32, ("grey",)), IMAGE | inputs, ROWS | outputs, {"fps": "8"})


@pytest.mark.parametrize(("width", "height"), [(48, 31), (47, 32), (4096, 4096), (256, 180)])
def test_pictures_of_which_no_flow_can_be_kept_are_refused(width: int, height: int) -> None:
    flow = {"flow": tensor("INT8", height // 2, width // 2, 16)}
    with pytest.raises(WindowFailedError, match=f"no flow is kept of pictures of {width}x{height}"):
        with_beside(ModelContract("m", "1", width, height, ("grey",)), IMAGE | flow, ROWS, {"fps": "8"})


def test_what_no_checkpoint_could_hold_is_refused() -> None:
    plain = ModelContract("m", "1", 48, 32, ("grey",))
    most = MOST_KEPT_BYTES // 4

    def asked(size: int) -> ModelContract:
        memory, back = ({name: tensor("FP32", size)} for name in ("memory", "next_memory"))
        return with_beside(plain, IMAGE | memory, ROWS | back, {})

    assert asked(most).memory == (most,)
    with pytest.raises(WindowFailedError, match="is more than the 262144 bytes that are kept"):
        asked(most + 1)


def test_nor_a_network_for_scenes_whose_state_no_checkpoint_could_hold() -> None:
    def asked(size: int) -> SceneContract:
        state = {name: tensor("FP32", size) for name in ("h", "c", "next_h", "next_c")}
        told = [{"name": key, **each} for key, each in {**IMAGE, **state, "state": tensor("FP32", 2)}.items()]
        parameters = {key: {"string_value": value} for key, value in {"labels": "a,b", "fps": "4"}.items()}
        return scene_contract("m", "1", {"inputs": told}, {"parameters": parameters})

    most = MOST_KEPT_BYTES // 8
    assert asked(most).state == most
    with pytest.raises(WindowFailedError, match="are more than the 262144 bytes that are kept"):
        asked(most + 1)


def test_a_checkpoint_holds_the_most_that_networks_may_keep() -> None:
    """A detector's memory and another network's state, both as large as they may be, and a hundred tracks."""
    chain = Chain("cam", msgspec.json.encode(msgspec.structs.replace(ANALYSIS, activity=ActivityWatch())))
    half = np.random.default_rng(1).bytes(MOST_KEPT_BYTES // 2)
    watched = msgspec.structs.replace(initial(), h=half, c=half)
    state = msgspec.structs.replace(chain.initial(), memory=Memory(half + half, 5), activity=watched)
    saved = SessionState(chain.analysis_json.decode(), 5, msgspec.Raw(chain.save(state).encode()))
    text = msgspec.json.encode(saved).decode()
    checkpoint = Checkpoint("cam", "frames", 0, 7, STATE_VERSION, text, {})
    assert len(to_json(checkpoint)) < 0.8 * MAX_RESULT_BYTES
