"""Which way things have moved in the last pictures of a camera that stands still: dense optical flow, for networks that
take it.

Dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016) as OpenCV has it, on
pictures in grey whose noise is smoothed and whose contrast is made alike: in fog things move as in the sun. Over two
pictures, because far away things move by less than a pixel from one to the next. Flow counts as far as it explains the
picture better than standing still does: where there is nothing but noise, it would move all the same.

Nothing here depends on a clock or on the number of threads.
"""

import math
import zlib
from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from vision.memory import forgotten

Pixels: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float32]
Flow: TypeAlias = npt.NDArray[np.int8]

GRID: Final = 2
"""pixels a cell of flow, on either side"""
UNITS: Final = 4
"""to a pixel: flow is kept in quarters, which reach 32 pixels"""
SPAN: Final = 2
"""pictures over which flow is measured"""
STEPS: Final = 8
"""pictures of which flow is kept"""
_SMOOTHED: Final = 1.0
"""pixels: sigma"""
_CONTRAST: Final = 40.0
"""grey levels: standard deviation"""
_AROUND: Final = 2.5
"""pixels: sigma of where it is looked whether flow explains the picture"""
_NOISE: Final = 20.0
"""squared grey levels that need no explanation"""
_QUICKLY: Final = 1
"""zlib's level"""
_LARGEST: Final = 2048 * 2048
"""pixels of a picture that flow is kept of"""


class Seen(Struct, frozen=True):
    """What is kept of a camera: its last SPAN pictures in grey [h, w], the youngest first; and `flows` int8
    [h / GRID, w / GRID, 2 * STEPS], of the youngest picture first: x (to the right) and y (down) in pixels over SPAN
    pictures, times UNITS; zeros for the first picture and those before. The second is held against the first."""

    greys: tuple[Pixels, ...]
    flows: Flow


class Kept(Struct, frozen=True):
    """A `Seen` of a picture captured at `seen_ns` as it survives `msgspec.json`, byte for byte."""

    packed: bytes
    height: int
    width: int
    greys: int
    seen_ns: int


def kept(known: Seen, captured_ns: int) -> Kept:
    height, width = known.greys[0].shape
    content = b"".join(part.tobytes() for part in (*known.greys, known.flows))
    return Kept(zlib.compress(content, _QUICKLY), height, width, len(known.greys), captured_ns)


def kept_bytes(height: int, width: int) -> int:
    """The most that is kept of pictures of that size: what does not get smaller by packing."""
    return SPAN * height * width + (height // GRID) * (width // GRID) * 2 * STEPS


def recalled(before: Kept | None, captured_ns: int, shape: tuple[int, ...]) -> Seen | None:
    """For a picture [h, w] = `shape` of that time: None where nothing is known, nothing recent, or of other pictures.
    Raises as `unpacked` does."""
    if before is None or (before.height, before.width) != shape or forgotten(before.seen_ns, captured_ns):
        return None
    return unpacked(before)


def unpacked(before: Kept) -> Seen:
    """Raises ValueError for what nobody has kept."""
    size, cells = before.height * before.width, (before.height // GRID, before.width // GRID, 2 * STEPS)
    wanted = before.greys * size + math.prod(cells)
    if not 1 <= before.greys <= SPAN or not 0 < size <= _LARGEST:
        raise ValueError(f"{before.greys} pictures of {before.width}x{before.height} kept of a camera")
    try:
        content = zlib.decompressobj().decompress(before.packed, wanted + 1)
    except zlib.error as error:
        raise ValueError(f"what was kept of a camera's pictures cannot be read: {error}") from None
    if len(content) != wanted:
        raise ValueError(f"{len(content)} bytes kept of a camera's pictures, {wanted} were expected")
    values = np.frombuffer(content, np.uint8)
    pictures = tuple(
        values[k * size : (k + 1) * size].reshape(before.height, before.width) for k in range(before.greys)
    )
    return Seen(pictures, values[before.greys * size :].view(np.int8).reshape(cells))


def seen(before: Seen | None, picture: Pixels) -> Seen:
    """`picture`: uint8 [h, w, 3], RGB, sides that GRID divides. Raises ValueError for another, or one of another size
    than before."""
    height, width = picture.shape[:2]
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or height % GRID or width % GRID:
        raise ValueError(
            f"a picture {picture.dtype} {picture.shape} where uint8 [h, w, 3] with even sides was expected"
        )
    grey = _grey(picture)
    if before is None:
        return Seen((grey,), np.zeros((height // GRID, width // GRID, 2 * STEPS), np.int8))
    if before.greys[0].shape != grey.shape:
        raise ValueError(f"a picture of {grey.shape} behind one of {before.greys[0].shape}")
    flows = np.concatenate([_flow(before.greys[-1], grey), before.flows[..., :-2]], axis=2)
    return Seen((grey, *before.greys[: SPAN - 1]), flows)


def _flow(before: Pixels, now: Pixels) -> Flow:
    """int8 [h / GRID, w / GRID, 2]: how what is in a cell now has moved."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    # by default it ends at a quarter of the size, where people are two cells
    search.setFinestScale(0)
    # from now to before: asked the other way round, it would say of each cell where it went, not what came
    back = np.asarray(search.calc(now, before, np.zeros((*now.shape, 2), np.float32)), np.float32)
    moved = -back * _explained(now, before, back)[..., None]
    cells = cv2.resize(moved, (now.shape[1] // GRID, now.shape[0] // GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(np.round(cells * UNITS), -127, 127), np.int8)


def _explained(now: Pixels, before: Pixels, back: Floats) -> Floats:
    """[h, w] in 0..1: the share of the difference between the pictures that goes away where flow is followed."""
    rows, columns = np.indices(now.shape, np.float32)
    followed = cv2.remap(
        before, columns + back[..., 0], rows + back[..., 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
    )
    still, moving = (_difference(now, other) for other in (before, followed))
    return np.asarray(np.clip(1 - moving / still, 0, 1), np.float32)


def _difference(one: Pixels, other: npt.NDArray[np.generic]) -> Floats:
    squares = (one.astype(np.float32) - other.astype(np.float32)) ** 2
    return np.asarray(cv2.GaussianBlur(squares, (0, 0), _AROUND) + _NOISE, np.float32)


def _grey(picture: Pixels) -> Pixels:
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), _SMOOTHED)
    alike = (grey - grey.mean()) * (_CONTRAST / max(float(grey.std()), 1.0)) + 128
    return np.asarray(np.clip(np.round(alike), 0, 255), np.uint8)
