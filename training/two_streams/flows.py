"""The optical flow of clips that were made hard, computed once and kept, as the frozen maps are."""

import hashlib
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from training.hard_clips.clip_set import ClipSet
from training.hard_clips.features import hardened
from vision.optical_flow import GRID, STEPS, UNITS, Flow, Pixels, Seen, seen

_VERSION: Final = 2
"""of what vision/optical_flow.py computes: to be raised with it"""


class Flows(Struct, frozen=True):
    """Of d draws of hardships for each of s scenes with t pictures; odd draws are mirrored. `steps` int8 [d, s, t,
    rows, columns, 2], mapped from a file: flow of each picture alone."""

    steps: NDArray[np.int8]
    sha256: str

    def until(self, draw: int, scene: int, index: int) -> Flow:
        """[rows, columns, 2 * STEPS]: what a camera is known by that has shown so many pictures."""
        _, _, _, rows, columns, _ = self.steps.shape
        first = max(0, index - STEPS + 1)
        known = self.steps[draw, scene, first : index + 1][::-1]
        flows = np.zeros((rows, columns, STEPS, 2), np.int8)
        flows[:, :, : len(known)] = known.transpose(1, 2, 0, 3)
        return flows.reshape(rows, columns, 2 * STEPS)


def watched(pixels: Pixels) -> Flow:
    """Pictures of one camera [t, h, w, 3] to what is known at each [t, rows, columns, 2 * STEPS]."""
    kept: Seen | None = None
    flows = []
    for picture in pixels:
        kept = seen(kept, picture)
        flows.append(kept.flows)
    return np.stack(flows)


def flows(clips: ClipSet, seed: int, draws: int, folder: Path) -> Flows:
    """Computed into a file named by what it comes from, or read from there. `seed` is the rendering's."""
    said = f"{clips.sha256} {seed} {draws} {_VERSION} {GRID} {UNITS} {cv2.__version__}"
    sha256 = hashlib.sha256(said.encode()).hexdigest()
    file = folder / f"flows-{sha256[:16]}.npy"
    if not file.exists():
        scenes, pictures, height, width, _ = clips.pixels.shape
        partial = file.with_suffix(".partial")
        shape = (draws, scenes, pictures, height // GRID, width // GRID, 2)
        steps = np.lib.format.open_memmap(partial, "w+", np.int8, shape)
        for draw in range(draws):
            for scene in range(scenes):
                steps[draw, scene] = watched(hardened(clips, seed, scene, draw).pixels)[..., :2]
        steps.flush()
        partial.rename(file)
    return Flows(np.load(file, mmap_mode="r"), sha256)
