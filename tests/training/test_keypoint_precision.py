"""Keypoint precision against figures worked out by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.keypoint_precision import FROM_18, Labelled, Posed, keypoint_precision, similarity
from vision.pose import KEYPOINTS

Floats = NDArray[np.float64]
COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip


def person(at: float = 0.0, shown: int = 2) -> Floats:
    rows = np.zeros((17, 3))
    rows[:, 0], rows[:, 1], rows[:, 2] = at + np.arange(17), 2 * np.arange(17), shown
    return rows


def labelled(*people: Floats, area: float = 900.0, crowd: int = 0) -> Labelled:
    boxes = [(p[:, 0].min(), p[:, 1].min(), np.ptp(p[:, 0]), np.ptp(p[:, 1])) for p in people]
    flags = np.zeros(len(people), bool)
    flags[len(people) - crowd :] = True
    return Labelled(
        np.array(people).reshape(-1, 17, 3), np.array(boxes).reshape(-1, 4), np.full(len(people), area), flags
    )


def posed(*people: Floats, scores: tuple[float, ...] = ()) -> Posed:
    return Posed(np.array(people).reshape(-1, 17, 3)[..., :2], np.array(scores or [0.5] * len(people)))


def test_the_order_of_keypoints_is_coco_s() -> None:
    assert tuple(KEYPOINTS[k] for k in FROM_18) == COCO


def test_similarity_of_one_keypoint_is_the_formula_s() -> None:
    truth = person()
    truth[1:, 2] = 0  # only the nose is labelled; its sigma is .026
    moved = person()
    moved[0, :2] += (3.0, 4.0)
    wanted = np.exp(-25 / (2 * 900 * (2 * 0.026) ** 2))
    assert similarity(moved[None, :, :2], labelled(truth))[0, 0] == pytest.approx(wanted)


def test_everybody_found_exactly_and_nobody_else() -> None:
    reached = keypoint_precision([labelled(person(), person(300))], [posed(person(300), person())])
    assert (reached.ap, reached.ap50, reached.recall, reached.people) == (1.0, 1.0, 1.0, 2)


def test_one_of_two_and_a_false_one_that_scores_higher() -> None:
    """Precision is 1/2 up to a recall of 1/2: 51 of 101 levels."""
    found = posed(person(5000), person(), scores=(0.9, 0.5))
    reached = keypoint_precision([labelled(person(), person(300))], [found])
    assert reached.ap == pytest.approx(0.5 * 51 / 101)
    assert reached.recall == 0.5


def test_whoever_is_found_twice_counts_once() -> None:
    found = posed(person(), person(), scores=(0.9, 0.8))
    assert keypoint_precision([labelled(person())], [found]).ap == 1.0
    assert keypoint_precision([labelled(person(), person(300))], [found]).ap == pytest.approx(51 / 101)


def test_crowds_and_people_without_keypoints_are_ignored() -> None:
    nobody = person(1000, shown=0)
    truth = labelled(person(), nobody, person(2000), crowd=1)
    found = posed(person(), person(1000), person(2000), person(2000), scores=(0.5, 0.9, 0.8, 0.7))
    reached = keypoint_precision([truth], [found])
    assert (reached.ap, reached.people) == (1.0, 1)


def test_who_is_far_off_reaches_only_the_lower_thresholds() -> None:
    moved = person()
    moved[:, 0] += 3.0
    alike = similarity(moved[None, :, :2], labelled(person()))[0, 0]
    reached = keypoint_precision([labelled(person())], [posed(moved)])
    assert 0.5 < alike < 0.9
    assert reached.ap50 == 1.0
    assert reached.ap == pytest.approx(np.mean(np.linspace(0.5, 0.95, 10) <= alike))


def test_only_twenty_people_of_a_picture_count() -> None:
    false = [person(3000 + 200 * k) for k in range(20)]
    found = posed(*false, person(), scores=tuple([0.9] * 20 + [0.5]))
    assert keypoint_precision([labelled(person())], [found]).recall == 0


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="1 pictures with truth, 0"):
        keypoint_precision([labelled(person())], [])
    with pytest.raises(ValueError, match="nobody"):
        keypoint_precision([labelled(person(shown=0))], [posed()])
