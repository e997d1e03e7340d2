"""The shop's pictures and their truth."""

import itertools

import numpy as np
import pytest

from simulator.arrays import stream
from simulator.shop.crowd import Crowd
from simulator.shop.floor import random_floor
from simulator.shop.gesture import ACTIVITIES, Habit, gesture
from simulator.shop.scene import ShopConfig, ShopError, ShopScene
from simulator.shop.skeleton import (
    CYCLE,
    KEYPOINTS,
    L_ANKLE,
    L_ELBOW,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    L_WRIST,
    NECK,
    NOSE,
    R_ANKLE,
    R_ELBOW,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    R_WRIST,
    Stance,
    joints,
)  # fmt: skip
from simulator.shop.truth import ShopTruth

Shots = list[tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], ShopTruth]]
_BONES = (
    (R_SHOULDER, R_ELBOW), (R_ELBOW, R_WRIST), (L_SHOULDER, L_ELBOW), (L_ELBOW, L_WRIST), (R_HIP, R_KNEE),
    (R_KNEE, R_ANKLE), (L_HIP, L_KNEE), (L_KNEE, L_ANKLE),
)  # fmt: skip


@pytest.fixture(scope="module")
def shots() -> Shots:
    scene = ShopScene(3, 320, 180, 2.0, ShopConfig(9))
    return [scene.frame() for _ in range(40)]


def test_equal_seeds_give_equal_pictures_and_truth() -> None:
    one, same, other = (ShopScene(seed, 240, 136, 5) for seed in (1, 1, 2))
    for _ in range(3):
        (picture, truth), (again, told), (different, _) = one.frame(), same.frame(), other.frame()
        np.testing.assert_array_equal(picture, again)
        assert truth == told
        assert (picture != different).mean() > 0.5


def test_bones_keep_their_length_whatever_the_body_does() -> None:
    rng = np.random.default_rng(5)
    lengths = []
    for _ in range(200):
        hands = tuple((*tuple(rng.uniform(-0.4, 0.4, 2)), float(rng.uniform(0.3, 1.0))) for _ in range(2))
        stance = Stance(float(rng.uniform(0, 9)), float(rng.random()), hands, lean=float(rng.uniform(-0.1, 0.2)))  # type: ignore[arg-type]
        points = joints(1.7, 0.11, stance).points
        lengths.append([np.linalg.norm(points[a] - points[b]) for a, b in _BONES])
        np.testing.assert_allclose(points[NECK], (points[R_SHOULDER] + points[L_SHOULDER]) / 2)
    assert np.ptp(lengths, axis=0).max() < 1e-9


def test_whoever_walks_swings_arms_against_legs_and_sets_feet_down() -> None:
    steps = [joints(1.7, 0.11, Stance(stride, 1.0)).points for stride in np.linspace(0, CYCLE * 1.7, 40)]
    right_leg, left_leg = (np.array([p[k][0] for p in steps]) for k in (R_ANKLE, L_ANKLE))
    right_arm = np.array([p[R_WRIST][0] for p in steps])
    assert np.corrcoef(right_leg, left_leg)[0, 1] < -0.5
    assert np.corrcoef(right_leg, right_arm)[0, 1] < -0.3
    # a foot on the floor moves back as fast as the body moves forward
    low = [k for k in range(39) if steps[k][R_ANKLE][2] < 0.08 and steps[k + 1][R_ANKLE][2] < 0.08]
    moved = [steps[k + 1][R_ANKLE][0] - steps[k][R_ANKLE][0] for k in low]
    assert np.median(moved) == pytest.approx(-CYCLE * 1.7 / 39, rel=0.15)


def test_truth_fits_the_picture(shots: Shots) -> None:
    seen = 0
    for picture, truth in shots:
        height, width = picture.shape[:2]
        for one in truth.people:
            x1, y1, x2, y2 = one.box
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height
            assert 0 <= one.visible <= 1
            assert len(one.keypoints) == len(KEYPOINTS) == 18
            for x, y, shown in one.keypoints:
                assert (shown > 0) == (0 <= x < width and 0 <= y < height)
                if shown:
                    assert x1 - 1 <= x <= x2 + 1
                    assert y1 - 1 <= y <= y2 + 1
                seen += shown == 2
            if one.visible == 0:
                assert not any(shown == 2 for _, _, shown in one.keypoints)
    assert seen > 1000


def test_some_keypoints_are_hidden_and_faces_turned_away_show_none(shots: Shots) -> None:
    people = [one for _, truth in shots for one in truth.people if one.box[3] - one.box[1] > 30]
    states = [shown for one in people for _, _, shown in one.keypoints]
    assert 0.1 < states.count(1) / len(states) < 0.7
    assert {one.keypoints[NOSE][2] for one in people} >= {1, 2}
    assert any(one.visible < 0.6 for one in people)


def test_people_keep_their_number_and_move_smoothly(shots: Shots) -> None:
    for (_, before), (_, after) in itertools.pairwise(shots):
        places = {one.id: one for one in before.people}
        assert len(places) == len(before.people)
        for one in after.people:
            if one.id in places:
                assert np.hypot(one.x - places[one.id].x, one.y - places[one.id].y) < 0.9


def test_everything_that_can_be_done_is_done() -> None:
    floor, _ = random_floor(stream(11, "floor"))
    crowd = Crowd(floor, 12, stream(11, "crowd"))
    done, bought = set(), set()
    for _ in range(200):
        crowd.advance(0.75)
        for one in crowd.here:
            done.add(one.activity)
            if one.bought:
                bought.add(one.id)
    assert done == set(ACTIVITIES)
    assert 0 < len(bought) < crowd.came


def test_what_was_put_on_is_held_before_the_chest() -> None:
    """The garment of `try_on` hides the chest from in front: hands at its shoulders, before the body."""
    now = gesture("try_on", Habit(0.5, 0.5, 0.5, 2.0, False), 3.0, False)
    (rx, ry, rz), (lx, ly, lz) = now.hands
    assert min(rx, lx) > 0.05
    assert ry < 0 < ly
    assert 0.65 < min(rz, lz) <= max(rz, lz) < 0.82


@pytest.mark.parametrize(
    ("arguments", "people", "words"),
    [
        ({"seed": -1}, 7, "seed -1"),
        ({"width": 4000}, 7, "4000x160.*1920x1080"),
        ({"height": 90}, 7, "320x90.*160x120"),
        ({"width": 321}, 7, "even"),
        ({"fps": float("nan")}, 7, "nan frames"),
        ({}, 0, "0 people"),
        ({}, 99, "99 people.*1 to 40"),
    ],
)
def test_what_cannot_be_rendered_is_refused(arguments: dict[str, object], people: int, words: str) -> None:
    with pytest.raises(ShopError, match=words):
        ShopScene(**({"seed": 1, "width": 320, "height": 160, "config": ShopConfig(people)} | arguments))  # type: ignore[arg-type]
