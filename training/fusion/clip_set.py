"""Rendered clips of junctions with what goes on in each picture, kept on disk: rendered once, mapped when read."""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from simulator.traffic import TrafficConfig
from simulator.truth import Truth
from training.fusion.activity import ACTIVITIES, across, activity, watched
from training.junction_clips import Camera, Clips
from training.rendered import Facts, rendered, simulator_commit

HEIGHT: Final = 96
WIDTH: Final = 160
PAD: Final = 114
FPS: Final = 4.0
"""of what the network sees; at 1 m/s a car in the middle of the picture moves two pixels between two of its pictures"""
CELL: Final = 4
"""pixels a side of the occupancy's cells"""
_RENDERED: Final = (320, 180)
"""width and height: as cameras' pictures are shaped, and twice as large as they are then shown"""


class Rendering(Clips, frozen=True):
    """Clips of twenty seconds."""

    frames: int = 80


class ClipSet(Struct, frozen=True):
    """Of s scenes with t pictures each, mapped from files:

    `pixels` uint8 [s, t, HEIGHT, WIDTH, 3] RGB; `states` uint8 [s, t], indices of ACTIVITIES; `occupied` uint8
    [s, t, 2, HEIGHT / CELL, WIDTH / CELL], the share (of 255) of each cell within boxes of vehicles that point along
    the road, and across.
    """

    pixels: NDArray[np.uint8]
    states: NDArray[np.uint8]
    occupied: NDArray[np.uint8]
    commit: str
    """of the simulator that rendered them"""
    sha256: str
    """of pixels and states"""


def clip_set(rendering: Rendering, folder: Path) -> ClipSet:
    """Renders into a folder of that rendering's name, or reads what was rendered there before."""
    home = folder / rendering.name
    facts = rendered(home, partial(_render, rendering), Facts)
    pixels, states, occupied = (np.load(home / f"{name}.npy", mmap_mode="r") for name in _SHAPES)
    return ClipSet(pixels, states, occupied, facts.commit, facts.sha256)


_SHAPES: Final[dict[str, tuple[int, ...]]] = {
    "pixels": (HEIGHT, WIDTH, 3),
    "states": (),
    "occupied": (2, HEIGHT // CELL, WIDTH // CELL),
}


def _render(rendering: Rendering, home: Path) -> Facts:
    size = (rendering.scenes, rendering.frames)
    arrays = {
        name: np.lib.format.open_memmap(home / f"{name}.npy", "w+", np.uint8, (*size, *shape))
        for name, shape in _SHAPES.items()
    }
    hashed = hashlib.sha256()
    for place in range(rendering.scenes):
        for index, (picture, truth) in enumerate(clip(rendering.seed, place, rendering.frames)):
            arrays["pixels"][place, index] = picture
            arrays["states"][place, index] = ACTIVITIES.index(activity(truth, _RENDERED[1]))
            arrays["occupied"][place, index] = _occupied(truth)
        hashed.update(arrays["pixels"][place].tobytes() + arrays["states"][place].tobytes())
    for array in arrays.values():
        array.flush()
    return Facts(simulator_commit(), hashed.hexdigest())


def clip(seed: int, place: int, frames: int) -> Iterator[tuple[NDArray[np.uint8], Truth]]:
    """One scene of a rendering: pictures [HEIGHT, WIDTH, 3] with their truth (in pixels as rendered)."""
    return Camera(WIDTH, HEIGHT, PAD, FPS, _RENDERED, _traffic).clip(seed, place, frames)


def _traffic(rng: np.random.Generator) -> TrafficConfig:
    """From nearly none to more than is usual."""
    return TrafficConfig(demand=float(rng.choice([0.12, 0.35, 0.7, 1.1]) * rng.uniform(0.7, 1.3)))


def _occupied(truth: Truth) -> NDArray[np.uint8]:
    maps = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    for vehicle in watched(truth, _RENDERED[1]):
        left, top, right, bottom = (round(edge * WIDTH / _RENDERED[0]) for edge in vehicle.box)
        maps[int(across(vehicle)), top:bottom, left:right] = 255
    shared = maps.reshape(2, HEIGHT // CELL, CELL, WIDTH // CELL, CELL).mean(axis=(2, 4))
    return np.asarray(np.round(shared), np.uint8)
