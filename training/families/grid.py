"""Cell positions of the feature maps that anchor-free heads are laid out on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.contract import ModelError
from training.families.family import Canvas


def cells(canvas: Canvas, strides: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Columns and rows [A, 2] of every cell, row by row, map after map; and each cell's stride in pixels [A, 1]."""
    positions, steps = [], []
    for stride in strides:
        rows, columns = -(-canvas.height // stride), -(-canvas.width // stride)
        y, x = np.mgrid[0:rows, 0:columns]
        positions.append(np.stack([x.ravel(), y.ravel()], axis=1))
        steps.append(np.full((rows * columns, 1), stride))
    return np.concatenate(positions).astype(np.float32), np.concatenate(steps).astype(np.float32)


def strides_for(canvas: Canvas, anchors: int, choices: Sequence[Sequence[int]]) -> Sequence[int]:
    """The strides whose maps have `anchors` cells in all. Raises ModelError when none of the choices fits."""
    for strides in choices:
        if len(cells(canvas, strides)[1]) == anchors:
            return strides
    wanted = " or ".join(f"{len(cells(canvas, s)[1])} (strides {'/'.join(map(str, s))})" for s in choices)
    raise ModelError(
        f"the network has {anchors} boxes, but at {canvas.width}x{canvas.height} pixels this family has {wanted}"
    )
