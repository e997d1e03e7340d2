"""Events of two sources, matched: one to one, same kind of thing, close in time. The other source may be the truth."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
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
    """By `what`."""
    ours, theirs = list(found), list(truth)
    matched = Counter(ours[one].what for one, _ in match(ours, theirs, tolerance))
    counts, true = Counter(one.what for one in ours), Counter(one.what for one in theirs)
    return {what: Score(counts[what], true[what], matched[what]) for what in sorted({*counts, *true}, key=repr)}


def match(
    found: Sequence[Occurrence], truth: Sequence[Occurrence], tolerance: float = TOLERANCE_SECONDS
) -> list[tuple[int, int]]:
    """Indices of pairs: as many as possible, then the closest in time."""
    ours, theirs = defaultdict(list), defaultdict(list)
    for at, one in enumerate(found):
        ours[one.what].append(at)
    for at, one in enumerate(truth):
        theirs[one.what].append(at)
    pairs: list[tuple[int, int]] = []
    for what in ours.keys() & theirs.keys():
        mine, other = ours[what], theirs[what]
        distance = np.abs(np.subtract.outer([found[at].seconds for at in mine], [truth[at].seconds for at in other]))
        # a pair out of tolerance costs more than any number of pairs within it
        cost = np.where(distance <= tolerance, distance, 1e6)
        rows, columns = linear_sum_assignment(cost)
        near = cost[rows, columns] < 1e6
        pairs += [(mine[row], other[column]) for row, column in zip(rows[near], columns[near], strict=True)]
    return sorted(pairs)
