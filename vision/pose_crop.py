"""A person's box as the picture that a single-person pose model sees, and its keypoints brought back."""

from typing import Final

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

WIDTH: Final = 64
HEIGHT: Final = 96
_MARGIN: Final = 1.15
"""the crop is so much larger than the box"""
_PAD: Final = 114


class CropPlace(msgspec.Struct, frozen=True):
    """Where a crop lies in the source: its top left corner and its size, pixels."""

    left: float
    top: float
    width: float
    height: float


def crop_place(box: Floats) -> CropPlace:
    """Around a box (x1, y1, x2, y2), in the crop's proportions. ValueError for a box without an area."""
    width, height = float(box[2] - box[0]), float(box[3] - box[1])
    if not (width > 0 and height > 0):
        raise ValueError(f"a box of {width} x {height} pixels")
    tall = _MARGIN * max(height, width * HEIGHT / WIDTH)
    wide = tall * WIDTH / HEIGHT
    return CropPlace(float(box[0] + box[2] - wide) / 2, float(box[1] + box[3] - tall) / 2, wide, tall)


def crop(picture: npt.NDArray[np.uint8], place: CropPlace) -> npt.NDArray[np.uint8]:
    """uint8 [HEIGHT, WIDTH, 3]; grey where the picture ends."""
    scale = place.height / HEIGHT
    matrix = np.array([[scale, 0.0, place.left + scale / 2 - 0.5], [0.0, scale, place.top + scale / 2 - 0.5]])
    if scale > 1.5:  # or thin limbs would fall between the samples
        picture = np.asarray(cv2.blur(picture, (round(scale), round(scale))), np.uint8)
    taken = cv2.warpAffine(
        picture,
        matrix,
        (WIDTH, HEIGHT),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(_PAD, _PAD, _PAD),
    )
    return np.asarray(taken, np.uint8)


def to_crop(points: Floats, place: CropPlace) -> Floats:
    """Source pixels [..., 2] to the crop's."""
    return np.asarray((points - (place.left, place.top)) * (HEIGHT / place.height))


def from_crop(points: Floats, place: CropPlace) -> Floats:
    """The crop's pixels [..., 2] to those of the source."""
    return np.asarray(points * (place.height / HEIGHT) + (place.left, place.top))
