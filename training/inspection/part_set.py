"""Rendered part pictures with their masks, kept on disk: rendered once, mapped when read."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from simulator.line.design import SIDE
from simulator.line.part import LineConfig
from simulator.line.pictures import part_pictures
from simulator.line.truth import PartTruth
from training.rendered import Facts, rendered, simulator_commit

PER_LINE: Final = 4
"""parts of one line: many lines teach more than many parts"""


class Rendering(Struct, frozen=True):
    """Which parts: `count` of the lines from `seed` on, the share `defective` of them; `sizes` (mm) and
    `clear_of_print` as a line's."""

    seed: int
    count: int
    defective: float = 0.5
    sizes: tuple[float, float] | None = None
    clear_of_print: bool = False

    @property
    def name(self) -> str:
        """Its folder's."""
        sizes = f"-{self.sizes[0]:g}-{self.sizes[1]:g}" if self.sizes else ""
        clear = "-clear" if self.clear_of_print else ""
        return f"parts-{self.seed}-{self.count}-{self.defective:g}{sizes}{clear}"


class PartSet(Struct, frozen=True):
    """`pixels` uint8 [n, SIDE, SIDE, 3] RGB and `masks` uint8 [n, SIDE, SIDE] (0 or 1) are mapped from files."""

    pixels: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    truths: tuple[PartTruth, ...]
    commit: str
    """of the simulator that rendered them"""
    sha256: str
    """of the pixels"""

    def __len__(self) -> int:
        return len(self.truths)

    @property
    def defective(self) -> NDArray[np.bool_]:
        """[n]"""
        return np.array([not truth.good for truth in self.truths])


class _Facts(Facts, frozen=True):
    truths: tuple[PartTruth, ...]


def part_set(rendering: Rendering, folder: Path) -> PartSet:
    """Renders into a folder of that rendering's name, or reads what was rendered there before."""
    home = folder / rendering.name
    facts = rendered(home, partial(_render, rendering), _Facts)
    pixels, masks = (np.load(home / f"{name}.npy", mmap_mode="r") for name in ("pixels", "masks"))
    return PartSet(pixels, masks, facts.truths, facts.commit, facts.sha256)


def _render(rendering: Rendering, home: Path) -> _Facts:
    shape = (rendering.count, SIDE, SIDE)
    pixels = np.lib.format.open_memmap(home / "pixels.npy", "w+", np.uint8, (*shape, 3))
    masks = np.lib.format.open_memmap(home / "masks.npy", "w+", np.uint8, shape)
    config = LineConfig(rendering.defective, rendering.sizes, clear_of_print=rendering.clear_of_print)
    truths, hashed = [], hashlib.sha256()
    for index, picture in enumerate(part_pictures(rendering.seed, rendering.count, config, per_line=PER_LINE)):
        pixels[index], masks[index] = picture.pixels, picture.mask
        hashed.update(picture.pixels.tobytes())
        truths.append(picture.truth)
    pixels.flush()
    masks.flush()
    return _Facts(simulator_commit(), hashed.hexdigest(), tuple(truths))
