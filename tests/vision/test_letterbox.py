import itertools

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision.letterbox import Letterbox

Pixels = npt.NDArray[np.uint8]


def frame_of(rgb: tuple[int, int, int], size: tuple[int, int] = (64, 48), pixels: str = "yuv420p") -> av.VideoFrame:
    picture = np.full((size[1], size[0], 3), rgb, np.uint8)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
    frame.colorspace = 2
    frame.color_range = 0
    return frame


def boxed(letterbox: Letterbox, frame: av.VideoFrame) -> Pixels:
    out = np.zeros((letterbox.height, letterbox.width, 3), np.uint8)
    letterbox.from_frame(frame, out)
    return out


def test_top_left() -> None:
    out = boxed(Letterbox(32, 32), frame_of((200, 30, 90)))
    assert (out[24:] == 114).all()
    assert np.abs(out[:24].astype(int) - (200, 30, 90)).max() <= 4


def test_center_and_pad() -> None:
    out = boxed(Letterbox(32, 32, "center", pad=7), frame_of((10, 200, 90)))
    assert (out[:4] == 7).all()
    assert (out[28:] == 7).all()
    assert np.abs(out[4:28].astype(int) - (10, 200, 90)).max() <= 4


def test_all_of_the_output_is_written_whatever_was_there() -> None:
    letterbox = Letterbox(40, 30, "center")
    for size in ((64, 48), (48, 64), (64, 48), (30, 7), (1, 100)):
        frame = frame_of((90, 90, 90), size)
        dirty = np.full((30, 40, 3), 255, np.uint8)
        letterbox.from_frame(frame, dirty)
        assert (dirty == boxed(letterbox, frame)).all()
        assert dirty.max() <= 114


def test_writes_into_a_view_of_a_larger_buffer() -> None:
    slots = np.zeros((2, 32, 32, 3), np.uint8)
    Letterbox(32, 32).from_frame(frame_of((90, 90, 90)), slots[1])
    assert not slots[0].any()
    assert slots[1].all()


@pytest.mark.parametrize("shape", [(31, 32, 3), (32, 32), (32, 32, 4)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"uint8 \(32, 32, 3\) was expected"):
        Letterbox(32, 32).from_frame(frame_of((0, 0, 0)), np.zeros(shape, np.uint8))


def test_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="float32"):
        Letterbox(32, 32).from_frame(frame_of((0, 0, 0)), np.zeros((32, 32, 3), np.float32))


@pytest.mark.parametrize(("width", "height", "pad"), [(0, 10, 0), (10, -1, 0), (10, 10, 256), (10, 10, -1)])
def test_absurd_sizes_and_pads_are_refused(width: int, height: int, pad: int) -> None:
    with pytest.raises(ValueError, match=r"pixels|0\.\.255"):
        Letterbox(width, height, pad=pad)


@pytest.mark.parametrize(
    "pixels", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12", "yuv420p10le", "rgb24", "gray"]
)
def test_every_usual_pixel_format(pixels: str) -> None:
    grey = frame_of((150, 150, 150), pixels=pixels)
    out = boxed(Letterbox(32, 24), grey)
    assert np.abs(out.astype(int) - 150).max() <= 3


