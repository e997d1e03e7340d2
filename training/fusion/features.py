# mypy: allow-untyped-decorators
# (torch is an extra: where it is missing, its types are unknown)
"""A trained backbone's features of clips, computed once and kept on disk: LSTM and head then learn in minutes."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray
from torch import nn

from training.fusion.clip_set import ClipSet
from training.fusion.network import COLUMNS, ROWS
from training.trainer import to_tensor


class Features(Struct, frozen=True):
    """`maps` float16 [m, s, t, C, ROWS, COLUMNS], mapped from a file: of the pictures, and if m = 2 of their mirror
    images too. `states` uint8 [s, t]."""

    maps: NDArray[np.float16]
    states: NDArray[np.uint8]
    sha256: str
    """of pictures, states and the backbone's weights"""


@torch.no_grad()
def features(layers: nn.Module, channels: int, clips: ClipSet, mirrored: bool, folder: Path) -> Features:
    """Computed into a file named by what they come from, or read from there."""
    hashed = hashlib.sha256(f"{clips.sha256} {mirrored} ".encode())
    for name, value in sorted(layers.state_dict().items()):
        hashed.update(name.encode() + value.contiguous().numpy().tobytes())
    sha256 = hashed.hexdigest()
    file = folder / f"features-{sha256[:16]}.npy"
    if not file.exists():
        layers = layers.eval()
        scenes, pictures = clips.states.shape
        partial = file.with_suffix(".partial")
        shape = (1 + mirrored, scenes, pictures, channels, ROWS, COLUMNS)
        maps = np.lib.format.open_memmap(partial, "w+", np.float16, shape)
        for scene in range(scenes):
            pixels = np.array(clips.pixels[scene])
            maps[0, scene] = layers(to_tensor(pixels)).numpy()
            if mirrored:
                maps[1, scene] = layers(to_tensor(np.ascontiguousarray(pixels[:, :, ::-1]))).numpy()
        maps.flush()
        partial.rename(file)
    return Features(np.load(file, mmap_mode="r"), np.asarray(clips.states), sha256)
