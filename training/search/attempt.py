"""One training with chosen hyperparameters, as a study sees it: a port, and its fake."""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from training.course.hyperparameters import Hyperparameters

Report = Callable[[int, float], None]
"""told (step, figure) on the way; raises PrunedError where going on is not worth it"""


class PrunedError(Exception):
    """On the way it is worse than half of the others were there."""


class FailedError(Exception):
    """It came to nothing, and would again; the text says why."""


class Attempt(Protocol):
    def __call__(self, chosen: Hyperparameters, report: Report, goes_on: bool) -> float:
        """The figure reached, larger being better. `goes_on`: the same was begun before and stopped half-way.

        Raises FailedError, and lets through what `report` raises.
        """


class Hill:
    """A figure by formula, best at a rate of 0.004: for tests. Fails above `cliff`; `tried` has (rate, goes_on) of each
    attempt. As if killed, it raises KeyboardInterrupt at the steps of `stops`, counted over all attempts."""

    def __init__(self, cliff: float = math.inf, stops: Sequence[int] = ()) -> None:
        self.tried: list[tuple[float, bool]] = []
        self._cliff, self._stops, self._steps = cliff, stops, 0

    def __call__(self, chosen: Hyperparameters, report: Report, goes_on: bool) -> float:
        self.tried.append((chosen.peak_rate, goes_on))
        if chosen.peak_rate > self._cliff:
            raise FailedError("the loss is no number any more")
        height = 0.5 - 0.1 * abs(math.log(chosen.peak_rate / 0.004)) - 0.1 * abs(chosen.variation - 0.7)
        for step in (10, 20, 30):
            self._steps += 1
            if self._steps in self._stops:
                raise KeyboardInterrupt
            report(step, height * step / 40)
        return height