def yuv(size: tuple[int, int], y: int, u: int, v: int, matrix: int) -> av.VideoFrame:
    frame = av.VideoFrame(*size, "yuv420p")
    for plane, value in zip(frame.planes, (y, u, v), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.colorspace = matrix
    return frame


@pytest.mark.parametrize(
    ("luma", "pixels", "color_range", "shown"),
    [
        (235, "yuv420p", 0, 255),
        (235, "yuv420p", 1, 255),
        (16, "yuv420p", 0, 0),
        (235, "yuv420p", 2, 235),
        (16, "yuv420p", 2, 16),
        (235, "yuvj420p", 0, 235),
        (16, "yuvj420p", 2, 16),
    ],
)
def test_the_range_of_the_stream_is_respected(luma: int, pixels: str, color_range: int, shown: int) -> None:
    """Range 0 is unspecified, 1 limited, 2 full."""
    frame = av.VideoFrame(64, 48, pixels)
    for plane, value in zip(frame.planes, (luma, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.color_range = color_range
    assert np.abs(boxed(Letterbox(32, 24), frame).astype(int) - shown).max() <= 2


def test_the_matrix_is_the_streams_or_by_size() -> None:
    """BT.709 (1) and BT.601 (6) show the same green differently; unspecified (2) is decided by size."""
    green = (145, 54, 34)
    small, large = (640, 360), (1280, 720)
    letterbox = Letterbox(32, 32)

    def shade(size: tuple[int, int], matrix: int) -> list[int]:
        middle: list[int] = boxed(letterbox, yuv(size, *green, matrix))[5, 16].tolist()
        return middle

    assert shade(small, 1) != shade(small, 6)
    assert shade(small, 2) == shade(small, 6) == shade(large, 6)
    assert shade(large, 2) == shade(large, 1) == shade(small, 1)
    assert shade(small, 6) == pytest.approx([0, 255, 1], abs=2)


def test_the_same_bytes_from_every_letterbox_and_after_every_size() -> None:
    rng = np.random.default_rng(3)
    frames = []
    for size in ((320, 180), (300, 170), (64, 40)):
        picture = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        frames.append(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p"))
    fresh = [boxed(Letterbox(160, 160), frame).tobytes() for frame in frames]
    used = Letterbox(160, 160)
    for order in itertools.permutations(range(3)):
        for place in order:
            assert boxed(used, frames[place]).tobytes() == fresh[place]


def test_from_frame_and_from_rgb_agree() -> None:
    rows, columns = np.mgrid[:360, :640]
    picture = np.stack([rows * 255 // 360, columns * 255 // 640, (rows + columns) * 255 // 1000], -1).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv444p")
    letterbox = Letterbox(416, 416)
    difference = np.abs(boxed(letterbox, frame).astype(int) - letterbox.from_rgb(picture))
    assert difference.mean() < 1.5


def test_larger_inputs_than_pictures() -> None:
    out = boxed(Letterbox(128, 128), frame_of((120, 130, 140), (32, 16)))
    assert (out[64:] == 114).all()
    assert np.abs(out[:64].astype(int) - (120, 130, 140)).max() <= 4


@given(
    source=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    target=st.tuples(st.integers(8, 1300), st.integers(8, 1300)),
    align=st.sampled_from(["top_left", "center"]),
    corners=st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_boxes_come_back(source: tuple[int, int], target: tuple[int, int], align: str, corners: list[float]) -> None:
    letterbox = Letterbox(*target, "center" if align == "center" else "top_left")
    left, top, width, height = letterbox.placement(*source)
    assert 0 <= left <= left + width <= target[0]
    assert 0 <= top <= top + height <= target[1]
    x1, x2 = sorted(corners[:2])
    y1, y2 = sorted(corners[2:])
    mapped = [[left + x1 * width, top + y1 * height, left + x2 * width, top + y2 * height]]
    back = letterbox.unmap(np.array(mapped), *source)
    expected = (x1 * source[0], y1 * source[1], x2 * source[0], y2 * source[1])
    assert back[0].tolist() == pytest.approx(expected, abs=1e-6 * max(source))


def test_boxes_are_clipped_and_may_be_none() -> None:
    letterbox = Letterbox(416, 416)
    assert letterbox.unmap(np.array([[-5.0, -5, 500, 500]]), 832, 416).tolist() == [[0, 0, 832, 416]]
    assert letterbox.unmap(np.zeros((0, 4), np.float32), 832, 416).shape == (0, 4)


def test_a_picture_without_extent_is_refused() -> None:
    with pytest.raises(ValueError, match="0 x 5"):
        Letterbox(10, 10).placement(0, 5)
