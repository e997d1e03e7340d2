"""The phase of a traffic light, read from its part of the picture."""

from functools import lru_cache
from typing import Final, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane

from vision.scene import Phase

Bytes: TypeAlias = npt.NDArray[np.uint8]
Levels: TypeAlias = npt.NDArray[np.int32]

# Directions of the lamps' colours in the plane of (Cb, Cr), in hundredths; nearly the same in BT.601 and BT.709. Red
# lamps look orange to many cameras and amber ones reddish, so colour only supports what a lamp's place says.
_LAMPS: Final[tuple[Phase, ...]] = ("red", "amber", "green")
_TOWARDS_BLUE: Final = np.array([[-36], [-80], [-30]], np.int32)
_TOWARDS_RED: Final = np.array([[93], [60], [-95]], np.int32)
_BRIGHTNESS: Final = 0.35
"""what a level of brightness counts against a level of colour"""
_LEAST: Final = 45.0
"""levels that make a lamp lit"""
_LEAD: Final = 1.35
"""how far the lit lamp stands out from the next"""
_FULL_RANGE: Final = 2  # AVCOL_RANGE_JPEG

_BYTES: Final = np.arange(256, dtype=np.int32)
_FULL: Final = _BYTES, _BYTES - 128
_LIMITED: Final = (_BYTES - 16) * 255 // 219, (_BYTES - 128) * 255 // 224
"""what a byte of Y (0 to 255) and of Cb and Cr (around 0) stands for: looked up instead of worked out for each pixel"""


def read(frame: av.VideoFrame, region: tuple[float, float, float, float]) -> Phase:
    """The lit one of three lamps, red above amber above green; "off" when none stands out.

    `region`: left, top, right, bottom of the lamps' housing in fractions of the picture. No other part of the picture
    is looked at or converted, unless its pixels are of no planar 8-bit YUV format.
    """
    luma, blue, red = _pixels(frame, region)
    if luma.size < 3:
        return "off"
    quarter = luma.size // 4
    dark = np.partition(luma, quarter, axis=None)[quarter]
    colour = blue * _TOWARDS_BLUE + red * _TOWARDS_RED
    lights, colours = _best(luma - dark), [value / 100 for value in _best(colour)]
    brightest = max(*lights, 1.0)
    # the lens of a lamp that is off has its colour too, but not its brightness
    scores = [colour * light / brightest + _BRIGHTNESS * light for colour, light in zip(colours, lights, strict=True)]
    first, second, _ = sorted(scores, reverse=True)
    if first < _LEAST or first < _LEAD * second:
        return "off"
    return _LAMPS[scores.index(first)]


def _best(bands: Levels) -> list[float]:
    """Of each band the mean of the upper fifth, what is below 0 taken for 0: a lens fills a third of its band, so that
    is all lens. Whole numbers: exact."""
    count = max(1, bands.shape[1] // 5)
    best = np.partition(bands, -count, axis=1)[:, -count:]
    return [total / count for total in np.maximum(best, 0).sum(axis=1).tolist()]


def _pixels(frame: av.VideoFrame, region: tuple[float, float, float, float]) -> tuple[Levels, Levels, Levels]:
    """Y, Cb and Cr of the three lamps, each [3, pixels]; chroma repeated to luma's size."""
    pixels = frame.format.name
    if pixels not in ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"):
        pixels, frame = "yuv420p", frame.reformat(format="yuv420p", threads=1)
    left, right = (round(edge * frame.width) for edge in (region[0], region[2]))
    top, bottom = (round(edge * frame.height) for edge in (region[1], region[3]))
    bottom -= (bottom - top) % 3
    full = frame.color_range == _FULL_RANGE or pixels.startswith("yuvj")
    luma, chroma = _FULL if full else _LIMITED
    y, cb, cr = (_part(frame, plane, (left, top, right, bottom)) for plane in frame.planes[:3])
    return luma.take(y).reshape(3, -1), chroma.take(cb).reshape(3, -1), chroma.take(cr).reshape(3, -1)


def _part(frame: av.VideoFrame, plane: VideoPlane, corners: tuple[int, int, int, int]) -> Bytes:
    left, top, right, bottom = corners
    whole = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    if (plane.width, plane.height) == (frame.width, frame.height):
        return whole[top:bottom, left:right]
    first, last = top * plane.height // frame.height, -(-bottom * plane.height // frame.height)
    rows = _places(top, bottom, plane.height, frame.height) - first
    columns = _places(left, right, plane.width, frame.width)
    return whole[first:last].take(columns, axis=1).take(rows, axis=0)


@lru_cache(maxsize=256)
def _places(first: int, last: int, size: int, of: int) -> npt.NDArray[np.intp]:
    """Where the pixels `first` to `last` of `of` lie in a plane of `size`."""
    return np.arange(first, last) * size // of
