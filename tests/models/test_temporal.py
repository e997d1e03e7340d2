"""The bundled detector with a memory, on a junction that is new to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from simulator.actors import LABELS
from tests.models import asking, hard_clips
from tests.models.asking import Feed
from training.contract import ModelError
from training.hard_clips.clip_set import FPS, HEIGHT, SHOWN, WIDTH, clip
from training.hard_clips.gain import ALL
from training.hard_clips.hardship import harden
from training.model_card import read_card
from training.model_repository import load
from training.temporal.contract import INPUTS, OUTPUTS, Served, config_text, parse_config
from training.temporal.report import Report
from training.trial import session

HOME = Path(__file__).resolve().parents[2] / "triton_models" / "junction-temporal"
NAME = HOME.name
FRESH, PICTURES = 4242, 8


@pytest.fixture(scope="module")
def served() -> Served:
    return parse_config((HOME / "config.pbtxt").read_text())


@pytest.fixture(scope="module")
def watched() -> list[NDArray[np.uint8]]:
    """Two cameras' pictures in a row."""
    clips = [np.stack([picture for picture, _ in clip(FRESH, place, PICTURES)]) for place in (0, 2)]
    return [harden(pictures, place, SHOWN[1]).pixels for place, pictures in enumerate(clips)]


def test_config_graph_and_card_agree(served: Served) -> None:
    assert served.name == NAME
    assert (served.height, served.width, served.fps, served.labels) == (HEIGHT, WIDTH, FPS, LABELS)
    assert (HOME / "config.pbtxt").read_text() == config_text(served)
    hard_clips.agree(HOME, INPUTS + OUTPUTS, served.shapes, 2_000_000)


def test_it_is_no_detector_without_memory() -> None:
    with pytest.raises(ModelError, match="not a served detector"):
        load(HOME)


def test_the_cards_figures_fit_together() -> None:
    facts = read_card(HOME / "card.json").facts
    result = msgspec.json.decode(facts["result"], type=Report)
    hard_clips.fit(facts, result.parts, result.by_class)
    hard = result.parts["occluded, blurred or faded"]
    assert hard.pictures + result.parts["clear"].pictures == result.parts[ALL].pictures


def test_cameras_in_one_batch_do_not_touch_each_other(served: Served, watched: list[NDArray[np.uint8]]) -> None:
    running = session(str(HOME / "1" / "model.onnx"))
    memory = np.random.default_rng(1).uniform(-1, 1, (3, *served.memory)).astype(np.float32)
    pictures = np.stack([watched[0][0], watched[1][0], watched[0][4]])
    batch = running.run(list(OUTPUTS), {"image": pictures, "memory": memory})
    for row in range(3):
        rows = {"image": pictures[row : row + 1], "memory": memory[row : row + 1]}
        for together, alone in zip(batch, running.run(list(OUTPUTS), rows), strict=True):
            np.testing.assert_allclose(together[row : row + 1], alone, atol=1e-3)


@pytest.fixture(scope="module")
def client() -> Iterator[triton.InferenceServerClient]:
    with asking.serving(HOME.parent, (NAME,)) as running:
        yield running


def ask(client: triton.InferenceServerClient, feed: Feed) -> list[NDArray[np.float32]]:
    return list(asking.ask(client, NAME, feed, OUTPUTS).values())


@pytest.mark.integration
@pytest.mark.timeout(240)
def test_triton_carries_memories_on_as_it_runs_here(
    client: triton.InferenceServerClient, served: Served, watched: list[NDArray[np.uint8]]
) -> None:
    """Two cameras in one request each time, one of them again by itself; against ONNX Runtime by itself."""
    running = session(str(HOME / "1" / "model.onnx"))
    there = here = np.zeros((2, *served.memory), np.float32)
    alone = there[1:]
    for index in range(PICTURES):
        pictures = np.stack([camera[index] for camera in watched])
        rows, there = ask(client, {"image": pictures, "memory": there})
        wanted, here = running.run(list(OUTPUTS), {"image": pictures, "memory": here})
        single, alone = ask(client, {"image": pictures[1:], "memory": alone})
        # Triton's own environment may hold another release of ONNX Runtime
        np.testing.assert_allclose(there, here, rtol=1e-3, atol=2e-3)
        np.testing.assert_allclose(there[1:], alone, rtol=1e-3, atol=2e-3)
        for one, other in ((rows, wanted), (rows[1:], single)):
            sure = other[..., 4] > 0.1
            np.testing.assert_allclose(one[sure], other[sure], rtol=1e-2, atol=0.2)
    assert rows[..., 4].max() > 0.1, "nothing was found"
    _, forgetful = ask(client, {"image": pictures, "memory": there * 0})
    assert np.abs(forgetful[:, 0] - there[:, 0]).max() > 0.01, "what was before makes no difference"
    np.testing.assert_array_equal(ask(client, {"image": pictures, "memory": there})[1][:, 1], there[:, 0])


@pytest.mark.integration
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"image": np.zeros((1, 126, 224, 3), np.uint8)}, r"unexpected shape for input 'image'"),
        ({"memory": np.zeros((1, 2, 64, 14, 8), np.float32)}, r"unexpected shape for input 'memory'"),
        ({"memory": None}, r"expected 2 inputs but got 1|missing"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name(
    client: triton.InferenceServerClient, served: Served, wrong: dict[str, NDArray[Any] | None], complaint: str
) -> None:
    feed = {key: np.zeros((1, *served.shapes[key]), np.uint8 if key == "image" else np.float32) for key in INPUTS}
    merged = {key: value for key, value in (feed | wrong).items() if value is not None}
    with pytest.raises(InferenceServerException, match=complaint):
        ask(client, merged)
    assert ask(client, feed)[0].shape == (1, served.rows, 6)
