"""Training that is stopped half-way and goes on, beside the same that is not."""

from collections.abc import Callable
from pathlib import Path

import torch

from training.audience import Listener
from training.practice import practise
from training.trainer import Trainer


def check_that_stopping_changes_nothing(trainer: Callable[[], Trainer], folder: Path) -> None:
    """`trainer` makes the same one each time."""
    straight, stopped, resumed = trainer(), trainer(), trainer()
    steps = straight.recipe.steps
    practise(straight, folder / "straight.pt", steps, Listener())
    for _ in range(steps // 2):
        stopped.advance()
    stopped.save(folder / "half.pt")
    practise(resumed, folder / "half.pt", steps, Listener())
    for name, value in straight.average.state_dict().items():
        assert torch.equal(value, resumed.average.state_dict()[name]), name
