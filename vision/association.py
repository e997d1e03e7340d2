"""Which box is which track."""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from vision.motion import Floats, place_variance

Bools: TypeAlias = npt.NDArray[np.bool_]

_FORBIDDEN: Final = 1e3
"""Dearer than any set of allowed pairs, so that as many pairs as possible are allowed ones."""
_CHI2_99: Final = 9.21
"""99% of a chi-squared variable of two degrees of freedom"""
_MAX_SIZES: Final = 2.5
_MAX_RATIO: Final = 2.0


def iou(first: Floats, second: Floats) -> Floats:
    """Intersection over union of corners [n, 4] with corners [m, 4]: [n, m]."""
    # a table for each side: NumPy is slow over axes of two
    left, top, right, bottom = first.T[:, :, None]
    other_left, other_top, other_right, other_bottom = second.T[:, None, :]
    width = np.minimum(right, other_right) - np.maximum(left, other_left)
    height = np.minimum(bottom, other_bottom) - np.maximum(top, other_top)
    common = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    union = (right - left) * (bottom - top) + (other_right - other_left) * (other_bottom - other_top) - common
    overlap: Floats = common / np.maximum(union, 1e-9)
    return overlap


def strides(table: Floats, places: Floats) -> tuple[Floats, Bools]:
    """For things that move further than their own size between frames: squared distance of tracks [n, 10] to centred
    boxes [m, 4] in variances [n, m], and where it is credible: within the gate, at most 2.5 sizes off, and neither
    side more than doubled or halved."""
    offset = places[None, :, :2] - table[:, None, :2]
    squared = offset[..., 0] ** 2 + offset[..., 1] ** 2
    distance = squared / place_variance(table)[:, None]
    area = np.maximum(table[:, 4] * table[:, 5], 1.0)
    ratio = np.maximum(places[None, :, 2:], 1e-9) / np.maximum(table[:, None, 4:6], 1e-9)
    alike = ((ratio <= _MAX_RATIO) & (ratio >= 1 / _MAX_RATIO)).all(axis=2)
    return distance, (distance <= _CHI2_99) & (squared <= _MAX_SIZES**2 * area[:, None]) & alike


def assign(cost: Floats, allowed: Bools) -> list[tuple[int, int]]:
    """Pairs (row, column) with the lowest total cost among the allowed ones, by row; costs are below 100."""
    if not allowed.any():
        return []
    rows, columns = linear_sum_assignment(np.where(allowed, cost.round(6), _FORBIDDEN))
    return [(row, column) for row, column in zip(rows.tolist(), columns.tolist(), strict=True) if allowed[row, column]]
