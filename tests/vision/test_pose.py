"""Peaks and links become people."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vision.letterbox import Letterbox
from vision.pose import COUNT, LIMBS, assembled, people_of, unmapped
from vision.pose_crop import HEIGHT, WIDTH, crop, crop_place, from_crop, to_crop

Floats = NDArray[np.float64]
_KNEE = 9


def scene(people: list[Floats], rows: int = 5) -> tuple[Floats, Floats]:
    """Peaks and links of people [18, 2]: person k is peak k of every keypoint; links join what belongs together."""
    peaks, links = np.zeros((COUNT, rows, 3)), np.zeros((len(LIMBS), rows, rows))
    for k, person in enumerate(people):
        peaks[:, k, :2], peaks[:, k, 2] = person, 0.9 - 0.1 * k
        links[:, k, k] = 0.8
    return peaks, links


def two() -> list[Floats]:
    rng = np.random.default_rng(2)
    return [rng.uniform(0, 100, (COUNT, 2)), rng.uniform(100, 200, (COUNT, 2))]


def test_two_people_are_told_apart() -> None:
    people = assembled(*scene(two()))
    assert len(people.scores) == 2
    assert people.scores[0] > people.scores[1]
    for row, wanted in zip(people.keypoints, two(), strict=True):
        np.testing.assert_allclose(row[:, :2], wanted)


def test_the_order_of_peaks_decides_nothing() -> None:
    peaks, links = scene(two())
    rng = np.random.default_rng(5)
    shuffled, joined = peaks.copy(), links.copy()
    orders = [rng.permutation(5) for _ in range(COUNT)]
    for k, order in enumerate(orders):
        shuffled[k] = peaks[k][order]
    for limb, (first, second) in enumerate(LIMBS):
        joined[limb] = links[limb][orders[first]][:, orders[second]]
    one, other = assembled(peaks, links), assembled(shuffled, joined)
    np.testing.assert_array_equal(one.keypoints, other.keypoints)
    np.testing.assert_array_equal(one.scores, other.scores)


def test_of_rival_links_the_better_one_holds() -> None:
    peaks, links = scene(two())
    links[7, 0, 1] = 0.6  # the first one's hip also points, less surely, at the second one's knee
    people = assembled(peaks, links)
    np.testing.assert_allclose(people.keypoints[0, _KNEE, :2], two()[0][_KNEE])


def test_a_body_in_two_halves_is_joined_by_a_later_link() -> None:
    """Without neck, arms and legs begin as people of their own; the ear's link to the shoulder joins head and arm."""
    peaks, links = scene(two()[:1])
    peaks[1] = 0
    people = assembled(peaks, links)
    found = [int((row[:, 2] > 0).sum()) for row in people.keypoints]
    assert max(found) == 11  # face and both arms
    assert sorted(found)[:-1] == [3, 3]  # each leg
    assert all(row[1].tolist() == [0, 0, 0] for row in people.keypoints)


def test_two_people_are_not_joined_by_a_wrong_link() -> None:
    peaks, links = scene(two())
    links[17] = 0
    links[17, 0, 1] = 0.9  # the first one's shoulder to the second one's ear
    assert len(assembled(peaks, links).scores) == 2


def test_crumbs_are_no_people() -> None:
    peaks, links = scene(two()[:1])
    peaks[list(set(range(COUNT)) - {8, 9})] = 0
    assert assembled(peaks, links).keypoints.shape == (0, COUNT, 3)
    assert assembled(np.zeros((COUNT, 4, 3)), np.zeros((len(LIMBS), 4, 4))).scores.shape == (0,)


def test_people_that_a_model_gives_are_taken_as_they_are() -> None:
    answers = {"people": np.zeros((2, 3, COUNT, 3), np.float32), "scores": np.zeros((2, 3), np.float32)}
    answers["people"][1, 2] = 0.5
    answers["scores"][1] = [0.25, 0.0, 0.75]
    assert len(people_of(answers).scores) == 0
    people = people_of(answers, 1)
    assert people.scores.tolist() == [0.75, 0.25]
    assert people.keypoints[0].min() == 0.5


def test_back_to_the_source() -> None:
    letterbox = Letterbox(100, 100, "center")
    people = unmapped(assembled(*scene(two()[:1])), letterbox, 400, 200)
    wanted = (two()[0] - (0, 25)) * 4
    np.testing.assert_allclose(people.keypoints[0, :, :2], wanted, atol=0.006)


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"people": np.zeros((1, 3, COUNT, 3))},
        {"people": np.zeros((1, 3, 17, 3)), "scores": np.zeros((1, 3))},
        {"people": np.full((1, 3, COUNT, 3), np.nan), "scores": np.zeros((1, 3))},
        {"peaks": np.zeros((1, COUNT, 4, 3)), "links": np.zeros((1, 18, 4, 4))},
        {"peaks": np.full((1, COUNT, 4, 3), np.inf), "links": np.zeros((1, len(LIMBS), 4, 4))},
    ],
)
def test_what_no_pose_model_may_answer_is_refused(answers: dict[str, Floats]) -> None:
    with pytest.raises(ValueError, match=r"people|peaks"):
        people_of(answers)


def test_a_crop_and_back() -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (200, 300, 3), np.uint8)
    for box in ([40.0, 50, 90, 150], [-20.0, 30, 100, 60], [250.0, 150, 320, 240]):
        place = crop_place(np.array(box))
        assert place.width / place.height == pytest.approx(WIDTH / HEIGHT)
        points = rng.uniform(0, 200, (18, 2))
        np.testing.assert_allclose(from_crop(to_crop(points, place), place), points)
        corners = to_crop(np.array([box[:2], box[2:]]), place)
        assert corners.min() > 0
        assert (corners[1] < (WIDTH, HEIGHT)).all()
        assert crop(picture, place).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ValueError, match="a box of 0"):
        crop_place(np.array([5.0, 5, 5, 9]))


def test_a_crop_shows_what_was_there() -> None:
    picture = np.zeros((300, 300, 3), np.uint8)
    picture[100:110, 140:150] = 255
    place = crop_place(np.array([100.0, 60, 180, 200]))
    taken = crop(picture, place)
    rows, columns = np.nonzero(taken[..., 0] > 128)
    middle = from_crop(np.array([columns.mean() + 0.5, rows.mean() + 0.5]), place)
    np.testing.assert_allclose(middle, (145, 105), atol=0.5)
