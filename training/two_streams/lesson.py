"""What the two streams learn from: frozen maps and flow of single pictures with their boxes."""

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
from training.trainer import Choice
from training.two_streams.flows import Flows
from training.two_streams.network import FOUND, TwoStreams

MOTION_WEIGHT: Final = 0.5
"""of what the motion stream finds by itself"""


class PictureLesson:
    """Every picture counts, a camera's first ones too. Objects that are hidden at the moment are wanted, too."""

    def __init__(self, features: Features, flows: Flows, clips: ClipSet) -> None:
        self._features, self._flows, self._clips = features, flows, clips
        self._places = [tuple(place) for place in np.ndindex(features.low.shape[:3])]
        centres, strides = grid(HEIGHT, WIDTH)
        self._centres, self._strides = centres[:FOUND], strides[:FOUND]
        self.sha256 = hashlib.sha256(f"{features.sha256} {flows.sha256} {MOTION_WEIGHT}".encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._places)

    def losses(self, network: nn.Module, batch: Sequence[Choice], plain: bool) -> Mapping[str, Tensor]:
        assert isinstance(network, TwoStreams)
        places = [self._places[each.index] for each in batch]
        low, middle = (
            torch.from_numpy(np.stack([part[place] for place in places])).float()
            for part in (self._features.low, self._features.middle)
        )
        flows = flow_tensor(np.stack([self._flows.until(*place) for place in places]))
        objects = [self._clips.objects(scene, index, draw % 2 == 1) for draw, scene, index in places]
        rows, motion = network.apart(low, middle, flows)
        truth = padded(objects)
        classes, boxes = detection_loss(rows, self._centres, self._strides, truth)
        losses = {"classes": classes, "boxes": boxes}
        if motion is not None:
            losses["motion"] = MOTION_WEIGHT * sum(detection_loss(motion, self._centres, self._strides, truth))
        return losses


def flow_tensor(flows: np.ndarray) -> Tensor:
    """[N, rows, columns, 2 * STEPS] as it is served to [N, 2 * STEPS, rows, columns]."""
    return torch.from_numpy(flows).permute(0, 3, 1, 2).float()
