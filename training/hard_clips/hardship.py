"""Makes clips hard to see, from seeds: things that pass in front, blur of motion, lost contrast, noise.

All of it lasts for a few pictures and goes away again, as in front of a camera: what was to be seen before can help.
"""

from typing import Final

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from simulator.arrays import stream
from training.average_precision import Objects

HIDDEN: Final = 0.5
"""share of its box from which on an object is called hidden"""
_BLURRED: Final = (0.10, 2, 5)
"""chance that it begins with a picture, fewest and most pictures that it lasts"""
_FADED: Final = (0.04, 1, 4)


class Hard(Struct, frozen=True):
    """A clip of t pictures made hard: `pixels` uint8 [t, H, W, 3]; `covered` bool [t, H, W], where something passes in
    front; `blurred` and `faded` bool [t]."""

    pixels: NDArray[np.uint8]
    covered: NDArray[np.bool_]
    blurred: NDArray[np.bool_]
    faded: NDArray[np.bool_]

    def hidden(self, index: int, objects: Objects) -> NDArray[np.bool_]:
        """Which of a picture's objects are hidden at least by half."""
        shares = [
            float(self.covered[index, int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))].mean())
            for x1, y1, x2, y2 in objects.boxes
        ]
        return np.array(shares, np.float64) >= HIDDEN


def harden(pixels: NDArray[np.uint8], seed: int, height: int) -> Hard:
    """pixels [t, H, W, 3], of which the rows below `height` are the letterbox's; equal arguments give equal bytes."""
    frames, _, width, _ = pixels.shape
    rng = stream(seed, "hardship")
    hard = np.array(pixels)
    shown = hard[:, :height]
    blurred, faded = _episodes(rng, frames, *_BLURRED), _episodes(rng, frames, *_FADED)
    for index in np.flatnonzero(blurred).tolist():
        shown[index] = cv2.filter2D(shown[index], -1, _streak(rng))
    covered = np.zeros(hard.shape[:3], bool)
    for _ in range(int(rng.integers(2, 5))):
        _pass(rng, shown, covered)
    sigma = float(rng.uniform(2.0, 10.0))
    for index in range(frames):
        values = shown[index].astype(np.float32)
        if faded[index]:
            values = rng.uniform(60, 190) + (values - values.mean()) * rng.uniform(0.06, 0.2)
        values += rng.normal(0.0, sigma, (height, width, 3)).astype(np.float32)
        shown[index] = np.clip(np.round(values), 0, 255).astype(np.uint8)
    return Hard(hard, covered, blurred, faded)


def _episodes(rng: np.random.Generator, frames: int, chance: float, fewest: int, most: int) -> NDArray[np.bool_]:
    """Never from the first picture on."""
    during = np.zeros(frames, bool)
    index = 1
    while index < frames:
        if rng.random() < chance:
            lasts = int(rng.integers(fewest, most + 1))
            during[index : index + lasts] = True
            index += lasts
        index += 1
    return during


def _streak(rng: np.random.Generator) -> NDArray[np.float32]:
    """A kernel of a straight movement while the shutter is open."""
    side = int(rng.choice([7, 9, 11, 13, 15]))
    angle, middle = rng.uniform(0, np.pi), side // 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * middle
    kernel = np.zeros((side, side), np.float32)
    ends = [tuple(int(v) for v in np.round(middle + sign * reach)) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _pass(rng: np.random.Generator, shown: NDArray[np.uint8], covered: NDArray[np.bool_]) -> None:
    """Something moves through the pictures: a post that sways, the side of a bus, or a patch; comes again and again."""
    frames, height, width, _ = shown.shape
    kind = str(rng.choice(["post", "bus", "patch"], p=[0.3, 0.35, 0.35]))
    if kind == "post":
        size, speed = (int(rng.integers(5, 15)), height), (rng.uniform(-2.0, 2.0), 0.0)
    elif kind == "bus":
        size = (int(rng.integers(40, 90)), int(height * rng.uniform(0.5, 0.95)))
        speed = (rng.choice([-1, 1]) * rng.uniform(5.0, 14.0), 0.0)
    else:
        size = (int(rng.integers(20, 50)), int(rng.integers(18, 46)))
        speed = (rng.choice([-1, 1]) * rng.uniform(2.0, 8.0), rng.uniform(-1.5, 1.5))
    looks = _cloth(rng, *size)
    start = rng.uniform(0, width + size[0]), rng.uniform(0.25 * height, 0.95 * height)
    for index in range(frames):
        left = round((start[0] + speed[0] * index) % (width + size[0])) - size[0]
        top = height - size[1] if kind != "patch" else round(start[1] + speed[1] * index) - size[1] // 2
        x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + size[0], width), min(top + size[1], height)
        if x1 < x2 and y1 < y2:
            shown[index, y1:y2, x1:x2] = looks[y1 - top : y2 - top, x1 - left : x2 - left]
            covered[index, y1:y2, x1:x2] = True


def _cloth(rng: np.random.Generator, width: int, height: int) -> NDArray[np.uint8]:
    """[height, width, 3]: one colour with stains, now and then with stripes."""
    coarse = rng.normal(0, rng.uniform(4, 20), (max(2, height // 8), max(2, width // 8), 3)).astype(np.float32)
    stains = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    colour = rng.uniform(20, 220) + rng.uniform(-25, 25, 3)
    stripes = np.zeros((height, 1, 1))
    if rng.random() < 0.5:
        stripes[:, 0, 0] = 30 * np.sign(np.sin(np.arange(height) * 2 * np.pi / rng.uniform(8, 40)))
    return np.asarray(np.clip(colour + stains + stripes, 0, 255), np.uint8)
