"""Crops of single people from rendered shops, with their keypoints; kept on disk, rendered once."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from simulator.shop.scene import ShopConfig, ShopScene
from simulator.shop.truth import ShopperTruth
from training.rendered import Facts, rendered, simulator_commit
from vision.pose import COUNT
from vision.pose_crop import HEIGHT, crop, crop_place, to_crop

_SIZE: Final = (512, 288)
_FRAMES: Final = 8
"""of one shop: many shops teach more than many frames"""
_APART: Final = 0.25
"""frames a second: four seconds apart"""
_SHORTEST, _NARROWEST, _LEAST_SEEN = 40.0, 12.0, 0.35
_JITTER: Final = 0.06
"""detectors' boxes are not exact: sides move by so much of the box's size (standard deviation)"""


class CropRendering(Struct, frozen=True):
    """Which crops: `count` people of the shops from `seed` on."""

    seed: int
    count: int

    @property
    def name(self) -> str:
        """Its folder's."""
        return f"people-{self.seed}-{self.count}"


class CropSet(Struct, frozen=True):
    """`pixels` uint8 [n, HEIGHT, WIDTH, 3] RGB; `keypoints` float32 [n, 18, 3] (x, y in the crop's pixels, 2 seen, 1
    hidden, 0 outside of the picture); `areas` [n] of the exact boxes, in the crop's pixels."""

    pixels: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    areas: NDArray[np.float32]
    commit: str
    """of the simulator that rendered them"""
    sha256: str
    """of pixels and keypoints"""

    def __len__(self) -> int:
        return len(self.pixels)


def crop_set(rendering: CropRendering, folder: Path) -> CropSet:
    """Renders into a folder of that rendering's name, or reads what was rendered there before."""
    home = folder / rendering.name
    facts = rendered(home, partial(_render, rendering), Facts)
    pixels, keypoints, areas = (np.load(home / f"{name}.npy") for name in ("pixels", "keypoints", "areas"))
    return CropSet(pixels, keypoints, areas, facts.commit, facts.sha256)


def _render(rendering: CropRendering, home: Path) -> Facts:
    pixels: list[NDArray[np.uint8]] = []
    keypoints: list[NDArray[np.float32]] = []
    areas: list[float] = []
    seed = rendering.seed
    cv2.setNumThreads(1)
    while len(pixels) < rendering.count:
        scene = ShopScene(seed, *_SIZE, 1.0, ShopConfig(8))
        dice = np.random.default_rng((seed, 77))
        for _ in range(_FRAMES):
            picture, truth = scene.frame()
            scene.skip(1 / _APART - 1)
            for one in truth.people:
                width, height = one.box[2] - one.box[0], one.box[3] - one.box[1]
                if one.visible >= _LEAST_SEEN and height >= _SHORTEST and width >= _NARROWEST:
                    taken = _taken(picture, one, dice)
                    pixels.append(taken[0])
                    keypoints.append(taken[1])
                    areas.append(taken[2])
        seed += 1
    arrays: dict[str, NDArray[np.generic]] = {
        "pixels": np.stack(pixels[: rendering.count]),
        "keypoints": np.stack(keypoints[: rendering.count]),
        "areas": np.array(areas[: rendering.count], np.float32),
    }
    hashed = hashlib.sha256()
    for name, array in arrays.items():
        np.save(home / f"{name}.npy", array)
        hashed.update(array.tobytes())
    return Facts(simulator_commit(), hashed.hexdigest())


def _taken(
    picture: NDArray[np.uint8], one: ShopperTruth, dice: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32], float]:
    box = np.array(one.box)
    size = np.tile(box[2:] - box[:2], 2)
    place = crop_place(box + size * dice.normal(0, _JITTER, 4))
    rows = np.array(one.keypoints, np.float64)
    rows[:, :2] = to_crop(rows[:, :2], place)
    area = float(np.prod(box[2:] - box[:2])) * (HEIGHT / place.height) ** 2
    assert rows.shape == (COUNT, 3)
    return crop(picture, place), rows.astype(np.float32), area
