"""The bundled two streams, on a junction that is new to them."""

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
from training.hard_clips.hardship import harden
from training.model_card import read_card
from training.model_repository import load
from training.trial import session
from training.two_streams.contract import INPUTS, OUTPUTS, Served, config_text, parse_config
from training.two_streams.report import HIDDEN, OCCLUDED, Report
from vision.optical_flow import GRID, STEPS, Seen, seen

HOME = Path(__file__).resolve().parents[2] / "triton_models" / "junction-two-streams"
NAME = HOME.name
FRESH, PICTURES = 4242, 8


@pytest.fixture(scope="module")
def served() -> Served:
    return parse_config((HOME / "config.pbtxt").read_text())


@pytest.fixture(scope="module")
def watched() -> list[Feed]:
    """Two cameras' pictures in a row, each with what a session knows then of how things have moved."""
    clips = [np.stack([picture for picture, _ in clip(FRESH, place, PICTURES)]) for place in (0, 2)]
    hard = np.stack([harden(pictures, place, SHOWN[1]).pixels for place, pictures in enumerate(clips)])
    kept: list[Seen | None] = [None, None]
    feeds: list[Feed] = []
    for index in range(PICTURES):
        kept = [seen(before, picture) for before, picture in zip(kept, hard[:, index], strict=True)]
        flow = np.stack([each.flows for each in kept if each is not None])
        feeds.append({"image": hard[:, index], "flow": flow})
    return feeds


def test_config_graph_and_card_agree(served: Served) -> None:
    assert served.name == NAME
    assert (served.height, served.width, served.fps, served.labels) == (HEIGHT, WIDTH, FPS, LABELS)
    assert served.flow == (HEIGHT // GRID, WIDTH // GRID, 2 * STEPS)
    assert (HOME / "config.pbtxt").read_text() == config_text(served)
    hard_clips.agree(HOME, INPUTS + OUTPUTS, served.shapes, 2_500_000)


def test_it_is_no_detector_that_sees_a_picture_alone() -> None:
    with pytest.raises(ModelError, match="not a served detector"):
        load(HOME)


def test_the_cards_figures_fit_together() -> None:
    facts = read_card(HOME / "card.json").facts
    result = msgspec.json.decode(facts["result"], type=Report)
    hard_clips.fit(facts, result.parts, result.by_class)
    recipes = msgspec.json.decode(facts["recipes"])
    assert recipes["two-streams"] == recipes["baseline"], "learnt alike"
    assert result.parts[HIDDEN].pictures == result.parts[OCCLUDED].pictures
    assert result.parts[HIDDEN].objects < result.parts[OCCLUDED].objects


def test_cameras_in_one_batch_do_not_touch_each_other(watched: list[Feed]) -> None:
    running = session(str(HOME / "1" / "model.onnx"))
    batch = running.run(list(OUTPUTS), watched[-1])[0]
    for row in range(2):
        alone = running.run(list(OUTPUTS), {key: value[row : row + 1] for key, value in watched[-1].items()})[0]
        np.testing.assert_allclose(batch[row : row + 1], alone, atol=1e-3)


@pytest.fixture(scope="module")
def client() -> Iterator[triton.InferenceServerClient]:
    with asking.serving(HOME.parent, (NAME,)) as running:
        yield running


def ask(client: triton.InferenceServerClient, feed: Feed) -> NDArray[np.float32]:
    return asking.ask(client, NAME, feed, OUTPUTS)["detections"]


@pytest.mark.integration
@pytest.mark.timeout(240)
def test_triton_answers_as_it_runs_here(client: triton.InferenceServerClient, watched: list[Feed]) -> None:
    """Two cameras in one request each time, one of them again by itself; against ONNX Runtime by itself."""
    running = session(str(HOME / "1" / "model.onnx"))
    for feed in watched:
        rows, wanted = ask(client, feed), running.run(list(OUTPUTS), feed)[0]
        single = ask(client, {key: value[1:] for key, value in feed.items()})
        # Triton's own environment may hold another release of ONNX Runtime
        for one, other in ((rows, wanted), (rows[1:], single)):
            sure = other[..., 4] > 0.1
            np.testing.assert_allclose(one[sure], other[sure], rtol=1e-2, atol=0.2)
    assert rows[..., 4].max() > 0.1, "nothing was found"
    still = ask(client, {**feed, "flow": feed["flow"] * np.int8(0)})
    assert np.abs(still - rows).max() > 0.01, "how things have moved makes no difference"


@pytest.mark.integration
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"image": np.zeros((1, 126, 224, 3), np.uint8)}, r"unexpected shape for input 'image'"),
        ({"flow": np.zeros((1, 64, 112, 2), np.int8)}, r"unexpected shape for input 'flow'"),
        ({"flow": np.zeros((1, 64, 112, 16), np.float32)}, r"data-type is 'FP32'"),
        ({"flow": None}, r"expected 2 inputs but got 1|missing"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name(
    client: triton.InferenceServerClient, served: Served, wrong: dict[str, NDArray[Any] | None], complaint: str
) -> None:
    feed = {key: np.zeros((1, *served.shapes[key]), np.uint8 if key == "image" else np.int8) for key in INPUTS}
    merged = {key: value for key, value in (feed | wrong).items() if value is not None}
    with pytest.raises(InferenceServerException, match=complaint):
        ask(client, merged)
    assert ask(client, feed).shape == (1, served.rows, 6)
