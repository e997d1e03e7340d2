"""Average precision of boxes as COCO measures it.

At most 100 detections per image, of all sizes; crowd regions are ignored, and so is every detection that lies mostly in
one.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from training.matching import Array, Matched, matched, ranking

_MOST = 100


class Objects(Struct, frozen=True):
    """What is in one picture: boxes [M, 4] as corners, labels [M], crowd [M]."""

    boxes: Array
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_]


class Found(Struct, frozen=True):
    """What a detector said of one picture: boxes [K, 4] as corners, scores [K], labels [K]."""

    boxes: Array
    scores: Array
    labels: NDArray[np.int64]


class Precision(Struct, frozen=True):
    """Means over the classes that occur in the truth; `by_class` is mAP50-95 of each of these."""

    map50: float
    map50_95: float
    by_class: dict[int, float]


def average_precision(truth: Sequence[Objects], found: Sequence[Found]) -> Precision:
    """Picture i of `found` is held against picture i of `truth`. Raises ValueError where there is nothing to find."""
    if len(truth) != len(found):
        raise ValueError(f"{len(truth)} pictures with truth, {len(found)} with detections")
    labels = sorted({int(label) for t in truth for label in t.labels[~t.crowd]})
    if not labels:
        raise ValueError("the truth holds no object")
    tables = {label: _class_precision(label, truth, found) for label in labels}
    table = np.stack(list(tables.values()))
    return Precision(
        float(table[:, 0].mean()), float(table.mean()), {label: float(t.mean()) for label, t in tables.items()}
    )


def _class_precision(label: int, truth: Sequence[Objects], found: Sequence[Found]) -> Array:
    """Average precision of one class at each threshold [10]."""
    return ranking([of_class(label, *pair) for pair in zip(truth, found, strict=True)]).precision


def of_class(label: int, objects: Objects, said: Found) -> Matched:
    """What was said of one class in one picture, held against the truth."""
    mine = objects.labels == label
    boxes, crowd = objects.boxes[mine], objects.crowd[mine]
    best = np.argsort(-said.scores, kind="stable")[:_MOST]
    best = best[said.labels[best] == label]
    return matched(said.scores[best], _overlap(said.boxes[best], boxes, crowd), crowd, crowd)


def _overlap(found: Array, boxes: Array, crowd: NDArray[np.bool_]) -> Array:
    """[K, M] intersection over union; for a crowd over the detection's own area."""
    low = np.maximum(found[:, None, :2], boxes[None, :, :2])
    high = np.minimum(found[:, None, 2:], boxes[None, :, 2:])
    inside = np.prod(np.clip(high - low, 0, None), axis=2)
    area = np.prod(found[:, 2:] - found[:, :2], axis=1)[:, None]
    union = area + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)[None] - inside
    result: Array = inside / np.maximum(np.where(crowd[None], area, union), 1e-12)
    return result
