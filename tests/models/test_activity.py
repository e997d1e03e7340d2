"""The bundled fusion network and its INT8 variant, on a junction that is new to them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from devstack.stack import Stack
from processors.errors import WindowFailedError
from processors.triton import TritonDetector
from tests.models import asking
from tests.models.asking import Feed
from training.contract import ModelError
from training.fusion.activity import ACTIVITIES, activity
from training.fusion.clip_set import FPS, clip
from training.fusion.contract import INPUTS, OUTPUTS, Served, config_text, parse_config
from training.fusion.report import Int8Report, Report, Scores
from training.model_card import digest, read_card
from training.model_repository import load
from training.trial import session
from vision.activity import Answer, Change, State, initial, memory, step

REPOSITORY = Path(__file__).resolve().parents[2] / "triton_models"
NAMES = ("junction-activity", "junction-activity-int8")
every_model = pytest.mark.parametrize("name", NAMES)
FRESH, PICTURES = 4242, 40


def served(name: str) -> Served:
    return parse_config((REPOSITORY / name / "config.pbtxt").read_text())


@pytest.fixture(scope="module")
def watched() -> tuple[NDArray[np.uint8], list[str]]:
    pictures: list[NDArray[np.uint8]] = []
    states: list[str] = []
    for picture, truth in clip(FRESH, 2, PICTURES):
        pictures.append(picture)
        states.append(activity(truth, 180))
    return np.stack(pictures), states


@every_model
def test_config_graph_and_card_agree(name: str) -> None:
    folder, model = REPOSITORY / name, served(name)
    assert model.name == name
    assert model.labels == ACTIVITIES
    assert (folder / "config.pbtxt").read_text() == config_text(model)
    card = read_card(folder / "card.json")
    assert card.served_sha256 == digest(folder / "1" / "model.onnx")
    assert card.licence == "Apache-2.0"
    assert {"recipes", "learnt_from", "judged_on", "features", "backbone", "result", "commit"} <= set(card.facts)
    graph = onnx.load(folder / "1" / "model.onnx").graph
    shapes = {value.name: value.type.tensor_type.shape.dim for value in (*graph.input, *graph.output)}
    assert tuple(shapes) == INPUTS + OUTPUTS
    assert {key: tuple(d.dim_value for d in dims)[1:] for key, dims in shapes.items()} == model.shapes


@every_model
def test_it_is_no_detector(name: str) -> None:
    with pytest.raises(ModelError, match=r"config\.pbtxt"):
        load(REPOSITORY / name)


def test_the_cards_figures_fit_together() -> None:
    result = msgspec.json.decode(read_card(REPOSITORY / NAMES[0] / "card.json").facts["result"], type=Report)
    facts = read_card(REPOSITORY / NAMES[1] / "card.json").facts
    quick = msgspec.json.decode(facts["quantization"], type=Int8Report)
    assert msgspec.json.decode(facts["result"], type=Report) == result

    def fits(scores: Scores) -> None:
        table = np.array(scores.confusion)
        assert tuple(table.sum(axis=1)) == tuple(result.states.values())
        assert scores.accuracy == pytest.approx(np.trace(table) / result.pictures, abs=1e-4)

    for each in (result.fusion, result.baseline, quick.scores):
        fits(each)
    assert result.gain.low > 0, "it must be better than single pictures, and by more than chance"
    assert result.gain.accuracy == pytest.approx(result.fusion.accuracy - result.baseline.accuracy, abs=2e-4)
    assert quick.lost == pytest.approx(result.fusion.accuracy - quick.scores.accuracy, abs=2e-4)
    assert quick.lost <= 0.01


@every_model
def test_cameras_in_one_batch_do_not_touch_each_other(name: str, watched: tuple[NDArray[np.uint8], list[str]]) -> None:
    running = session(str(REPOSITORY / name / "1" / "model.onnx"))
    rng = np.random.default_rng(1)
    h, c = (rng.uniform(-0.5, 0.5, (3, served(name).state)).astype(np.float32) for _ in range(2))
    batch = running.run(list(OUTPUTS), {"image": watched[0][:3], "h": h, "c": c})
    for row in range(3):
        rows = {"image": watched[0][row : row + 1], "h": h[row : row + 1], "c": c[row : row + 1]}
        for together, alone in zip(batch, running.run(list(OUTPUTS), rows), strict=True):
            np.testing.assert_allclose(together[row : row + 1], alone, atol=1e-6)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with Stack(services=("triton",), model_repository=REPOSITORY, models=(*NAMES, "junction-yolo")) as stack:
        yield stack.addresses.triton_grpc


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[triton.InferenceServerClient]:
    running = triton.InferenceServerClient(address)
    yield running
    running.close()


def ask(client: triton.InferenceServerClient, name: str, feed: Feed) -> list[NDArray[np.float32]]:
    return list(asking.ask(client, name, feed, OUTPUTS).values())


@pytest.mark.integration
@pytest.mark.timeout(240)
@every_model
def test_triton_carries_states_on_as_it_runs_here(
    client: triton.InferenceServerClient, name: str, watched: tuple[NDArray[np.uint8], list[str]]
) -> None:
    """Two cameras, one half a clip later, in one request each time; against ONNX Runtime by itself."""
    running = session(str(REPOSITORY / name / "1" / "model.onnx"))
    size = served(name).state
    there = here = [np.zeros((2, size), np.float32)] * 2
    for at in range(8):
        pictures = watched[0][[at, at + PICTURES // 2]]
        answer = ask(client, name, {"image": pictures, "h": there[0], "c": there[1]})
        wanted = running.run(list(OUTPUTS), {"image": pictures, "h": here[0], "c": here[1]})
        for one, other in zip(answer, wanted, strict=True):
            # Triton's own environment may hold another release of ONNX Runtime
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
        there, here = answer[1:], wanted[1:]
    forgetful = ask(client, name, {"image": pictures, "h": there[0] * 0, "c": there[1] * 0})
    assert np.abs(forgetful[1] - there[0]).max() > 0.01, "what was before makes no difference"


@pytest.mark.integration
@pytest.mark.timeout(240)
def test_a_camera_goes_on_from_its_saved_state(
    client: triton.InferenceServerClient, watched: tuple[NDArray[np.uint8], list[str]]
) -> None:
    pictures, truth = watched
    model = served(NAMES[0])

    def watch(state: State, first: int, last: int) -> tuple[State, list[Change], list[str]]:
        changes, said = [], []
        for at in range(first, last):
            now = 10**18 + round(at * 1e9 / FPS)
            h, c = memory(state, now, model.state)
            probabilities, h, c = (
                rows[0] for rows in ask(client, NAMES[0], {"image": pictures[at : at + 1], "h": h[None], "c": c[None]})
            )
            state, change = step(state, Answer(now, probabilities, h, c), model.labels)
            changes += [change] if change else []
            said.append(model.labels[int(probabilities.argmax())])
        return state, changes, said

    whole, changes, said = watch(initial(), 0, PICTURES)
    half, first, _ = watch(initial(), 0, PICTURES // 2)
    resumed = msgspec.json.decode(msgspec.json.encode(half), type=State)
    after, then, _ = watch(resumed, PICTURES // 2, PICTURES)
    assert (after, first + then) == (whole, changes)
    # far below what the card says, and far above chance
    assert np.mean([a == b for a, b in zip(said, truth, strict=True)]) > 0.5
    assert {change.activity for change in changes} <= set(model.labels)
    assert len(changes) >= 1


@pytest.mark.integration
@pytest.mark.timeout(240)
async def test_the_worker_s_adapter_asks_the_same(
    client: triton.InferenceServerClient, address: str, watched: tuple[NDArray[np.uint8], list[str]]
) -> None:
    detector, model = TritonDetector(address, shared_memory=False), served(NAMES[1])
    try:
        contract = await detector.scene(NAMES[1])
        assert (contract.name, contract.version, contract.state) == (NAMES[1], "1", model.state)
        assert (contract.height, contract.width, contract.labels, contract.fps) == (96, 160, ACTIVITIES, FPS)
        h, c = np.zeros(model.state, np.float32), np.zeros(model.state, np.float32)
        for picture in watched[0][:2]:
            wanted = ask(client, NAMES[1], {"image": picture[None], "h": h[None], "c": c[None]})
            said = await detector.observe(contract, picture, h, c)
            for one, other in zip((said.probabilities, said.h, said.c), wanted, strict=True):
                np.testing.assert_array_equal(one, other[0])
            assert said.version == "1"
            h, c = said.h, said.c
        with pytest.raises(WindowFailedError, match="unexpected shape for input 'h'"):
            await detector.observe(contract, watched[0][0], h[:5], c)
        with pytest.raises(WindowFailedError, match="junction-yolo is no network that looks at scenes"):
            await detector.scene("junction-yolo")
    finally:
        await detector.stop()


@pytest.mark.integration
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"image": np.zeros((1, 90, 160, 3), np.uint8)}, r"unexpected shape for input 'image'"),
        ({"h": np.zeros((1, 512), np.float32)}, r"unexpected shape for input 'h'"),
        ({"c": None}, r"expected 3 inputs but got 2|missing"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name(
    client: triton.InferenceServerClient, wrong: dict[str, NDArray[Any] | None], complaint: str
) -> None:
    shapes = served(NAMES[0]).shapes
    feed = {key: np.zeros((1, *shapes[key]), np.uint8 if key == "image" else np.float32) for key in INPUTS}
    merged = {key: value for key, value in (feed | wrong).items() if value is not None}
    with pytest.raises(InferenceServerException, match=complaint):
        ask(client, NAMES[0], merged)
    assert ask(client, NAMES[0], feed)[0].shape == (1, len(ACTIVITIES))
