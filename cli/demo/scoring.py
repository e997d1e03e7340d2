"""Events found against the simulator's truth: one to one, same kind of thing, close in time."""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import Final

import msgspec
import numpy as np
from scipy.optimize import linear_sum_assignment

TOLERANCE_SECONDS: Final = 1.5
"""A box's lower edge crosses a line a little before or after the wheels do, the more so far from the camera."""


class Occurrence(msgspec.Struct, frozen=True):
    """`what` must be equal for a match: camera, kind, line, direction."""

    what: tuple[Hashable, ...]
    seconds: float


class Score(msgspec.Struct, frozen=True):
    found: int
    truth: int
    matched: int

    @property
    def precision(self) -> float:
        return self.matched / self.found if self.found else 1.0 if not self.truth else 0.0

    @property
    def recall(self) -> float:
        return self.matched / self.truth if self.truth else 1.0

    def __add__(self, other: "Score") -> "Score":
        return Score(self.found + other.found, self.truth + other.truth, self.matched + other.matched)


def score(
    found: Iterable[Occurrence], truth: Iterable[Occurrence], tolerance: float = TOLERANCE_SECONDS
) -> dict[tuple[Hashable, ...], Score]:
    """By `what`. As many pairs as possible, then the closest in time."""
    ours, theirs = defaultdict(list), defaultdict(list)
    for occurrence in found:
        ours[occurrence.what].append(occurrence.seconds)
    for occurrence in truth:
        theirs[occurrence.what].append(occurrence.seconds)
    return {
        what: Score(len(ours[what]), len(theirs[what]), _matches(ours[what], theirs[what], tolerance))
        for what in sorted({*ours, *theirs}, key=repr)
    }


def _matches(found: list[float], truth: list[float], tolerance: float) -> int:
    if not found or not truth:
        return 0
    distance = np.abs(np.subtract.outer(np.array(found), np.array(truth)))
    # a pair out of tolerance costs more than any number of pairs within it
    cost = np.where(distance <= tolerance, distance, 1e6)
    rows, columns = linear_sum_assignment(cost)
    return int((cost[rows, columns] < 1e6).sum())
