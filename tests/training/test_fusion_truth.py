"""What a junction is doing, by its truth; and how answers are judged. On cases made by hand."""

import math
from pathlib import Path

import numpy as np
import pytest

from simulator.stage import PARKED_TRACKS
from simulator.truth import ObjectTruth, Truth
from training.fusion.activity import ACTIVITIES, activity
from training.fusion.clip_set import CELL, HEIGHT, WIDTH, Rendering, clip_set
from training.fusion.judging import gain, scores

ALONG, ACROSS = math.pi / 2, math.pi
PICTURE = 180


def thing(
    speed: float, heading: float = ALONG, label: str = "car", track: int = 1, height: float = 30, visible: float = 1.0
) -> ObjectTruth:
    box = (40.0, 60.0, 80.0, 60.0 + height)
    return ObjectTruth(track, label, box, box, box, visible, 1 - visible, speed, (1.0, 20.0), heading)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("objects", "doing"),
    [
        ([], "empty"),
        ([thing(1.4, label="pedestrian"), thing(0, track=PARKED_TRACKS)], "empty"),
        ([thing(9, height=8), thing(9, visible=0.2)], "empty"),
        ([thing(0), thing(0.9, ACROSS)], "standing"),
        ([thing(0), thing(0), thing(1.0)], "flowing"),
        ([thing(0), thing(0), thing(5, ACROSS)], "crossing"),
        ([thing(5), thing(5, -ACROSS)], "flowing"),
        ([thing(5), thing(5, 0.0), thing(5, ACROSS)], "crossing"),
    ],
)
def test_what_a_junction_is_doing(objects: list[ObjectTruth], doing: str) -> None:
    assert activity(Truth(0, 0.0, tuple(objects), {}), PICTURE) == doing


def test_clips_are_letterboxed_and_come_from_the_seed(tmp_path: Path) -> None:
    first = clip_set(Rendering(5, 1, 3), tmp_path / "first")
    assert clip_set(Rendering(5, 1, 3), tmp_path / "second").sha256 == first.sha256
    assert first.pixels.shape == (1, 3, HEIGHT, WIDTH, 3)
    assert (first.pixels[:, :, 90:] == 114).all()
    assert first.occupied.shape == (1, 3, 2, HEIGHT // CELL, WIDTH // CELL)
    assert first.states.max() < len(ACTIVITIES)


def test_scores_and_gain_of_a_case_by_hand() -> None:
    truth = np.array([[1, 1, 2, 2], [2, 2, 3, 3]])
    said = np.array([[1, 2, 2, 2], [2, 2, 3, 3]])
    judged = scores(truth, said)
    assert judged.accuracy == 0.875
    assert judged.f1 == {"standing": round(2 / 3, 4), "flowing": round(8 / 9, 4), "crossing": 1.0}
    assert judged.macro_f1 == pytest.approx((2 / 3 + 8 / 9 + 1) / 3, abs=1e-4)
    assert judged.confusion[1] == (0, 1, 1, 0)
    better = gain(truth, truth, said)
    assert (better.accuracy, better.low, better.high) == (0.125, 0.0, 0.25)
