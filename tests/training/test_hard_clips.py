"""Hard clips, their truth, and how finds in them are judged. On cases made by hand."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from training.average_precision import Objects
from training.hard_clips.clip_set import HEIGHT, LEAST_HEIGHT, SHOWN, WIDTH, ClipSet, Rendering, clip_set
from training.hard_clips.gain import ALL
from training.hard_clips.hardship import Hard, harden
from training.hard_clips.judging import Floats, Step, compared, judged, of_hidden, tabled, watch
from training.hard_clips.plain import plain50

FRAMES = 24
DETECTOR = Path(__file__).resolve().parents[2] / "triton_models" / "junction-yolo" / "1" / "model.onnx"


def test_clips_are_letterboxed_and_come_from_the_seed(tmp_path: Path) -> None:
    first = clip_set(Rendering(6, 1, 3), tmp_path / "first")
    assert clip_set(Rendering(6, 1, 3), tmp_path / "second").sha256 == first.sha256
    assert first.pixels.shape == (1, 3, HEIGHT, WIDTH, 3)
    assert (first.pixels[:, :, SHOWN[1] :] == 114).all()
    objects, mirrored = (first.objects(0, 2, flag) for flag in (False, True))
    assert len(objects.boxes) > 0
    np.testing.assert_allclose(mirrored.boxes[:, [2, 0]], WIDTH - objects.boxes[:, [0, 2]])
    tall = objects.boxes[:, 3] - objects.boxes[:, 1] >= LEAST_HEIGHT
    assert objects.crowd[~tall].all()


@pytest.fixture(scope="module")
def grey() -> NDArray[np.uint8]:
    pixels = np.full((FRAMES, HEIGHT, WIDTH, 3), 120, np.uint8)
    pixels[:, :, ::8] = 30
    pixels[:, SHOWN[1] :] = 114
    return pixels


def test_hardships_come_from_the_seed_and_leave_the_border(grey: NDArray[np.uint8]) -> None:
    one, same, other = (harden(grey, seed, SHOWN[1]) for seed in (3, 3, 4))
    assert np.array_equal(one.pixels, same.pixels)
    assert not np.array_equal(one.pixels, other.pixels)
    assert (one.pixels[:, SHOWN[1] :] == 114).all()
    assert not one.covered[:, SHOWN[1] :].any()


def test_every_hardship_comes_and_goes(grey: NDArray[np.uint8]) -> None:
    clips = [harden(grey, seed, SHOWN[1]) for seed in range(12)]
    for name in ("blurred", "faded"):
        share = np.mean([getattr(clip, name) for clip in clips])
        assert 0.02 < share < 0.5, name
        assert not any(getattr(clip, name)[0] for clip in clips), "a camera begins with something to be seen"
    covered = np.stack([clip.covered[:, : SHOWN[1]] for clip in clips])
    assert 0.05 < covered.mean() < 0.5
    assert (covered.any(axis=1) & ~covered.all(axis=1)).mean() > 0.2, "what passes uncovers again"
    for clip in clips:
        contrast = clip.pixels[:, : SHOWN[1]].std(axis=(1, 2, 3))
        if clip.faded.any() and not clip.faded.all():
            assert contrast[clip.faded].mean() < contrast[~clip.faded].mean()


def test_half_a_box_behind_something_is_hidden(grey: NDArray[np.uint8]) -> None:
    clip = harden(grey, 1, SHOWN[1])
    clip.covered[5] = False
    clip.covered[5, :, :100] = True
    boxes = np.array([[80.0, 10, 118, 40], [80, 10, 122, 40], [0, 0, 20, 20]])
    objects = Objects(boxes, np.zeros(3, np.int64), np.zeros(3, bool))
    assert clip.hidden(5, objects).tolist() == [True, False, True]


def told(clips: ClipSet, certain: float, seen: float) -> Step:
    """Says the truth of a share of the pictures, drawn by chance, with a false find beside."""
    place, dice = iter(range(10_000)), np.random.default_rng(int(100 * seen))

    def step(pictures: NDArray[np.uint8], memory: Floats) -> tuple[Floats, Floats]:
        index, rows = next(place), np.zeros((len(pictures), 50, 6), np.float32)
        for scene in range(len(pictures)):
            objects = clips.objects(scene, index)
            finds = [(*box, certain, label) for box, label in zip(objects.boxes, objects.labels, strict=True)]
            kept = [find for find in finds if dice.random() < seen]
            rows[scene, 0] = (0, 0, 9, 9, certain / 2, 0)
            rows[scene, 1 : 1 + len(kept)] = np.array(kept).reshape(-1, 6)[:49]
        return rows, memory

    return step


def test_the_better_one_gains_and_the_same_one_does_not() -> None:
    rng = np.random.default_rng(2)
    count, pictures = 4, 6
    corners = rng.uniform(10, 60, (count * pictures * 2, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(12, 40, corners.shape)], axis=1)
    labels = np.tile([0, 4], count * pictures)
    ignored, rows = np.zeros(len(boxes), bool), np.arange(0, len(boxes) + 1, 2)
    pixels = np.full((count, pictures, HEIGHT, WIDTH, 3), 90, np.uint8)
    clips = ClipSet(pixels, boxes, labels, ignored, rows, "", "")
    hard = judged(clips, [harden(pixels[scene], scene, SHOWN[1]) for scene in range(count)])
    assert (hard.parts["clear"] ^ hard.parts["occluded, blurred or faded"]).all()
    all_seen, some_seen = (watch(told(clips, 0.9, seen), hard, (1,)) for seen in (1.0, 0.6))
    better, same = compared(all_seen, some_seen, hard.parts[ALL]), compared(all_seen, all_seen, hard.parts[ALL])
    assert better is not None
    assert same is not None
    assert (better.pictures, better.objects) == (24, 48)
    assert better.map50[0] == 1.0
    assert 0.45 < better.map50[1] < 0.75
    assert better.gain50.share == pytest.approx(better.map50[0] / better.map50[1] - 1, abs=1e-3)
    assert 0 < better.gain50.low < better.gain50.share < better.gain50.high
    assert (same.gain50.share, same.gain50.low, same.gain50.high) == (0, 0, 0)
    assert compared(all_seen, some_seen, np.zeros((count, pictures), bool)) is None


def test_of_what_is_hidden_nothing_else_is_wanted(grey: NDArray[np.uint8]) -> None:
    """Finds of other objects are neither right nor wrong then."""
    boxes = np.array([[10.0, 10, 40, 40], [120, 10, 150, 40]])
    rows = np.arange(0, 2 * FRAMES + 1, 2)
    tiled, ignored = np.tile(boxes, (FRAMES, 1)), np.zeros(2 * FRAMES, bool)
    clips = ClipSet(grey[None], tiled, np.zeros(2 * FRAMES, np.int64), ignored, rows, "", "")
    clip = harden(grey, 1, SHOWN[1])
    clip.covered[:] = False
    clip.covered[5:9, :, :60] = True
    hard = judged(clips, [clip])
    assert np.flatnonzero(hard.parts["occluded"][0]).tolist() == [5, 6, 7, 8]
    alone = of_hidden(hard)
    for finds, wanted, precision in ((boxes[:1], 4, 1.0), (boxes, 4, 1.0), (boxes[1:], 4, 0.0)):
        answer = np.zeros((1, 50, 6), np.float32)
        answer[0, : len(finds)] = [(*box, 0.9 - place / 2, 0) for place, box in enumerate(finds[::-1])]
        table = tabled([answer] * FRAMES, alone)
        figures = compared(table, table, hard.parts["occluded"])
        assert figures is not None
        assert (figures.pictures, figures.objects, figures.map50[0]) == (4, wanted, precision)
    everything = compared(table, table, alone.parts[ALL])
    assert everything is not None
    assert everything.objects == 4


def test_the_bundled_detector_is_shown_the_same_pictures_at_its_size(tmp_path: Path) -> None:
    """Clear ones, in which it finds a good part of what is to be found; boxes come back in the clips' pixels."""
    clips = clip_set(Rendering(8, 2, 6), tmp_path)
    nothing = np.zeros(clips.pixels.shape[1:4], bool)
    clear = [Hard(pixels, nothing, nothing[:, 0, 0], nothing[:, 0, 0]) for pixels in clips.pixels]
    found = plain50(onnx.load(DETECTOR), judged(clips, clear))
    assert set(found) == {ALL, "clear"}
    assert found[ALL] == found["clear"] > 0.2
