# ruff: noqa: E402 - what needs PyTorch can only be imported after asking for it
"""The parts of training that can be checked without training for long. Needs the extra `train`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra `train` (PyTorch) isn't installed")

from training.assignment import assign, overlap
from training.augmentation import augment
from training.contract import Suppression
from training.detection_lesson import DetectionLesson
from training.export import to_onnx
from training.families.sides import FAMILY
from training.loss import complete_iou
from training.network import JunctionYolo, corners, grid
from training.raw_network import prepare
from training.samples import Sample, SampleSet, read_samples, write_samples
from training.served_graph import wrap
from training.trainer import LossError, Recipe, Trainer, to_tensor
from training.trial import session, try_out

RECIPE = Recipe(steps=4, batch=2, warmup_steps=2, plain_share=0.25)


def sample(seed: int) -> Sample:
    """A red or blue block on grey noise, 64x96."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(80, 140, (64, 96, 3)).astype(np.uint8)
    x, y, label = int(rng.integers(60)), int(rng.integers(40)), int(rng.integers(2))
    pixels[y : y + 20, x : x + 30] = (220, 30, 30) if label else (30, 30, 220)
    return Sample(pixels, np.array([[x, y, x + 30, y + 20]], np.float32), np.array([label]), "block")


@pytest.fixture
def samples(tmp_path: Path) -> SampleSet:
    write_samples(tmp_path / "samples", (sample(i) for i in range(6)), 6)
    return read_samples(tmp_path / "samples")


def trainer_of(samples: SampleSet, recipe: Recipe = RECIPE) -> Trainer:
    return Trainer(recipe, lambda: JunctionYolo(2), DetectionLesson(samples, (32, 64)))


def weights(trainer: Trainer) -> bytes:
    return b"".join(v.numpy().tobytes() for v in trainer.average.state_dict().values())


def nothing(step: int, losses: Mapping[str, float]) -> None:
    assert set(losses) == {"classes", "boxes"}


@pytest.mark.timeout(60)
def test_the_same_seed_gives_the_same_weights_also_after_a_stop(tmp_path: Path, samples: SampleSet) -> None:
    straight = trainer_of(samples)
    straight.run(tmp_path / "a.pt", 10, nothing)
    stopped = trainer_of(samples)
    stopped.advance()
    stopped.advance()
    stopped.save(tmp_path / "b.pt")
    resumed = trainer_of(samples)
    resumed.load(tmp_path / "b.pt")
    resumed.run(tmp_path / "b.pt", 10, nothing)
    assert weights(straight) == weights(resumed)
    assert weights(straight) != weights(trainer_of(samples))


def test_a_lesson_of_another_variation_is_another_lesson(samples: SampleSet) -> None:
    told = [DetectionLesson(samples, (32, 64), variation).sha256 for variation in (1.0, 0.5, 1.5)]
    assert len(set(told)) == 3
    assert told[0] == DetectionLesson(samples, (32, 64)).sha256


@pytest.mark.timeout(60)
def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path, samples: SampleSet) -> None:
    trainer_of(samples).save(tmp_path / "a.pt")
    other = trainer_of(samples, Recipe(seed=2))
    with pytest.raises(ValueError, match="another recipe"):
        other.load(tmp_path / "a.pt")


@pytest.mark.timeout(60)
def test_a_checkpoint_of_other_samples_is_refused(tmp_path: Path, samples: SampleSet) -> None:
    trainer_of(samples).save(tmp_path / "a.pt")
    write_samples(tmp_path / "others", (sample(i + 50) for i in range(6)), 6)
    with pytest.raises(ValueError, match="other samples"):
        trainer_of(read_samples(tmp_path / "others")).load(tmp_path / "a.pt")


@pytest.mark.timeout(60)
def test_a_loss_that_is_no_number_ends_training_and_keeps_the_checkpoint(tmp_path: Path, samples: SampleSet) -> None:
    trainer = trainer_of(samples)
    trainer.advance()
    trainer.save(tmp_path / "a.pt")
    before = (tmp_path / "a.pt").read_bytes()
    with torch.no_grad():
        next(trainer.network.parameters()).fill_(float("nan"))
    with pytest.raises(LossError, match="step 1: the loss is no number"):
        trainer.run(tmp_path / "a.pt", 1, nothing)
    assert (tmp_path / "a.pt").read_bytes() == before


def test_export_computes_what_the_network_computes() -> None:
    torch.manual_seed(1)
    network = JunctionYolo(3)
    network.train()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype(np.uint8)
    network(to_tensor(pixels))  # moves the norms' statistics away from 0 and 1
    model = to_onnx(network, 64, 96)
    with torch.no_grad():
        expected = network(to_tensor(pixels[:1])).transpose(1, 2).numpy()
    images = pixels[:1].transpose(0, 3, 1, 2).astype(np.float32) / 255
    np.testing.assert_allclose(
        session(model.SerializeToString()).run(None, {"images": images})[0], expected, atol=1e-4, rtol=1e-4
    )
    served = wrap(prepare(model), FAMILY, "tested", ("a", "b", "c"), Suppression(candidates=50))
    assert "bit for bit" in try_out(served)


