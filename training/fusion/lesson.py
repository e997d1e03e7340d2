"""What the fusion network learns from: pictures first, for the backbone; then runs of features, for LSTM and head."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.fusion.clip_set import ClipSet
from training.fusion.features import Features
from training.fusion.network import Head
from training.trainer import Choice, to_tensor

RUN: Final = 16
"""pictures in a row"""
_STRIDE: Final = 4


class PictureLesson:
    """Single pictures of all clips, mirrored and relit."""

    def __init__(self, clips: ClipSet) -> None:
        self._clips = clips
        self._pictures = clips.states.shape[1]
        counts = np.bincount(np.asarray(clips.states).ravel(), minlength=4)
        self._weights = class_weights(counts)
        self.sha256 = clips.sha256

    def __len__(self) -> int:
        return int(self._clips.states.size)

    def losses(self, network: nn.Module, batch: Sequence[Choice], plain: bool) -> Mapping[str, Tensor]:
        pictures, places, states = [], [], []
        for each in batch:
            scene, index = divmod(each.index, self._pictures)
            picture, place = self._clips.pixels[scene, index], self._clips.occupied[scene, index]
            if each.dice.random() < 0.5:
                picture, place = picture[:, ::-1], place[..., ::-1]
            pictures.append(picture if plain else _relit(picture, each.dice))
            places.append(place)
            states.append(int(self._clips.states[scene, index]))
        logits, found = network(to_tensor(np.ascontiguousarray(np.stack(pictures))))
        wanted = torch.from_numpy(np.stack(places)).float() / 255
        errors = functional.binary_cross_entropy_with_logits(found, wanted, reduction="none")
        return {
            "state": functional.cross_entropy(logits, torch.tensor(states), self._weights),
            # vehicles fill a twentieth of the picture
            "places": 2 * (errors * (1 + 4 * wanted)).mean(),
        }


class RunLesson:
    """Runs of features that were computed once. Each run begins with an
    empty state; its first pictures count too, because a camera has a first picture."""

    def __init__(self, features: Features) -> None:
        self._features = features
        scenes, pictures = features.states.shape
        self._starts = [
            (mirrored, scene, start)
            for mirrored in range(len(features.maps))
            for scene in range(scenes)
            for start in range(0, pictures - RUN + 1, _STRIDE)
        ]
        self._weights = class_weights(np.bincount(np.asarray(features.states).ravel(), minlength=4))
        self.sha256 = hashlib.sha256(f"{features.sha256} {RUN} {_STRIDE}".encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._starts)

    def losses(self, network: nn.Module, batch: Sequence[Choice], plain: bool) -> Mapping[str, Tensor]:
        assert isinstance(network, Head)
        runs, states = [], []
        for each in batch:
            mirrored, scene, start = self._starts[each.index]
            runs.append(self._features.maps[mirrored, scene, start : start + RUN])
            states.append(self._features.states[scene, start : start + RUN])
        features = torch.from_numpy(np.stack(runs)).float()
        wanted = torch.from_numpy(np.stack(states)).long()
        logits = network.along(features)
        return {"state": functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), self._weights)}


def class_weights(counts: NDArray[np.integer]) -> Tensor:
    """By the root of how rare they are: no class is forgotten, and none that is rare is called too often."""
    weights = 1 / np.sqrt(np.maximum(counts, 1))
    return torch.tensor(weights / np.average(weights, weights=np.maximum(counts, 1)), dtype=torch.float32)


def _relit(picture: NDArray[np.uint8], dice: np.random.Generator) -> NDArray[np.uint8]:
    """Brighter or darker, another tint."""
    level = np.arange(256, dtype=np.float64) / 255
    tint = dice.uniform(0.8, 1.2) * dice.uniform(0.93, 1.07, 3)
    table = np.clip(255 * level[:, None] ** np.exp(dice.uniform(-0.2, 0.2)) * tint, 0, 255).astype(np.uint8)
    return np.stack([table[picture[..., channel], channel] for channel in range(3)], axis=-1)
