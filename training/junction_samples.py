"""The bundled detector's data: simulated junctions, one array for learning, one of other scenes for judging."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from msgspec import Struct

from simulator.dataset import images
from simulator.look import VARIANTS, Variant
from training.rendered import simulator_commit
from training.samples import Sample, SampleSet, read_samples, write_samples
from vision.letterbox import Letterbox


class Rendering(Struct, frozen=True):
    """Which pictures are rendered. Each variant takes seeds of its own: `seed` plus its place among the variants."""

    seed: int
    per_variant: int
    per_scene: int = 10
    width: int = 448
    height: int = 256
    pad: int = 114


def rendered(rendering: Rendering, variant: Variant) -> Iterator[Sample]:
    """16:9 pictures of one variant, letterboxed as a camera's are."""
    box = Letterbox(rendering.width, rendering.height, "top_left", rendering.pad)
    left, top, width, height = box.placement(1920, 1080)
    seed = rendering.seed + VARIANTS.index(variant)
    source = images(seed, rendering.per_variant, (variant,), (width, height), per_scene=rendering.per_scene)
    for picture, boxes, labels in source:
        moved = (boxes + np.array([left, top, left, top])).astype(np.float32)
        yield Sample(box.from_rgb(picture), moved, labels, variant)


def folder_of(rendering: Rendering, folder: Path) -> Path:
    """Where `sample_set` keeps them."""
    size = f"{rendering.width}x{rendering.height}"
    return folder / f"{rendering.seed}-{rendering.per_variant}-{rendering.per_scene}-{size}"


def sample_set(rendering: Rendering, folder: Path) -> SampleSet:
    """Renders all variants into a folder, or reads what was rendered there before."""
    folder = folder_of(rendering, folder)
    if not (folder / "facts.json").exists():
        everything = (sample for variant in VARIANTS for sample in rendered(rendering, variant))
        count = rendering.per_variant * len(VARIANTS)
        write_samples(folder, everything, count, simulator_commit())
    return read_samples(folder)
