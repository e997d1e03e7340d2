"""Where a search looks."""

import math
from collections.abc import Mapping

from msgspec import Struct

from training.course.hyperparameters import Hyperparameters


class Range(Struct, frozen=True):
    """Both ends belong to it. Raises ValueError for one that is none."""

    low: float
    high: float
    log: bool = False
    """as likely between 1 and 2 as between 2 and 4"""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"a range from {self.low:g} to {self.high:g}: the first must be the smaller")
        if self.log and self.low <= 0:
            raise ValueError(f"a range from {self.low:g} by its logarithm: it must begin above 0")


def space(usual: Hyperparameters) -> Mapping[str, Range]:
    """By hyperparameter. The number of steps is none of them: more are nearly always better, and dearer."""
    return {
        "peak_rate": Range(usual.peak_rate / 5, usual.peak_rate * 5, log=True),
        "weight_decay": Range(0.001, 0.2, log=True),
        "plain_share": Range(0.0, 0.4),
        "average_decay": Range(0.95, 0.999),
        "variation": Range(0.2, 1.8),
    }
