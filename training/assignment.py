# mypy: allow-untyped-decorators
# (torch is an extra: where it is missing, its types are unknown)
"""Which cells answer for which object: task-aligned assignment.

Feng et al., "TOOD: Task-aligned One-stage Object Detection": a cell's fitness for an object is score^alpha * IoU^beta;
the fittest cells inside the object's box learn it, and their target score is their fitness relative to the best,
times the best IoU: a cell learns to be as sure as its box is good.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

ALPHA = 0.5
BETA = 4.0
FITTEST = 10


@dataclass(frozen=True)
class Assignment:
    """Per cell: `positive` [N, A]; `boxes` [N, A, 4] to learn; `scores` [N, A, C], zero at cells without an object."""

    positive: Tensor
    boxes: Tensor
    scores: Tensor


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of corner boxes, broadcast over all leading axes."""
    low = torch.maximum(a[..., :2], b[..., :2])
    high = torch.minimum(a[..., 2:], b[..., 2:])
    inside = (high - low).clamp(min=0).prod(-1)
    areas = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(-1) + (b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1)
    return inside / (areas - inside + 1e-9)


@torch.no_grad()
def assign(
    scores: Tensor, boxes: Tensor, centres: Tensor, strides: Tensor, objects: Tensor, labels: Tensor, real: Tensor
) -> Assignment:
    """Predictions `scores` [N, A, C], `boxes` [N, A, 4]; truth `objects` [N, M, 4], `labels` [N, M], padded to M, of
    which `real` [N, M] says which rows count.
    """
    batch, anchors, classes = scores.shape
    inside = _inside(centres, strides, objects) & real[..., None]
    iou = overlap(objects[:, :, None], boxes[:, None]).clamp(0) * inside
    of_label = scores.transpose(1, 2).gather(1, labels[..., None].expand(-1, -1, anchors))
    fitness = of_label.pow(ALPHA) * iou.pow(BETA)

    best, place = fitness.topk(FITTEST, dim=2)
    chosen = torch.zeros_like(inside).scatter(2, place, best > 0)
    # a cell that two objects want goes to the one it overlaps more
    owner = (iou * chosen).argmax(1)
    chosen &= torch.zeros_like(chosen).scatter(1, owner[:, None], True)
    positive = chosen.any(1)

    fitness = fitness * chosen
    peak = fitness.amax(2, keepdim=True)
    best_iou = (iou * chosen).amax(2, keepdim=True)
    weight = (fitness / (peak + 1e-9) * best_iou).amax(1)
    label = labels.gather(1, owner)
    target = torch.zeros(batch, anchors, classes).scatter(2, label[..., None], (weight * positive)[..., None])
    return Assignment(positive, objects.gather(1, owner[..., None].expand(-1, -1, 4)), target)


def _inside(centres: Tensor, strides: Tensor, objects: Tensor) -> Tensor:
    """[N, M, A]: the cell's centre lies in the box; a box too small to hold a centre is widened to one cell."""
    middle = (objects[..., :2] + objects[..., 2:]) / 2
    reach = (objects[..., 2:] - objects[..., :2]) / 2
    smallest = strides[:, 0].min()
    gap = (centres[None, None] - middle[:, :, None]).abs() - reach.clamp(min=float(smallest) / 2)[:, :, None]
    return gap.amax(-1) < 0
