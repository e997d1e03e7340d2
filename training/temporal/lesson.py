"""What block and head learn from: runs of frozen maps with the boxes of their pictures."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from training.hard_clips.clip_set import HEIGHT, WIDTH, ClipSet
from training.hard_clips.features import Features
from training.hard_clips.wanted import padded
from training.loss import detection_loss
from training.network import grid
from training.temporal.network import FOUND, Temporal
from training.trainer import Choice

RUN: Final = 8
"""pictures in a row"""
_STEP: Final = 2


class RunLesson:
    """Each run begins with nothing kept; its first pictures count too, because a camera has a first picture. Objects
    that are hidden at the moment are wanted all the same."""

    def __init__(self, features: Features, clips: ClipSet) -> None:
        self._features, self._clips = features, clips
        draws, scenes, pictures = features.low.shape[:3]
        self._starts = [
            (draw, scene, start)
            for draw in range(draws)
            for scene in range(scenes)
            for start in range(0, pictures - RUN + 1, _STEP)
        ]
        centres, strides = grid(HEIGHT, WIDTH)
        self._centres, self._strides = centres[:FOUND], strides[:FOUND]
        self.sha256 = hashlib.sha256(f"{features.sha256} {RUN} {_STEP}".encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._starts)

    def losses(self, network: nn.Module, batch: Sequence[Choice], plain: bool) -> Mapping[str, Tensor]:
        assert isinstance(network, Temporal)
        low, middle, objects = [], [], []
        for each in batch:
            draw, scene, start = self._starts[each.index]
            low.append(self._features.low[draw, scene, start : start + RUN])
            middle.append(self._features.middle[draw, scene, start : start + RUN])
            objects += [self._clips.objects(scene, start + index, draw % 2 == 1) for index in range(RUN)]
        maps = (torch.from_numpy(np.stack(part)).float() for part in (low, middle))
        rows = network.along(*maps).flatten(0, 1)
        classes, boxes = detection_loss(rows, self._centres, self._strides, padded(objects))
        return {"classes": classes, "boxes": boxes}
