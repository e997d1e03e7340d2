# ruff: noqa: E402 - what needs PyTorch can only be imported after asking for it
"""Training the cascade, without training for long. Needs the extra `train`."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` (PyTorch) isn't installed")

from tests.training.stopping import check_that_stopping_changes_nothing
from training.inspection.contract import INPUT, Served
from training.inspection.lesson import InspectionLesson
from training.inspection.loss import locator_loss, screen_loss
from training.inspection.network import CELL, Locator, Screen
from training.inspection.onnx_graph import to_onnx
from training.inspection.part_set import PartSet, Rendering, part_set
from training.trainer import Recipe, Trainer, to_tensor
from training.trial import session

pytestmark = pytest.mark.timeout(180)
RECIPE = Recipe(steps=4, batch=4, warmup_steps=2)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> PartSet:
    return part_set(Rendering(5, 8), tmp_path_factory.mktemp("parts"))


@pytest.mark.parametrize(("network", "loss"), [(Screen, screen_loss), (Locator, locator_loss)])
def test_stopping_and_going_on_changes_nothing(parts: PartSet, tmp_path: Path, network: type, loss: object) -> None:
    torch.set_num_threads(1)
    lesson = InspectionLesson(parts, loss)  # type: ignore[arg-type]
    check_that_stopping_changes_nothing(lambda: Trainer(RECIPE, network, lesson), tmp_path)


def test_a_checkpoint_of_another_recipe_or_other_parts_is_refused(parts: PartSet, tmp_path: Path) -> None:
    Trainer(RECIPE, Screen, InspectionLesson(parts, screen_loss)).save(tmp_path / "screen.pt")
    with pytest.raises(ValueError, match="another recipe"):
        Trainer(Recipe(steps=4, batch=5), Screen, InspectionLesson(parts, screen_loss)).load(tmp_path / "screen.pt")
    other = part_set(Rendering(6, 4), tmp_path / "parts")
    with pytest.raises(ValueError, match="other samples"):
        Trainer(RECIPE, Screen, InspectionLesson(other, screen_loss)).load(tmp_path / "screen.pt")


def test_another_end_is_said_in_the_checkpoint(parts: PartSet, tmp_path: Path) -> None:
    first = Trainer(RECIPE, Screen, InspectionLesson(parts, screen_loss))
    first.advance()
    first.save(tmp_path / "screen.pt")
    second = Trainer(Recipe(steps=2, batch=4, warmup_steps=2), Screen, InspectionLesson(parts, screen_loss))
    second.load(tmp_path / "screen.pt")
    second.run(tmp_path / "screen.pt", 2, lambda *_: None)
    state = torch.load(tmp_path / "screen.pt", weights_only=True)
    assert [tuple(end) for end in state["ends"]] == [(0, 4), (1, 2)]
    assert state["step"] == 2


def test_parts_come_from_the_seed(tmp_path: Path) -> None:
    first, second = (part_set(Rendering(5, 4), tmp_path / place) for place in ("first", "second"))
    assert first.sha256 == second.sha256
    np.testing.assert_array_equal(first.masks.any(axis=(1, 2)), first.defective)


@pytest.mark.parametrize("role", ["screen", "locator"])
def test_the_exported_graph_answers_as_the_network(parts: PartSet, role: str) -> None:
    torch.manual_seed(3)
    network = Screen() if role == "screen" else Locator()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # norms that do something
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    network.eval()
    pixels = np.array(parts.pixels[:3])
    with torch.no_grad():
        sure = torch.sigmoid(network(to_tensor(pixels)) / 2).numpy()
    served = Served("tested", role, 0.1)  # type: ignore[arg-type]
    running = session(to_onnx(network, served).SerializeToString())
    (answer,) = running.run([served.output], {INPUT: pixels})
    if role == "screen":
        np.testing.assert_allclose(np.asarray(answer)[:, 0], sure.max(axis=(1, 2)), atol=1e-5)
    else:
        assert np.asarray(answer).dtype == np.uint8
        np.testing.assert_allclose(np.asarray(answer), np.round(sure * 255), atol=1)


def test_a_cell_that_shows_a_defect_must_speak_and_the_others_be_silent() -> None:
    masks = torch.zeros(2, 32, 32)
    masks[0, 9:13, 17:21] = 1
    right, blind, wild = (torch.full((2, 8, 8), value) for value in (-8.0, -8.0, 8.0))
    right[0, 2:4, 4:6] = 8.0
    assert CELL == 4
    assert screen_loss(right, masks) < 0.01
    assert screen_loss(blind, masks) > 3
    assert screen_loss(wild, masks) > 3


def test_the_locator_s_loss_falls_with_the_overlap() -> None:
    masks = torch.zeros(2, 16, 16)
    masks[0, 4:8, 4:8] = 1
    exact, beside = torch.full((2, 16, 16), -8.0), torch.full((2, 16, 16), -8.0)
    exact[0, 4:8, 4:8] = 8.0
    beside[0, 4:8, 10:14] = 8.0
    assert locator_loss(exact, masks) < 0.1 < 1 < locator_loss(beside, masks)
    assert locator_loss(torch.full((1, 16, 16), -8.0), torch.zeros(1, 16, 16)) < 0.1
