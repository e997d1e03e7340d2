"""What the shop's pose network learns from: crops with exact keypoints, hidden ones too."""

from collections.abc import Mapping, Sequence
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.pose.crop_set import CropSet
from training.pose.network import CELL, COLUMNS, ROWS
from training.trainer import Choice, to_tensor
from vision.pose import KEYPOINTS
from vision.pose_crop import HEIGHT, WIDTH

_SPREAD: Final = 1.0
"""cells: how far around its keypoint a map may answer"""
_HIDDEN: Final = 0.4
"""what a hidden keypoint's place counts: it can only be guessed"""
#: Each keypoint's twin on the other side.
TWINS: Final = tuple(
    KEYPOINTS.index(name.replace("left_", "@").replace("right_", "left_").replace("@", "right_")) for name in KEYPOINTS
)


class PoseLesson:
    """Places by their distance, maps by cross entropy with a blot around the keypoint, being seen by its own."""

    def __init__(self, crops: CropSet) -> None:
        self._crops = crops
        self.sha256 = crops.sha256

    def __len__(self) -> int:
        return len(self._crops)

    def losses(self, network: nn.Module, batch: Sequence[Choice], plain: bool) -> Mapping[str, Tensor]:
        pictures, truths = [], []
        for each in batch:
            picture, rows = self._crops.pixels[each.index], self._crops.keypoints[each.index]
            if not plain:
                picture, rows = varied(picture, rows, each.dice)
            pictures.append(picture)
            truths.append(rows)
        truth = torch.from_numpy(np.stack(truths))
        places, seen, maps = network(to_tensor(np.stack(pictures)))
        inside = (truth[..., 0] >= 0) & (truth[..., 0] < WIDTH) & (truth[..., 1] >= 0) & (truth[..., 1] < HEIGHT)
        weight = torch.where(truth[..., 2] == 2, 1.0, _HIDDEN) * inside
        total = weight.sum().clamp(min=1)
        away = functional.smooth_l1_loss(places, truth[..., :2], reduction="none", beta=2.0).sum(dim=2)
        blots = _blots(truth)
        entropy = -(blots * torch.log_softmax(maps.flatten(2), dim=2)).sum(dim=2)
        shown = functional.binary_cross_entropy_with_logits(seen, (truth[..., 2] == 2).float())
        return {
            "place": 0.1 * (away * weight).sum() / total,
            "map": 0.2 * (entropy * weight).sum() / total,
            "seen": 0.5 * shown,
        }


def _blots(truth: Tensor) -> Tensor:
    """[N, 18, cells]: what each map should be, summing up to one."""
    x = (torch.arange(COLUMNS) + 0.5 - truth[..., :1] / CELL) ** 2
    y = (torch.arange(ROWS) + 0.5 - truth[..., 1:2] / CELL) ** 2
    exponent = -(y[..., :, None] + x[..., None, :]).flatten(2) / (2 * _SPREAD**2)
    return torch.softmax(exponent, dim=2)


def varied(
    picture: NDArray[np.uint8], rows: NDArray[np.float32], dice: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Mirrored (left becomes right), a little turned, moved, larger or smaller, and lit otherwise."""
    rows = rows.copy()
    if dice.random() < 0.5:
        picture = picture[:, ::-1]
        rows = rows[list(TWINS)]
        rows[:, 0] = WIDTH - rows[:, 0]
    angle, scale = float(dice.normal(0, 8)), float(np.exp(dice.normal(0, 0.1)))
    matrix = np.asarray(cv2.getRotationMatrix2D((WIDTH / 2 - 0.5, HEIGHT / 2 - 0.5), angle, scale), np.float64)
    matrix[:, 2] += dice.normal(0, 2.0, 2)
    source = np.ascontiguousarray(picture)
    turned = cv2.warpAffine(
        source, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_CONSTANT, borderValue=(114, 114, 114)
    )
    moved = np.asarray(turned, np.uint8)
    rows[:, :2] = (rows[:, :2] - 0.5) @ matrix[:, :2].T.astype(np.float32) + matrix[:, 2].astype(np.float32) + 0.5
    level = np.arange(256, dtype=np.float64) / 255
    tint = dice.uniform(0.75, 1.25) * dice.uniform(0.9, 1.1, 3)
    table = np.clip(255 * level[:, None] ** np.exp(dice.uniform(-0.25, 0.25)) * tint, 0, 255).astype(np.uint8)
    lit = np.stack([table[moved[..., channel], channel] for channel in range(3)], axis=-1)
    return lit, rows
