# mypy: allow-untyped-decorators
# (torch is an extra: where it is missing, its types are unknown)
"""Trains the bundled detector's network: the same seed, data and thread count give the same weights.

Stopping and going on changes nothing: order and augmentation of every step follow from (seed, step) alone.
"""

import copy
import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import torch
from msgspec import Struct
from torch import Tensor

from training.augmentation import augment
from training.loss import Truth, detection_loss
from training.network import JunctionYolo, grid
from training.samples import Sample, SampleSet


class Recipe(Struct, frozen=True):
    """Everything that the weights depend on besides the data."""

    seed: int = 1
    steps: int = 3000
    batch: int = 16
    peak_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup_steps: int = 150
    plain_steps: int = 0
    """last steps on whole pictures as they are, so that the network ends on what it will see"""
    average_decay: float = 0.998
    crop: tuple[int, int] = (192, 320)
    """height and width of the parts that are learnt from: objects as large as they are, half the computing"""


class Trainer:
    """Holds network, its running average, and optimiser; `run` advances them to the recipe's end."""

    def __init__(self, recipe: Recipe, classes: int, samples: SampleSet) -> None:
        torch.manual_seed(recipe.seed)
        torch.use_deterministic_algorithms(True)
        self.recipe = recipe
        self.step = 0
        self._samples = samples
        self.network = JunctionYolo(classes).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval()
        # no decay on norms and biases: they don't overfit, and shrinking them only slows learning
        weights = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        self._optimiser = torch.optim.AdamW(
            [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=recipe.peak_rate,
        )

    def run(self, checkpoint: Path, every: int, report: Callable[[int, float, float], None]) -> None:
        """To the last step; saves every `every` steps and tells `report` (step, class loss, box loss)."""
        while self.step < self.recipe.steps:
            losses = self.advance()
            if self.step % every == 0 or self.step == self.recipe.steps:
                self.save(checkpoint)
                report(self.step, *losses)

    def advance(self) -> tuple[float, float]:
        """One step; class loss and box loss."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate()
        pixels, truth = self._batch()
        self.network.train()
        raw = self.network(pixels)
        class_loss, box_loss = detection_loss(raw, *grid(*pixels.shape[2:]), truth)
        self._optimiser.zero_grad(set_to_none=True)
        (class_loss + box_loss).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self._optimiser.step()
        self.step += 1
        self._follow()
        return float(class_loss.detach()), float(box_loss.detach())

    def save(self, path: Path) -> None:
        """Complete or not at all: written beside, then renamed."""
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "step": self.step,
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self._optimiser.state_dict(),
                "recipe": msgspec.to_builtins(self.recipe),
            },
            partial,
        )
        partial.rename(path)

    def load(self, path: Path) -> None:
        """Raises ValueError for a checkpoint of another recipe: going on from it would be neither of the two."""
        state = torch.load(path, weights_only=True)
        if state["recipe"] != msgspec.to_builtins(self.recipe):
            raise ValueError(f"{path} was made with another recipe: {state['recipe']}")
        self.step = int(state["step"])
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])

    def _rate(self) -> float:
        """Linear warm-up, then half a cosine down to a hundredth."""
        recipe = self.recipe
        if self.step < recipe.warmup_steps:
            return recipe.peak_rate * (self.step + 1) / recipe.warmup_steps
        gone = (self.step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
        return recipe.peak_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * gone)) / 2)

    def _batch(self) -> tuple[Tensor, Truth]:
        recipe, count = self.recipe, len(self._samples)
        plain = self.step >= recipe.steps - recipe.plain_steps
        chosen: list[Sample] = []
        for place in range(self.step * recipe.batch, (self.step + 1) * recipe.batch):
            order = np.random.default_rng((recipe.seed, place // count)).permutation(count)
            sample = self._samples[int(order[place % count])]
            chosen.append(sample if plain else self._augmented(sample, place))
        return to_tensor(np.stack([s.pixels for s in chosen])), _truth(chosen)

    def _augmented(self, sample: Sample, place: int) -> Sample:
        return augment(sample, np.random.default_rng((self.recipe.seed, 1, place)), self.recipe.crop)

    @torch.no_grad()
    def _follow(self) -> None:
        """The average forgets quickly at first, when everything still changes."""
        decay = min(self.recipe.average_decay, (1 + self.step) / (10 + self.step))
        current = self.network.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.mul_(decay).add_(current[name], alpha=1 - decay)
            else:
                value.copy_(current[name])


def to_tensor(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    """[N, H, W, 3] bytes to [N, 3, H, W] in 0..1; the memory stays in the order of the pixels."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)


def _truth(samples: list[Sample]) -> Truth:
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
