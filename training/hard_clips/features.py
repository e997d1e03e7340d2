# mypy: allow-untyped-decorators
# (torch is an extra: where it is missing, its types are unknown)
"""The frozen maps of clips that were made hard, computed once and kept: what is built on them learns in minutes."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray

from training.hard_clips.clip_set import SHOWN, ClipSet
from training.hard_clips.eyes import Eyes
from training.hard_clips.hardship import Hard, harden
from training.trainer import to_tensor


class Features(Struct, frozen=True):
    """Of d draws of hardships for each of s scenes with t pictures; odd draws are mirrored. Mapped from files: the
    eyes' maps `low` and `middle`, float16 [d, s, t, channels, rows, columns]."""

    low: NDArray[np.float16]
    middle: NDArray[np.float16]
    sha256: str
    """of pictures, objects, the frozen weights, and the number of draws"""


def hardened(clips: ClipSet, seed: int, scene: int, draw: int = 0) -> Hard:
    """A scene as the network is shown it. `seed` is the rendering's."""
    pixels = clips.pixels[scene]
    return harden(pixels[:, :, ::-1] if draw % 2 else pixels, seed * 100_000 + scene + 1_000 * draw, SHOWN[1])


@torch.no_grad()
def features(eyes: Eyes, clips: ClipSet, seed: int, draws: int, folder: Path) -> Features:
    """Computed into files named by what they come from, or read from there."""
    enlarged = f"{eyes.enlarged} " if eyes.enlarged > 1 else ""
    hashed = hashlib.sha256(f"{clips.sha256} {seed} {draws} {enlarged}".encode())
    for name, value in sorted(eyes.state_dict().items()):
        hashed.update(name.encode() + value.contiguous().numpy().tobytes())
    sha256 = hashed.hexdigest()
    files = [folder / f"features-{sha256[:16]}-{part}.npy" for part in ("low", "middle")]
    if not all(file.exists() for file in files):
        scenes, pictures = clips.pixels.shape[:2]
        shapes = [part.shape[1:] for part in eyes(to_tensor(np.array(clips.pixels[0, :1])))]
        partial = [file.with_suffix(".partial") for file in files]
        maps = [
            np.lib.format.open_memmap(file, "w+", np.float16, (draws, scenes, pictures, *shape))
            for file, shape in zip(partial, shapes, strict=True)
        ]
        for draw in range(draws):
            for scene in range(scenes):
                made = eyes(to_tensor(hardened(clips, seed, scene, draw).pixels))
                for array, part in zip(maps, made, strict=True):
                    array[draw, scene] = part.numpy()
        for array, file, whole in zip(maps, partial, files, strict=True):
            array.flush()
            file.rename(whole)
    low, middle = (np.load(file, mmap_mode="r") for file in files)
    return Features(low, middle, sha256)
