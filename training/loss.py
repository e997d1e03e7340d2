"""What training minimises: soft-target cross-entropy for the classes, complete IoU for the boxes."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from training.assignment import assign, overlap
from training.network import corners

BOX_WEIGHT = 5.0


@dataclass(frozen=True)
class Truth:
    """A batch's objects, padded to the same number M per image: boxes [N, M, 4] in pixels, labels and real [N, M]."""

    boxes: Tensor
    labels: Tensor
    real: Tensor


def complete_iou(a: Tensor, b: Tensor) -> Tensor:
    """CIoU of paired corner boxes [K, 4] (Zheng et al., "Enhancing Geometric Factors", equation 10)."""
    iou = overlap(a, b)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    apart = ((a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) ** 2).sum(1) / 4
    size_a = (a[:, 2:] - a[:, :2]).clamp(min=1e-3)
    size_b = (b[:, 2:] - b[:, :2]).clamp(min=1e-3)
    angle = torch.atan(size_b[:, 0] / size_b[:, 1]) - torch.atan(size_a[:, 0] / size_a[:, 1])
    shape = 4 / math.pi**2 * angle**2
    with torch.no_grad():
        weight = shape / (1 - iou + shape + 1e-7)
    return iou - apart / ((hull**2).sum(1) + 1e-7) - weight * shape


def detection_loss(raw: Tensor, centres: Tensor, strides: Tensor, truth: Truth) -> tuple[Tensor, Tensor]:
    """Class loss and box loss of the network's rows [N, A, classes + 4], both per unit of target score."""
    logits, boxes = raw[..., :-4], corners(raw[..., -4:], centres, strides)
    target = assign(logits.sigmoid(), boxes, centres, strides, truth.boxes, truth.labels, truth.real)
    total = target.scores.sum().clamp(min=1)
    hard = functional.binary_cross_entropy_with_logits(logits, target.scores, reduction="none")
    # varifocal weighting (Zhang et al., "VarifocalNet"): easy background counts little, objects by their quality
    weight = torch.where(target.scores > 0, target.scores, 0.75 * logits.detach().sigmoid() ** 2)
    class_loss = (hard * weight).sum() / total
    learnt = target.positive
    if not learnt.any():
        return class_loss, boxes.sum() * 0
    importance = target.scores.sum(-1)[learnt]
    box_loss = ((1 - complete_iou(boxes[learnt], target.boxes[learnt])) * importance).sum() / total
    return class_loss, BOX_WEIGHT * box_loss
