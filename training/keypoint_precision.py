"""Average precision of keypoints as COCO measures it: object keypoint similarity (OKS) in place of boxes' overlap.

At most 20 people per image, of all sizes. Crowds and people without any labelled keypoint are ignored, and so is
whoever is found in them.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from training.matching import Array, matched, ranking

_MOST: Final = 20
#: COCO's 17 keypoints: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles, the left one first.
_SIGMAS: Final = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
#: Where each of COCO's lies among the 18 in OpenPose's order, which has the right one first and a neck.
FROM_18: Final = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)


class Labelled(Struct, frozen=True):
    """The people of one picture: keypoints [M, 17, 3] (x, y and 2 seen, 1 labelled though hidden, 0 not labelled),
    boxes [M, 4] (left, top, width, height), areas [M] of their outlines, crowd [M]."""

    keypoints: Array
    boxes: Array
    areas: Array
    crowd: NDArray[np.bool_]


class Posed(Struct, frozen=True):
    """What a model said of one picture: keypoints [K, 17, 2], scores [K]."""

    keypoints: Array
    scores: Array


class KeypointPrecision(Struct, frozen=True):
    """`recall`: mean over the thresholds of the best that is reached."""

    ap: float
    ap50: float
    ap75: float
    recall: float
    people: int


def keypoint_precision(truth: Sequence[Labelled], found: Sequence[Posed]) -> KeypointPrecision:
    """Picture i of `found` is held against picture i of `truth`. Raises ValueError where there is nothing to find."""
    if len(truth) != len(found):
        raise ValueError(f"{len(truth)} pictures with truth, {len(found)} with people found")
    pictures = []
    for people, said in zip(truth, found, strict=True):
        ignore = people.crowd | ~(people.keypoints[..., 2] > 0).any(axis=1)
        best = np.argsort(-said.scores, kind="stable")[:_MOST]
        similar = similarity(said.keypoints[best], people)
        pictures.append(matched(said.scores[best], similar, ignore, people.crowd))
    if not any(one.wanted for one in pictures):
        raise ValueError("the truth holds nobody with keypoints")
    ranked = ranking(pictures)
    return KeypointPrecision(
        ap=float(ranked.precision.mean()),
        ap50=float(ranked.precision[0]),
        ap75=float(ranked.precision[5]),
        recall=float(ranked.recall.mean()),
        people=ranked.wanted,
    )


def similarity(found: Array, people: Labelled) -> Array:
    """OKS [K, M] of keypoints [K, 17, 2]: mean over the labelled keypoints of exp(-d^2 / (2 area (2 sigma)^2)). For
    people without any, d is the way out of their box enlarged by its own size on every side."""
    result = np.zeros((len(found), len(people.areas)))
    variance = (2 * _SIGMAS) ** 2
    for m, (rows, box, area) in enumerate(zip(people.keypoints, people.boxes, people.areas, strict=True)):
        labelled = rows[:, 2] > 0
        if labelled.any():
            apart = found - rows[None, :, :2]
        else:
            low, high = box[:2] - box[2:], box[:2] + 2 * box[2:]
            apart = np.maximum(0, low - found) + np.maximum(0, found - high)
            labelled = np.ones_like(labelled)
        errors = (apart**2).sum(axis=2) / variance / (area + np.spacing(1)) / 2
        result[:, m] = np.exp(-errors[:, labelled]).mean(axis=1)
    return result
