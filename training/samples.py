"""Labelled pictures at the network's resolution, kept as one array on disk so that training never waits for them."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Boxes = NDArray[np.float32]


class Sample(Struct, frozen=True):
    """A letterboxed picture [H, W, 3] RGB; its objects' boxes [M, 4] as corners in its pixels; labels [M]; and what
    it shows (`variant`: the simulator's weather and light)."""

    pixels: Pixels
    boxes: Boxes
    labels: NDArray[np.int64]
    variant: str


class SampleSet(Struct, frozen=True):
    """Samples of equal size. `pixels` [n, H, W, 3] may be mapped from a file; sample i owns `rows[i]:rows[i + 1]` of
    `boxes` and `labels`."""

    pixels: Pixels
    boxes: Boxes
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]
    variants: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Sample:
        own = slice(int(self.rows[index]), int(self.rows[index + 1]))
        return Sample(self.pixels[index], self.boxes[own], self.labels[own], self.variants[index])


def write_samples(folder: Path, samples: Iterable[Sample], count: int, commit: str = "unknown") -> None:
    """Writes `count` samples; `facts.json` comes last, so a folder without it is unfinished.

    `commit` is that of the code which made them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pixels: Pixels | None = None
    boxes, labels, rows, variants = [], [], [0], []
    for index, sample in enumerate(samples):
        if pixels is None:
            shape = (count, *sample.pixels.shape)
            pixels = np.lib.format.open_memmap(folder / "pixels.npy", "w+", np.uint8, shape)
        pixels[index] = sample.pixels
        boxes.append(sample.boxes)
        labels.append(sample.labels)
        rows.append(rows[-1] + len(sample.labels))
        variants.append(sample.variant)
    if len(variants) != count or pixels is None:
        raise ValueError(f"{count} samples were announced, {len(variants)} came")
    pixels.flush()  # type: ignore[attr-defined]
    np.savez(folder / "objects.npz", boxes=np.concatenate(boxes), labels=np.concatenate(labels), rows=np.array(rows))
    (folder / "facts.json").write_text(json.dumps({"count": count, "commit": commit, "variants": variants}))


def read_samples(folder: Path) -> SampleSet:
    """Raises FileNotFoundError for a folder that isn't there or wasn't finished."""
    facts = json.loads((folder / "facts.json").read_text())
    objects = np.load(folder / "objects.npz")
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    return SampleSet(pixels, objects["boxes"], objects["labels"], objects["rows"], tuple(facts["variants"]))


def commit_in(folder: Path) -> str:
    """The commit of the code that made the samples of a folder."""
    return str(json.loads((folder / "facts.json").read_text()).get("commit", "unknown"))
