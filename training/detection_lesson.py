"""What a detector learns from: boxes in pictures; of new ones alone, or with old ones mixed in."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from training.augmentation import augment
from training.loss import Truth, detection_loss
from training.network import grid
from training.samples import Sample, SampleSet
from training.trainer import Choice, to_tensor

CROP = (192, 320)
"""height and width of the parts that are learnt from: objects as large as they are, half the computing"""


class DetectionLesson:
    def __init__(self, samples: SampleSet, crop: tuple[int, int] = CROP, variation: float = 1.0) -> None:
        """`variation`: see `augment`."""
        self._samples, self._crop, self._variation = samples, crop, variation
        # the usual one is not named: checkpoints from before there was another are still gone on with
        hashed = hashlib.sha256(repr(crop if variation == 1 else (crop, variation)).encode())
        for array in (samples.pixels, samples.boxes, samples.labels, samples.rows):
            hashed.update(np.ascontiguousarray(array).data)
        self.sha256 = hashed.hexdigest()

    def __len__(self) -> int:
        return len(self._samples)

    def losses(self, network: nn.Module, batch: Sequence[Choice], plain: bool) -> Mapping[str, Tensor]:
        return _losses(network, [self.sample(each, plain) for each in batch])

    def sample(self, choice: Choice, plain: bool) -> Sample:
        sample = self._samples[choice.index]
        return sample if plain else augment(sample, choice.dice, self._crop, self._variation)


class Rehearsal:
    """New samples, and among them old ones, so that what was known is not forgotten. `share` (0..1, not 1) of what is
    shown is old; which of the old ones is left to chance, so that in time all come."""

    def __init__(self, new: DetectionLesson, old: DetectionLesson, share: float) -> None:
        self._new, self._old = new, old
        self._length = max(len(new) + 1, round(len(new) / (1 - share)))
        self.sha256 = hashlib.sha256(f"{new.sha256} {old.sha256} {self._length}".encode()).hexdigest()

    def __len__(self) -> int:
        return self._length

    def losses(self, network: nn.Module, batch: Sequence[Choice], plain: bool) -> Mapping[str, Tensor]:
        return _losses(network, [self._sample(each, plain) for each in batch])

    def _sample(self, choice: Choice, plain: bool) -> Sample:
        if choice.index < len(self._new):
            return self._new.sample(choice, plain)
        return self._old.sample(Choice(int(choice.dice.integers(len(self._old))), choice.dice), plain)


def crop_for(width: int, height: int) -> tuple[int, int]:
    """Height and width of the parts to learn from: about half of a large picture, all of a small one."""
    sides = [min(side, max(192, 32 * round(0.72 * side / 32))) for side in (height, width)]
    return sides[0], sides[1]


def _losses(network: nn.Module, samples: Sequence[Sample]) -> Mapping[str, Tensor]:
    pixels = to_tensor(np.stack([sample.pixels for sample in samples]))
    classes, boxes = detection_loss(network(pixels), *grid(*pixels.shape[2:]), _truth(samples))
    return {"classes": classes, "boxes": boxes}


def _truth(samples: Sequence[Sample]) -> Truth:
    most = max(1, *(len(s.labels) for s in samples))
    boxes = torch.zeros(len(samples), most, 4)
    labels = torch.zeros(len(samples), most, dtype=torch.int64)
    real = torch.zeros(len(samples), most, dtype=torch.bool)
    for i, sample in enumerate(samples):
        count = len(sample.labels)
        boxes[i, :count] = torch.from_numpy(sample.boxes)
        labels[i, :count] = torch.from_numpy(sample.labels)
        real[i, :count] = True
    return Truth(boxes, labels, real)
