"""Rendered clips of junctions with their objects' boxes, kept on disk: rendered once, mapped when read.

Pictures are kept as they are seen in good weather and by a good camera; `hardship` makes them hard.
"""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from simulator.actors import LABELS
from simulator.traffic import TrafficConfig
from simulator.truth import ObjectTruth, Truth
from training.average_precision import Objects
from training.junction_clips import Camera, Clips
from training.rendered import Facts, rendered, simulator_commit

HEIGHT: Final = 128
WIDTH: Final = 224
PAD: Final = 114
FPS: Final = 8.0
"""of what the network sees; at 10 m/s a car in the middle of the picture moves one or two of the network's cells"""
SHOWN: Final = (224, 126)
"""width and height of a picture within its letterbox, as rendered"""
LEAST_HEIGHT: Final = 10.0
"""pixels; what is smaller is neither wanted nor held against anybody"""
LEAST_VISIBLE: Final = 0.35
"""share of the outline that others of the scene leave to be seen; hardships don't count"""


class Rendering(Clips, frozen=True):
    """Clips of four seconds."""

    frames: int = 32


class ClipSet(Struct, frozen=True):
    """Of s scenes with t pictures each. `pixels` uint8 [s, t, HEIGHT, WIDTH, 3] RGB, mapped from a file. Pictures are
    counted through all scenes; the p-th owns `rows[p]:rows[p + 1]` of `boxes` float64 [n, 4] (corners), `labels` [n]
    and `ignored` [n]: too small or too much hidden by others to be wanted."""

    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    rows: NDArray[np.int64]
    commit: str
    """of the simulator that rendered them"""
    sha256: str
    """of pictures and objects"""

    def objects(self, scene: int, index: int, mirrored: bool = False) -> Objects:
        """Of one picture; those to be ignored as crowds are."""
        place = scene * self.pixels.shape[1] + index
        own = slice(int(self.rows[place]), int(self.rows[place + 1]))
        boxes = self.boxes[own]
        if mirrored:
            boxes = np.stack([WIDTH - boxes[:, 2], boxes[:, 1], WIDTH - boxes[:, 0], boxes[:, 3]], axis=1)
        return Objects(boxes, self.labels[own], self.ignored[own])


def clip_set(rendering: Rendering, folder: Path) -> ClipSet:
    """Renders into a folder of that rendering's name, or reads what was rendered there before."""
    home = folder / rendering.name
    facts = rendered(home, partial(_render, rendering), Facts)
    pixels = np.load(home / "pixels.npy", mmap_mode="r")
    objects = np.load(home / "objects.npz")
    boxes, labels, ignored, rows = (objects[name] for name in ("boxes", "labels", "ignored", "rows"))
    return ClipSet(pixels, boxes, labels, ignored, rows, facts.commit, facts.sha256)


def _render(rendering: Rendering, home: Path) -> Facts:
    shape = (rendering.scenes, rendering.frames, HEIGHT, WIDTH, 3)
    pixels = np.lib.format.open_memmap(home / "pixels.npy", "w+", np.uint8, shape)
    found: list[Objects] = []
    hashed = hashlib.sha256()
    for place in range(rendering.scenes):
        for index, (picture, truth) in enumerate(clip(rendering.seed, place, rendering.frames)):
            pixels[place, index] = picture
            found.append(_objects(truth))
        hashed.update(pixels[place].tobytes())
    pixels.flush()
    boxes, labels, ignored = (
        np.concatenate([getattr(each, name) for each in found]) for name in ("boxes", "labels", "crowd")
    )
    rows = np.cumsum([0, *(len(each.labels) for each in found)])
    for array in (boxes, labels, ignored, rows):
        hashed.update(array.tobytes())
    np.savez(home / "objects.npz", boxes=boxes, labels=labels, ignored=ignored, rows=rows)
    return Facts(simulator_commit(), hashed.hexdigest())


def clip(seed: int, place: int, frames: int) -> Iterator[tuple[NDArray[np.uint8], Truth]]:
    """One scene of a rendering: pictures [HEIGHT, WIDTH, 3] with their truth (whose pixels are the pictures')."""
    return Camera(WIDTH, HEIGHT, PAD, FPS, SHOWN, _traffic).clip(seed, place, frames)


def _traffic(rng: np.random.Generator) -> TrafficConfig:
    """More than is usual."""
    return TrafficConfig(demand=float(rng.uniform(0.6, 1.6)), bus_share=float(rng.uniform(0.05, 0.16)))


def _objects(truth: Truth) -> Objects:
    seen = [one for one in truth.objects if one.visible > 0 and min(_size(one)) > 1]
    ignored = [one.visible < LEAST_VISIBLE or _size(one)[1] < LEAST_HEIGHT for one in seen]
    boxes = np.array([one.box for one in seen], np.float64).reshape(-1, 4)
    return Objects(boxes, np.array([LABELS.index(one.label) for one in seen], np.int64), np.array(ignored, bool))


def _size(one: ObjectTruth) -> tuple[float, float]:
    return one.box[2] - one.box[0], one.box[3] - one.box[1]