def test_the_network_is_plain_convolutions_with_relu() -> None:
    network = JunctionYolo(5)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert all(c.groups == 1 for c in convolutions)
    operators = {n.op_type for n in to_onnx(network, 64, 64).graph.node}
    assert operators == {"Conv", "Relu", "Add", "Concat", "Resize", "Reshape", "Identity"}
    assert sum(p.numel() for p in network.parameters()) < 900_000


def test_cells_and_corners() -> None:
    centres, strides = grid(64, 96)
    assert centres[:2].tolist() == [[4, 4], [12, 4]]
    assert len(centres) == 96 + 24 + 6
    sides = torch.zeros(1, len(centres), 4)
    sides[0, 96] = torch.tensor([0.5, 0.25, 1, 2])  # stride 16, centre (8, 8)
    assert corners(sides, centres, strides)[0, 96].tolist() == [0, 4, 24, 40]


def test_overlaps() -> None:
    a = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    b = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])
    torch.testing.assert_close(overlap(a, b), torch.tensor([1.0, 1 / 3, 0.0]))
    complete = complete_iou(a, b)
    assert float(complete[0]) == pytest.approx(1)
    # 1/3 minus the centres' distance squared, 25, over the hull's diagonal squared, 325
    assert float(complete[1]) == pytest.approx(1 / 3 - 25 / 325, abs=1e-5)
    assert float(complete[2]) == pytest.approx(-800 / 1800, abs=1e-5)


def test_an_object_is_learnt_by_its_best_cells_only() -> None:
    centres, strides = grid(64, 64)
    objects = torch.tensor([[[8.0, 8, 40, 40], [0, 0, 0, 0]]])
    boxes = torch.zeros(1, len(centres), 4)
    inside = ((centres > 8) & (centres < 40)).all(1)
    boxes[0, inside] = torch.tensor([8.0, 8, 40, 36])
    result = assign(
        torch.full((1, len(centres), 2), 0.3),
        boxes,
        centres,
        strides,
        objects,
        torch.tensor([[1, 0]]),
        torch.tensor([[True, False]]),
    )
    assert int(result.positive.sum()) == 10
    assert not (result.positive[0] & ~inside).any()
    assert not result.scores[..., 0].any()
    assert float(result.scores.max()) == pytest.approx(28 / 32, abs=1e-4)
    assert (result.boxes[result.positive] == objects[0, 0]).all()


def test_a_picture_without_objects() -> None:
    centres, strides = grid(64, 64)
    empty = torch.zeros(1, 1, 4)
    rows = torch.zeros(1, len(centres), 2)
    result = assign(
        rows, torch.zeros(1, len(centres), 4), centres, strides, empty, empty[..., 0].long(), empty[..., 0].bool()
    )
    assert not result.positive.any()
    assert not result.scores.any()


def test_augmentation_moves_boxes_with_their_objects() -> None:
    """The block's colour stands out: its extent in the changed picture is where the changed box says."""
    checked = 0
    for seed in range(40):
        changed = augment(sample(seed), np.random.default_rng(seed), (64, 96))
        again = augment(sample(seed), np.random.default_rng(seed), (64, 96))
        np.testing.assert_array_equal(changed.pixels, again.pixels)
        difference = np.abs(changed.pixels[..., 0].astype(int) - changed.pixels[..., 2])
        if not len(changed.boxes) or difference.max() < 100:
            continue  # moved out of sight, or without colour
        y, x = np.nonzero(difference > 80)
        extent = [np.percentile(x, 2), np.percentile(y, 2), np.percentile(x, 98) + 1, np.percentile(y, 98) + 1]
        np.testing.assert_allclose(changed.boxes[0], extent, atol=4)
        checked += 1
    assert checked >= 15


def test_more_variation_moves_sizes_and_colours_further() -> None:
    spreads, levels = [], []
    for variation in (0.0, 1.0, 2.0):
        seen = [augment(sample(seed), np.random.default_rng(seed), (64, 96), variation) for seed in range(60)]
        boxes = [each.boxes[0] for each in seen if len(each.boxes)]
        whole = [b for b in boxes if (b[:2] > 0).all() and b[2] < 96 and b[3] < 64]
        assert len(whole) > 5
        spreads.append(np.ptp([b[2] - b[0] for b in whole]))
        levels.append(np.std([np.median(each.pixels) for each in seen]))
    assert spreads[0] == pytest.approx(0, abs=1e-4), "cut and mirrored only"
    assert spreads[0] < spreads[1] < spreads[2]
    assert levels[0] < levels[1] < levels[2]


def test_an_unfinished_set_of_samples_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 samples were announced, 2 came"):
        write_samples(tmp_path, (sample(i) for i in range(2)), 3)
    with pytest.raises(FileNotFoundError):
        read_samples(tmp_path)
