"""The phase of a traffic light, read from its part of the picture."""

from itertools import pairwise
from typing import Final, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane

from vision.scene import Phase

Integers: TypeAlias = npt.NDArray[np.int64]

# Directions of the lamps' colours in the plane of (Cb, Cr), in hundredths; nearly the same in BT.601 and BT.709. Red
# lamps look orange to many cameras and amber ones reddish, so colour only supports what a lamp's place says.
_LAMPS: Final[tuple[Phase, ...]] = ("red", "amber", "green")
_DIRECTIONS: Final = np.array([[-36, -80, -30], [93, 60, -95]], np.int64)
_BRIGHTNESS: Final = 0.35
"""what a level of brightness counts against a level of colour"""
_LEAST: Final = 45.0
"""levels that make a lamp lit"""
_LEAD: Final = 1.35
"""how far the lit lamp stands out from the next"""
_FULL_RANGE: Final = 2  # AVCOL_RANGE_JPEG


def read(frame: av.VideoFrame, region: tuple[float, float, float, float]) -> Phase:
    """The lit one of three lamps, red above amber above green; "off" when none stands out.

    `region`: left, top, right, bottom of the lamps' housing in fractions of the picture. No other part of the picture
    is looked at or converted, unless its pixels are of no planar 8-bit YUV format.
    """
    luma, blue, red = _pixels(frame, region)
    rows = luma.shape[0]
    if rows < 3 or luma.shape[1] < 1:
        return "off"
    quarter = luma.size // 4
    dark = np.partition(luma, quarter, axis=None)[quarter]
    edges = [rows * place // 3 for place in range(4)]
    bands = [slice(first, last) for first, last in pairwise(edges)]
    towards_blue, towards_red = np.repeat(_DIRECTIONS, np.diff(edges), axis=1)[..., np.newaxis]
    coloured = np.maximum(blue * towards_blue + red * towards_red, 0)
    lit = np.maximum(luma - dark, 0)
    colours = [_best(coloured[band]) / 100 for band in bands]
    lights = [_best(lit[band]) for band in bands]
    brightest = max(*lights, 1.0)
    # the lens of a lamp that is off has its colour too, but not its brightness
    scores = [colour * light / brightest + _BRIGHTNESS * light for colour, light in zip(colours, lights, strict=True)]
    first, second, _ = sorted(scores, reverse=True)
    if first < _LEAST or first < _LEAD * second:
        return "off"
    return _LAMPS[scores.index(first)]


def _best(values: Integers) -> float:
    """Mean of the upper fifth: a lens fills a third of its band, so that is all lens. Whole numbers: exact."""
    count = max(1, values.size // 5)
    return int(np.partition(values, -count, axis=None)[-count:].sum()) / count


def _pixels(frame: av.VideoFrame, region: tuple[float, float, float, float]) -> tuple[Integers, Integers, Integers]:
    """The region's Y (full range), Cb and Cr (around 0), each [rows, columns]; chroma repeated to luma's size."""
    if frame.format.name not in ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"):
        frame = frame.reformat(format="yuv420p", threads=1)
    left, right = (round(edge * frame.width) for edge in (region[0], region[2]))
    top, bottom = (round(edge * frame.height) for edge in (region[1], region[3]))
    luma, blue, red = (_part(frame, plane, (left, top, right, bottom)) for plane in frame.planes[:3])
    if frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj"):
        return luma, blue - 128, red - 128
    return (luma - 16) * 255 // 219, (blue - 128) * 255 // 224, (red - 128) * 255 // 224


def _part(frame: av.VideoFrame, plane: VideoPlane, corners: tuple[int, int, int, int]) -> Integers:
    left, top, right, bottom = corners
    whole = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    if (plane.width, plane.height) == (frame.width, frame.height):
        return whole[top:bottom, left:right].astype(np.int64)
    rows = np.arange(top, bottom) * plane.height // frame.height
    columns = np.arange(left, right) * plane.width // frame.width
    return whole[rows[:, np.newaxis], columns].astype(np.int64)
