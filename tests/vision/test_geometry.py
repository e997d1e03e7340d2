import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.analysis import GroundPoint
from vision.geometry import border_distance, homography, inside, meeting, side, to_ground

SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
number = st.floats(-100, 100)
point = st.tuples(number, number)


@pytest.mark.parametrize(
    ("start", "end", "right"),
    [((0, 0), (10, 0), (5, 3)), ((0, 10), (0, 0), (3, 5)), ((10, 0), (0, 0), (5, -3)), ((0, 0), (0, 10), (-3, 5))],
)
def test_the_right_hand_side_of_who_walks_in_the_picture(
    start: tuple[float, float], end: tuple[float, float], right: tuple[float, float]
) -> None:
    assert side(start, end, right) == 3
    assert side(end, start, right) == -3


def test_a_line_without_length_has_no_sides() -> None:
    assert side((1, 1), (1, 1), (5, 5)) == 0
    assert meeting((1, 1), (1, 1), (0, 0), (5, 5)) is None


def test_meeting() -> None:
    assert meeting((0, 0), (10, 0), (5, -2), (5, 6)) == (0.25, 0.0)
    assert meeting((0, 0), (10, 0), (-3, -1), (-3, 1)) == (0.5, 3.0)
    assert meeting((0, 0), (10, 0), (12, -1), (12, 1)) == (0.5, 2.0)
    assert meeting((0, 0), (10, 0), (5, 1), (5, 6)) is None
    assert meeting((0, 0), (10, 0), (5, 0), (5, 6)) == (0.0, 0.0)


@given(point, point, point, point)
def test_the_meeting_point_is_on_the_line(
    start: tuple[float, float], end: tuple[float, float], before: tuple[float, float], after: tuple[float, float]
) -> None:
    assume(math.dist(start, end) > 1)
    found = meeting(start, end, before, after)
    sides = sorted((side(start, end, before), side(start, end, after)))
    assert (found is not None) == (sides[0] <= 0 <= sides[1] and sides[0] != sides[1])
    if found is not None:
        share, outside = found
        assert 0 <= share <= 1
        assert outside >= 0
        x = before[0] + share * (after[0] - before[0])
        y = before[1] + share * (after[1] - before[1])
        assert abs(side(start, end, (x, y))) < 1e-6 * (1 + math.dist(before, after))


def test_inside() -> None:
    assert inside(SQUARE, (5, 5))
    assert not inside(SQUARE, (15, 5))
    assert not inside(SQUARE, (5, -1))
    bay = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (5.0, 2.0), (0.0, 10.0))
    assert not inside(bay, (5, 6))
    assert inside(bay, (1, 6))


@given(st.floats(-5, 15), st.floats(-5, 15))
def test_two_halves_share_no_point_and_lose_none(x: float, y: float) -> None:
    left = ((0.0, 0.0), (4.0, 0.0), (4.0, 10.0), (0.0, 10.0))
    right = ((4.0, 0.0), (10.0, 0.0), (10.0, 10.0), (4.0, 10.0))
    assert inside(SQUARE, (x, y)) == (inside(left, (x, y)) != inside(right, (x, y)))
    assert not (inside(left, (x, y)) and inside(right, (x, y)))


def test_border_distance() -> None:
    assert border_distance(SQUARE, (5, 3)) == 3
    assert border_distance(SQUARE, (12, 5)) == 2
    assert border_distance(SQUARE, (13, 14)) == 5


def seen(u: float, v: float) -> tuple[float, float]:
    """Metres to fractions: some camera's view."""
    w = 1 + 0.06 * v
    return (0.5 + 0.05 * u / w, 0.9 - 0.5 * v * 0.06 / w)


CORNERS = [(-3.0, 0.0), (4.0, 0.0), (4.0, 30.0), (-3.0, 30.0), (0.0, 12.0)]


@pytest.mark.parametrize("count", [4, 5])
def test_a_homography_finds_the_ground(count: int) -> None:
    points = [GroundPoint(seen(*metres), metres) for metres in CORNERS[:count]]
    mapping = homography(points)
    assert mapping is not None
    for metres in (*CORNERS, (1.0, 20.0), (-2.0, 3.0)):
        found = to_ground(mapping, seen(*metres))
        assert found == pytest.approx(metres, abs=1e-5)


def test_more_points_average_out_what_each_is_off() -> None:
    grid = [(u, v) for u in (-3.0, 0.0, 3.0) for v in (0.0, 8.0, 16.0, 24.0)]
    off = [0.002, -0.001, 0.0015, -0.002, 0.001, -0.0005] * 2
    points = [GroundPoint((seen(*m)[0] + d, seen(*m)[1]), m) for m, d in zip(grid, off, strict=True)]
    mapping = homography(points)
    assert mapping is not None
    found = to_ground(mapping, seen(1.0, 12.0))
    assert found == pytest.approx((1.0, 12.0), abs=0.3)


def test_above_the_horizon_there_is_no_ground() -> None:
    mapping = homography([GroundPoint(seen(*metres), metres) for metres in CORNERS])
    assert mapping is not None
    assert to_ground(mapping, (0.5, 0.9 - 0.5)) is None
    assert to_ground(mapping, (0.5, 0.1)) is None


def test_no_points_no_ground() -> None:
    assert homography(()) is None


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (CORNERS[:3], "3 ground points, but a ground plane takes four"),
        ([(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (3.0, 0.0)], "one line"),
        ([(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (3.0, 9.0)], "one line"),
        ([(1.0, 1.0)] * 4, "all the same"),
    ],
)
def test_points_that_fix_no_ground(points: list[tuple[float, float]], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        homography([GroundPoint(seen(*metres), metres) for metres in points])
