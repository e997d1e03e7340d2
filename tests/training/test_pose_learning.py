# mypy: disable-error-code="no-any-return, name-defined, misc"
# ruff: noqa: E402 - what needs PyTorch can only be imported after asking for it
"""Training the shop's pose network, without training for long. Needs the extra `train`."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` (PyTorch) isn't installed")

from tests.training.stopping import check_that_stopping_changes_nothing
from training.pose.contract import INPUT
from training.pose.crop_set import CropRendering, CropSet, crop_set
from training.pose.judging import by_keypoint, figures
from training.pose.lesson import TWINS, PoseLesson, varied
from training.pose.network import ShopPose
from training.pose.onnx_graph import to_onnx
from training.pose.publishing import MODEL, judge, mean_pose
from training.trainer import Recipe, Trainer, to_tensor
from training.trial import session
from vision.pose import KEYPOINTS
from vision.pose_crop import HEIGHT, WIDTH

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> CropSet:
    return crop_set(CropRendering(5, 24), tmp_path_factory.mktemp("crops"))


@pytest.fixture(scope="module")
def network() -> ShopPose:
    torch.manual_seed(3)
    made = ShopPose()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # norms that do something
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    return made.eval()


def test_crops_show_people_and_come_from_the_seed(crops: CropSet, tmp_path: Path) -> None:
    assert crops.pixels.shape == (24, HEIGHT, WIDTH, 3)
    seen = crops.keypoints[..., 2] == 2
    assert 0.3 < seen.mean() < 0.95
    assert (crops.keypoints[..., :2][seen] > 0).all()
    assert (crops.keypoints[..., :2][seen] < (WIDTH, HEIGHT)).all()
    first, second = (crop_set(CropRendering(6, 3), tmp_path / place) for place in ("first", "second"))
    assert first.sha256 == second.sha256


def test_stopping_and_going_on_changes_nothing(crops: CropSet, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    recipe = Recipe(steps=4, batch=4, warmup_steps=2, plain_share=0.25)
    check_that_stopping_changes_nothing(lambda: Trainer(recipe, ShopPose, PoseLesson(crops)), tmp_path)


def test_the_loss_falls_towards_the_truth(crops: CropSet) -> None:
    class Told(torch.nn.Module):
        """Answers the truth, moved by some pixels."""

        def __init__(self, off: float) -> None:
            super().__init__()
            self.off = off

        def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
            rows = torch.from_numpy(crops.keypoints[: len(pictures)])
            maps = torch.zeros(len(pictures), 18, HEIGHT // 4, WIDTH // 4)
            return rows[..., :2] + self.off, 20 * (rows[..., 2] == 2).float() - 10, maps

    from training.trainer import Choice

    batch = [Choice(k, np.random.default_rng(k)) for k in range(8)]
    exact, off = (PoseLesson(crops).losses(Told(by), batch, plain=True) for by in (0.0, 3.0))
    assert float(exact["place"]) == 0
    assert float(exact["seen"]) < 0.001
    assert float(off["place"]) > 0.2


def test_mirrored_people_have_left_on_the_right(crops: CropSet) -> None:
    assert [KEYPOINTS[k] for k in (TWINS[2], TWINS[14], TWINS[0])] == ["left_shoulder", "left_eye", "nose"]
    mirrored = next(dice for dice in range(99) if np.random.default_rng(dice).random() < 0.5)
    plain = next(dice for dice in range(99) if np.random.default_rng(dice).random() >= 0.5)
    rows = crops.keypoints[0]
    for dice, order in ((mirrored, list(TWINS)), (plain, list(range(18)))):
        _, moved = varied(crops.pixels[0], rows, np.random.default_rng(dice))
        np.testing.assert_array_equal(moved[:, 2], rows[order, 2])


def test_a_variation_moves_the_truth_with_the_picture() -> None:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[30:33, 40:43] = 255
    rows = np.full((18, 3), 2, np.float32)
    rows[:, :2] = (41.5, 31.5)
    for seed in range(12):
        moved, truth = varied(picture, rows, np.random.default_rng(seed))
        grey = moved.max(axis=2)
        y, x = np.nonzero(grey > 0.75 * grey.max())
        np.testing.assert_allclose((x.mean() + 0.5, y.mean() + 0.5), truth[0, :2], atol=0.6)


def test_the_exported_graph_answers_as_the_network(network: ShopPose, crops: CropSet) -> None:
    pixels = crops.pixels[:4]
    with torch.no_grad():
        places, seen, _ = network(to_tensor(pixels))
    running = session(to_onnx(network, MODEL).SerializeToString())
    people, scores = (np.asarray(answer) for answer in running.run(["people", "scores"], {INPUT: pixels}))
    np.testing.assert_allclose(people[:, 0, :, :2], places.numpy(), atol=2e-3)
    np.testing.assert_allclose(people[:, 0, :, 2], torch.sigmoid(seen).numpy(), atol=1e-4)
    np.testing.assert_allclose(scores[:, 0], people[:, 0, :, 2].mean(axis=1), atol=1e-5)


def test_figures_of_the_truth_are_perfect_and_those_of_the_mean_pose_are_not(network: ShopPose, crops: CropSet) -> None:
    exact = crops.keypoints[..., :2].astype(np.float64)
    best = figures(exact, crops)
    assert (best.oks, best.near, best.pixels) == (1.0, 1.0, 0.0)
    assert set(by_keypoint(exact, crops).values()) == {1.0}
    mean = figures(np.tile(mean_pose(crops), (len(crops), 1, 1)), crops)
    assert 0 <= mean.oks < 0.9
    assert mean.pixels > 1
    report = judge(to_onnx(network, MODEL).SerializeToString(), crops, crops)
    assert report.baseline == mean
    assert report.people == 24
