# mypy: allow-untyped-decorators
# (torch is an extra: where it is missing, its types are unknown)
"""Trains any of the networks: the same seed, data and thread count give the same weights.

Stopping and going on changes nothing: order and variation of every step follow from (seed, step) alone. Going on to
another end than was planned changes the rate from there on; the checkpoint then says so in `ends`.
"""

import copy
import io
import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import torch
from msgspec import Struct
from numpy.typing import NDArray
from torch import Tensor, nn


class Recipe(Struct, frozen=True):
    """Everything that the weights depend on besides the data, the network and the lesson."""

    seed: int = 1
    steps: int = 3000
    batch: int = 16
    peak_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup_steps: int = 150
    plain_share: float = 0.0
    """the last share of the steps shows samples as they are, so that the network ends on what it will see"""
    average_decay: float = 0.998
    clip: float = 10.0
    """longest step that a gradient may ask for"""


class Choice(Struct, frozen=True):
    """A sample of a batch, and the dice for its variation."""

    index: int
    dice: np.random.Generator


class Lesson(Protocol):
    """What is learnt: samples with their truth, and what is to be made small."""

    @property
    def sha256(self) -> str:
        """Of the samples, and of whatever else of the lesson the weights depend on."""

    def __len__(self) -> int:
        """Samples."""

    def losses(self, network: nn.Module, batch: Sequence[Choice], plain: bool) -> Mapping[str, Tensor]:
        """Scalars by name; their sum is made small. `plain`: the samples are shown as they are."""


class LossError(ValueError):
    """The loss is no number any more."""


class CheckpointError(ValueError):
    """There is no going on from a checkpoint."""


class Trainer:
    """Holds network, its running average, and optimiser; `run` advances them to the recipe's end."""

    def __init__(self, recipe: Recipe, network: Callable[[], nn.Module], lesson: Lesson) -> None:
        """`network` makes one, after the seed is sown."""
        torch.manual_seed(recipe.seed)
        torch.use_deterministic_algorithms(True)
        self.recipe, self._lesson = recipe, lesson
        self.step = 0
        self.ends: list[tuple[int, int]] = [(0, recipe.steps)]
        """from which step on how many were planned"""
        self.curve: list[tuple[int, dict[str, float]]] = []
        self.network = network().to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval()
        # no decay on norms and biases: they don't overfit, and shrinking them only slows learning
        weights = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        self._optimiser = torch.optim.AdamW(
            [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=recipe.peak_rate,
        )

    def run(
        self,
        checkpoint: Path,
        every: int,
        report: Callable[[int, Mapping[str, float]], None],
        until: int | None = None,
    ) -> None:
        """To the last step, or to `until`, a multiple of `every`. Every `every` steps it is saved, and `report` is told
        (step, mean losses since the last).

        Raises LossError; the checkpoint before stays.
        """
        lately: list[dict[str, float]] = []
        end = self.recipe.steps if until is None else min(until, self.recipe.steps)
        while self.step < end:
            lately.append(self.advance())
            if self.step % every == 0 or self.step == self.recipe.steps:
                means = {name: round(float(np.mean([each[name] for each in lately])), 5) for name in lately[0]}
                lately.clear()
                self.curve.append((self.step, means))
                self.save(checkpoint)
                report(self.step, means)

    def advance(self) -> dict[str, float]:
        """One step; its losses."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate()
        self.network.train()
        plain = self.step >= self.recipe.steps - round(self.recipe.plain_share * self.recipe.steps)
        losses = self._lesson.losses(self.network, self._batch(), plain)
        said = {name: float(loss.detach()) for name, loss in losses.items()}
        if not np.isfinite(list(said.values())).all():
            raise LossError(f"step {self.step}: the loss is no number any more: {said}; a smaller peak rate may help")
        self._optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self._optimiser.step()
        self.step += 1
        self._follow()
        return said

    def save(self, path: Path) -> None:
        """Complete or not at all: written beside, then renamed. Raises OSError; the checkpoint before stays."""
        content = io.BytesIO()
        torch.save(
            {
                "step": self.step,
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self._optimiser.state_dict(),
                "recipe": msgspec.to_builtins(self.recipe),
                "data": self._lesson.sha256,
                "curve": self.curve,
                "ends": self.ends,
            },
            content,
        )
        partial = path.with_suffix(".partial")
        try:
            # not by PyTorch itself, which on a full disk raises what could be anything
            partial.write_bytes(content.getbuffer())
        except OSError:
            partial.unlink(missing_ok=True)
            raise
        partial.rename(path)

    def load(self, path: Path) -> None:
        """Raises CheckpointError for what cannot be read; for one of another recipe (but for its end) or other data,
        for going on from it would be neither; and for one that lies behind the recipe's end."""
        try:
            self._resume(torch.load(path, weights_only=True))
        except (ValueError, RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
            # some of them say nothing
            what = str(error) or type(error).__name__
            raise CheckpointError(f"{path}: {what.splitlines()[0][:200]}") from None

    def _resume(self, state: Mapping[str, Any]) -> None:
        if {**state["recipe"], "steps": self.recipe.steps} != msgspec.to_builtins(self.recipe):
            raise ValueError(f"made with another recipe: {state['recipe']}")
        if state["data"] != self._lesson.sha256:
            raise ValueError(f"made from other samples: sha256 {state['data']}")
        if state["step"] > self.recipe.steps:
            raise ValueError(f"is at step {state['step']} already, behind {self.recipe.steps}")
        self.step = int(state["step"])
        self.ends = [(int(first), int(steps)) for first, steps in state["ends"]]
        if self.ends[-1][1] != self.recipe.steps:
            self.ends.append((self.step, self.recipe.steps))
        self.curve = [(int(step), dict(means)) for step, means in state["curve"]]
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

    def _batch(self) -> list[Choice]:
        """All samples come once in a new order, then again in another."""
        seed, size, count = self.recipe.seed, self.recipe.batch, len(self._lesson)
        batch = []
        for place in range(self.step * size, (self.step + 1) * size):
            order = np.random.default_rng((seed, place // count)).permutation(count)
            batch.append(Choice(int(order[place % count]), np.random.default_rng((seed, 1, place))))
        return batch

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


def to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """[N, H, W, 3] bytes to [N, 3, H, W] in 0..1; the memory stays in the order of the pixels."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)
