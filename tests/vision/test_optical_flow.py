"""How things have moved in a camera's last pictures, on pictures whose movement is known."""

import zlib
from collections.abc import Iterator

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from vision.memory import FORGOTTEN_NS
from vision.optical_flow import GRID, SPAN, STEPS, UNITS, Kept, Seen, kept, recalled, seen, unpacked

HEIGHT, WIDTH = 64, 96
SIDE = 28


@pytest.fixture
def threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def texture(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).uniform(20, 230, (height // 4, width // 4, 3)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def moving(steps: int, x: float, y: float) -> list[NDArray[np.uint8]]:
    """A square that moves over still ground by (x, y) a picture."""
    ground, square = texture(1, HEIGHT, WIDTH), texture(2, SIDE, SIDE)
    pictures = []
    for index in range(steps):
        left, top = round(20 + x * index), round(18 + y * index)
        picture = ground.copy()
        picture[top : top + SIDE, left : left + SIDE] = square
        pictures.append(picture)
    return pictures


def after(pictures: list[NDArray[np.uint8]]) -> Seen:
    kept: Seen | None = None
    for picture in pictures:
        kept = seen(kept, picture)
    assert kept is not None
    return kept


def inside(flows: NDArray[np.int8], left: float, top: float) -> NDArray[np.float64]:
    """Mean flow of the middle of the square, in pixels."""
    rows, columns = (slice(int(edge + 8) // GRID, int(edge + SIDE - 8) // GRID) for edge in (top, left))
    return np.asarray(flows[rows, columns, :2].mean(axis=(0, 1)) / UNITS, np.float64)


@pytest.mark.parametrize(("x", "y"), [(3, 2), (-4, 1), (0, -3), (6, 0)])
def test_it_says_where_things_have_come_from_and_that_the_ground_is_still(x: int, y: int) -> None:
    flows = after(moving(2, x, y)).flows
    assert flows.shape == (HEIGHT // GRID, WIDTH // GRID, 2 * STEPS)
    assert flows.dtype == np.int8
    np.testing.assert_allclose(inside(flows, 20 + x, 18 + y), (x, y), atol=0.3)
    still = flows[:, 76 // GRID :, :2]
    assert np.abs(still).mean() < 0.1 * UNITS
    assert not flows[..., 2:].any(), "nothing is known of before the first picture"


def test_it_is_measured_over_two_pictures_as_soon_as_there_are_two() -> None:
    for count in (2, 3, 4):
        x, y = 20 + 2 * (count - 1), 18 + 1 * (count - 1)
        pictures = min(count - 1, SPAN)
        moved = inside(after(moving(count, 2, 1)).flows, x, y)
        np.testing.assert_allclose(moved, (2 * pictures, pictures), atol=0.3)


def test_noise_does_not_move() -> None:
    """On ground without marks, where any flow explains as much as none."""
    rng = np.random.default_rng(7)
    ground = texture(4, HEIGHT, WIDTH)
    ground[:, 40:] = 110
    noisy = [np.asarray(ground + rng.normal(0, 6, ground.shape).clip(-15, 15), np.uint8) for _ in range(3)]
    flows = after(noisy).flows[:, :, :4].astype(float)
    assert np.abs(flows).mean() < 0.1 * UNITS


def test_steps_grow_older_and_are_forgotten() -> None:
    pictures = moving(STEPS + SPAN + 1, 2, 1)
    kept: Seen | None = None
    first = None
    for index, picture in enumerate(pictures):
        kept = seen(kept, picture)
        if index == 1:
            first = kept.flows[..., :2]
        if 1 <= index <= STEPS:
            assert first is not None
            np.testing.assert_array_equal(kept.flows[..., 2 * (index - 1) : 2 * index], first)
            assert not kept.flows[..., 2 * index :].any()
    assert kept is not None
    assert kept.flows.any(axis=(0, 1)).all()
    np.testing.assert_array_equal(kept.flows, after(pictures[-STEPS - SPAN :]).flows)


def test_lost_contrast_changes_little() -> None:
    pictures = moving(2, 3, -2)
    grey = [np.asarray(120 + (picture.astype(np.float32) - 120) * 0.2, np.uint8) for picture in pictures]
    np.testing.assert_allclose(inside(after(grey).flows, 23, 16), inside(after(pictures).flows, 23, 16), atol=0.3)


def test_what_is_too_fast_ends_at_the_scale_s_end() -> None:
    coarse = cv2.resize(texture(3, HEIGHT, WIDTH), None, fx=6, fy=6, interpolation=cv2.INTER_LINEAR)
    flows = after([np.roll(coarse, 36 * index, axis=1) for index in range(2)]).flows
    assert np.median(flows[..., 0]) == 127


@pytest.mark.usefixtures("threads")
def test_the_number_of_threads_changes_nothing() -> None:
    pictures = [np.ascontiguousarray(np.tile(picture, (4, 4, 1))) for picture in moving(3, 5, 2)]
    found = []
    for count in (1, 2, 4):
        cv2.setNumThreads(count)
        found.append(after(pictures).flows)
    for flows in found[1:]:
        np.testing.assert_array_equal(flows, found[0])


def test_what_was_kept_stays_as_it_was() -> None:
    first, second, third = moving(3, 2, 2)
    kept = after([first, second])
    greys, flows = [grey.copy() for grey in kept.greys], kept.flows.copy()
    assert seen(kept, third).flows.any()
    np.testing.assert_array_equal(np.stack(kept.greys), greys)
    np.testing.assert_array_equal(kept.flows, flows)


@pytest.mark.parametrize("shape", [(64, 96), (64, 96, 4), (63, 96, 3), (64, 95, 3)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="where uint8"):
        seen(None, np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="where uint8"):
        seen(None, np.zeros((64, 96, 3), np.float32))


def test_a_camera_does_not_change_its_size() -> None:
    with pytest.raises(ValueError, match="behind one of"):
        seen(seen(None, np.zeros((64, 96, 3), np.uint8)), np.zeros((64, 98, 3), np.uint8))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_what_is_kept_comes_back_from_a_saved_state_byte_for_byte(count: int) -> None:
    known = after(moving(count, 2, 1))
    saved = msgspec.json.decode(msgspec.json.encode(kept(known, 7)), type=Kept)
    back = recalled(saved, 8, (HEIGHT, WIDTH))
    assert back is not None
    assert [grey.tobytes() for grey in back.greys] == [grey.tobytes() for grey in known.greys]
    assert (back.flows.tobytes(), back.flows.shape) == (known.flows.tobytes(), known.flows.shape)
    picture = texture(1, HEIGHT, WIDTH)
    assert seen(back, picture).flows.tobytes() == seen(known, picture).flows.tobytes()


def test_what_is_old_or_of_other_pictures_is_not_recalled() -> None:
    saved = kept(after(moving(3, 2, 1)), 1_000_000_000)
    assert recalled(None, 5, (HEIGHT, WIDTH)) is None
    assert recalled(saved, 1_100_000_000, (HEIGHT, WIDTH + 2)) is None
    assert recalled(saved, 1_000_000_001 + FORGOTTEN_NS, (HEIGHT, WIDTH)) is None
    assert recalled(saved, 1_100_000_000, (HEIGHT, WIDTH)) is not None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"packed": b"nonsense"}, "cannot be read"),
        ({"packed": zlib.compress(b"short")}, "5 bytes kept"),
        ({"packed": zlib.compress(bytes(10_000_000))}, "expected"),
        ({"greys": 3}, "3 pictures of 96x64"),
        ({"greys": 1}, "expected"),
        ({"height": 10**9}, "2 pictures of 96x1000000000"),
        ({"height": -64}, "pictures of 96x-64"),
    ],
)
def test_what_nobody_has_kept_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        unpacked(msgspec.structs.replace(kept(after(moving(3, 2, 1)), 7), **change))
