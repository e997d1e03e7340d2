"""Average precision as COCO measures it: greedy matching by score, 101 recall levels, IoU .50 to .95.

After the COCO evaluation's published rules: at most 100 detections per image and class-agnostic area (all sizes);
crowd regions are ignored, and so is every detection that lies mostly in one.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Array = NDArray[np.float64]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
_LEVELS = np.linspace(0, 1, 101)
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
    scores, hits, ignored, wanted = [], [], [], 0
    for objects, said in zip(truth, found, strict=True):
        mine = objects.labels == label
        # crowds last: a detection prefers a real object
        order = np.argsort(objects.crowd[mine], kind="stable")
        boxes, crowd = objects.boxes[mine][order], objects.crowd[mine][order]
        wanted += int((~crowd).sum())
        best = np.argsort(-said.scores, kind="stable")[:_MOST]
        best = best[said.labels[best] == label]
        hit, skip = _match(said.boxes[best], boxes, crowd)
        scores.append(said.scores[best])
        hits.append(hit)
        ignored.append(skip)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    hit, skip = np.concatenate(hits, axis=1)[:, order], np.concatenate(ignored, axis=1)[:, order]
    return np.array([_area(h[~s], wanted) for h, s in zip(hit, skip, strict=True)])


def _match(found: Array, boxes: Array, crowd: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For detections in order of score, at each threshold [10, K]: matched an object; is to be ignored."""
    iou = _overlap(found, boxes, crowd)
    hit = np.zeros((len(THRESHOLDS), len(found)), bool)
    skip = np.zeros_like(hit)
    for level, threshold in enumerate(THRESHOLDS):
        taken = np.zeros(len(boxes), bool)
        for row in range(len(found)):
            chosen, reached = -1, min(threshold, 1 - 1e-10)
            for column in range(len(boxes)):
                if taken[column] and not crowd[column]:
                    continue
                if crowd[column] and chosen >= 0 and not crowd[chosen]:
                    break
                if iou[row, column] >= reached:
                    chosen, reached = column, iou[row, column]
            if chosen >= 0:
                taken[chosen] = True
                hit[level, row], skip[level, row] = not crowd[chosen], crowd[chosen]
    return hit, skip


def _overlap(found: Array, boxes: Array, crowd: NDArray[np.bool_]) -> Array:
    """[K, M] intersection over union; for a crowd over the detection's own area."""
    low = np.maximum(found[:, None, :2], boxes[None, :, :2])
    high = np.minimum(found[:, None, 2:], boxes[None, :, 2:])
    inside = np.prod(np.clip(high - low, 0, None), axis=2)
    area = np.prod(found[:, 2:] - found[:, :2], axis=1)[:, None]
    union = area + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)[None] - inside
    result: Array = inside / np.maximum(np.where(crowd[None], area, union), 1e-12)
    return result


def _area(hit: NDArray[np.bool_], wanted: int) -> float:
    """Mean over 101 recall levels of the best precision at that recall or beyond."""
    if not len(hit):
        return 0.0
    right = np.cumsum(hit)
    recall, precision = right / wanted, right / np.arange(1, len(hit) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, _LEVELS, side="left")
    return float(np.where(place < len(envelope), envelope[np.minimum(place, len(envelope) - 1)], 0.0).mean())
