"""Clips of simulated junctions: for networks that see pictures in a row."""

from collections.abc import Callable, Iterator

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from simulator.arrays import stream
from simulator.look import VARIANTS
from simulator.scene import Scene
from simulator.traffic import TrafficConfig
from simulator.truth import Truth
from vision.letterbox import Letterbox


class Clips(Struct, frozen=True):
    """Which clips: `scenes` junctions, the first of seed 100,000 * `seed`, each filmed for `frames` pictures."""

    seed: int
    scenes: int
    frames: int

    @property
    def name(self) -> str:
        """Their folder's."""
        return f"clips-{self.seed}-{self.scenes}-{self.frames}"


class Camera(Struct, frozen=True):
    """Pictures of the size `rendered` (width, height), letterboxed into `width` x `height` as a camera's are."""

    width: int
    height: int
    pad: int
    fps: float
    rendered: tuple[int, int]
    traffic: Callable[[np.random.Generator], TrafficConfig]
    """drawn anew for each clip"""

    def clip(self, seed: int, place: int, frames: int) -> Iterator[tuple[NDArray[np.uint8], Truth]]:
        """One scene of `Clips`: pictures [height, width, 3] with their truth (in pixels as rendered). Every variant in
        turn."""
        box = Letterbox(self.width, self.height, "top_left", self.pad)
        rng = stream(seed * 100_000 + place, "clips")
        variant = VARIANTS[place % len(VARIANTS)]
        scene = Scene(seed * 100_000 + place, variant, *self.rendered, self.fps, self.traffic(rng))
        scene.skip(float(rng.uniform(0.0, 12.0)))
        for _ in range(frames):
            picture, truth = scene.frame()
            yield box.from_rgb(picture), truth
