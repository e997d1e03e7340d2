"""What a search came to."""

from typing import Literal

from msgspec import Struct

from training.course.hyperparameters import Hyperparameters

State = Literal["finished", "pruned", "failed"]


class Tried(Struct, frozen=True):
    number: int
    """from 1"""
    state: State
    chosen: Hyperparameters
    step: int
    """how far its figure is known; 0: not at all"""
    figure: float | None
    """mAP50-95 on the validation part, there"""
    reason: str = ""
    """why it failed"""


class Outcome(Struct, frozen=True):
    tried: tuple[Tried, ...]
    best: Tried
    importance: dict[str, float]
    """shares in what the figure depends on, the greatest first; empty where too few have finished"""
    study: str
    recipe: str
    """file of the best hyperparameters"""
