"""The cascade's decision, on maps made by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vision.inspection import inspect, located, located_pixels

SCALE = 10.0
BLANK = np.zeros((40, 50), np.uint8)


def blob(*spots: tuple[int, int, int, int, int]) -> NDArray[np.uint8]:
    """Rectangles x1, y1, x2, y2 of a level."""
    made = BLANK.copy()
    for x1, y1, x2, y2, level in spots:
        made[y1:y2, x1:x2] = level
    return made


def test_a_part_below_the_threshold_never_comes_before_the_locator() -> None:
    picture = np.zeros((40, 50, 3), np.uint8)
    calls: list[int] = []

    def locate(_: NDArray[np.uint8]) -> NDArray[np.uint8]:
        calls.append(1)
        return blob((5, 5, 8, 8, 255))

    passed = inspect(picture, lambda _: 0.19, locate, 0.2, SCALE)
    assert (passed.screened_out, passed.good, calls) == (True, True, [])
    asked = inspect(picture, lambda _: 0.2, locate, 0.2, SCALE)
    assert (asked.screened_out, asked.good, calls) == (False, False, [1])
    cleared = inspect(picture, lambda _: 0.9, lambda _: BLANK, 0.2, SCALE)
    assert (cleared.screened_out, cleared.good) == (False, True)


def test_where_and_how_large_in_millimetres() -> None:
    (found,) = located(blob((10, 20, 30, 22, 200)), 0.5, SCALE)
    assert found.box == (10, 20, 30, 22)
    assert found.centre_mm == pytest.approx((2.0, 2.1))
    assert found.length_mm == pytest.approx(2.0)
    assert found.width_mm == pytest.approx(0.2)
    assert found.confidence == round(200 / 255, 3)


def test_two_defects_are_two_and_the_surer_is_first() -> None:
    found = located(blob((2, 2, 6, 6, 120), (20, 20, 24, 30, 250)), 0.2, SCALE)
    assert [one.box for one in found] == [(20, 20, 24, 30), (2, 2, 6, 6)]


def test_the_faint_skirt_of_a_defect_is_no_part_of_it() -> None:
    (found,) = located(blob((5, 5, 25, 25, 60), (12, 12, 16, 16, 240)), 0.2, SCALE)
    assert found.box == (12, 12, 16, 16)


def test_pixels_that_touch_at_a_corner_belong_together() -> None:
    assert len(located(blob((5, 5, 8, 8, 255), (8, 8, 11, 11, 255)), 0.5, SCALE)) == 1


@given(seed=st.integers(0, 10_000), threshold=st.floats(0.0, 1.0))
def test_boxes_pixels_and_threshold_agree(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    levels = (rng.random((12, 16)) ** 6 * 256).astype(np.uint8)
    found, pixels = located(levels, threshold, SCALE), located_pixels(levels, threshold)
    assert bool(found) == bool(levels.max() / 255 >= threshold and levels.any()) == bool(pixels.any())
    inside = np.zeros_like(pixels)
    for one in found:
        x1, y1, x2, y2 = one.box
        assert pixels[y1:y2, x1:x2].any()
        inside[y1:y2, x1:x2] = True
    assert not (pixels & ~inside).any()
    assert (levels[pixels] / 255 >= threshold).all()
