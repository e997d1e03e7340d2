"""How COCO matches what was found with the truth, and what average precision that is, whatever the similarity.

After the COCO evaluation's published rules: greedy by score, at thresholds .50 to .95 in tenths of a half, 101 recall
levels. What is to be ignored counts neither way, and so does whatever is matched with it; a crowd takes many.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Array = NDArray[np.float64]

THRESHOLDS: Final = np.linspace(0.5, 0.95, 10)
_LEVELS: Final = np.linspace(0, 1, 101)


class Matched(Struct, frozen=True):
    """What was found in one picture, in order of score: scores [K]; at each threshold [10, K] whether it matched
    something, and whether it is to be ignored. `wanted`: how much there was to find."""

    scores: Array
    hit: NDArray[np.bool_]
    skip: NDArray[np.bool_]
    wanted: int


def matched(scores: Array, similar: Array, ignore: NDArray[np.bool_], crowd: NDArray[np.bool_]) -> Matched:
    """`similar` [K, M] of what was found, in order of score, to the truth; `ignore` and `crowd` [M] of the truth."""
    order = np.argsort(ignore, kind="stable")
    similar, ignore, crowd = similar[:, order], ignore[order], crowd[order]
    hit = np.zeros((len(THRESHOLDS), len(similar)), bool)
    skip = np.zeros_like(hit)
    for level, threshold in enumerate(THRESHOLDS):
        taken = np.zeros(len(ignore), bool)
        for row in range(len(similar)):
            chosen, reached = -1, min(threshold, 1 - 1e-10)
            for column in range(len(ignore)):
                if taken[column] and not crowd[column]:
                    continue
                # those to be ignored come last: something real is preferred
                if ignore[column] and chosen >= 0 and not ignore[chosen]:
                    break
                if similar[row, column] >= reached:
                    chosen, reached = column, similar[row, column]
            if chosen >= 0:
                taken[chosen] = True
                hit[level, row], skip[level, row] = not ignore[chosen], ignore[chosen]
    return Matched(scores, hit, skip, int((~ignore).sum()))


class Ranking(Struct, frozen=True):
    """At each threshold [10]: average precision, and the best recall that is reached."""

    precision: Array
    recall: Array
    wanted: int


def ranking(pictures: Sequence[Matched]) -> Ranking:
    """Of all pictures together, by score. Something must be wanted."""
    order = np.argsort(-np.concatenate([one.scores for one in pictures]), kind="stable")
    hit, skip = (np.concatenate([getattr(one, name) for one in pictures], axis=1)[:, order] for name in ("hit", "skip"))
    wanted = sum(one.wanted for one in pictures)
    precision = np.array([_area(h[~s], wanted) for h, s in zip(hit, skip, strict=True)])
    return Ranking(precision, (hit & ~skip).sum(axis=1) / wanted, wanted)


def _area(hit: NDArray[np.bool_], wanted: int) -> float:
    """Mean over 101 recall levels of the best precision at that recall or beyond."""
    if not len(hit):
        return 0.0
    right = np.cumsum(hit)
    recall, precision = right / wanted, right / np.arange(1, len(hit) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, _LEVELS, side="left")
    return float(np.where(place < len(envelope), envelope[np.minimum(place, len(envelope) - 1)], 0.0).mean())
