"""A detector's output rows as boxes of the camera's picture."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from schemas.messages import Box
from vision.letterbox import Letterbox


def from_output(
    rows: npt.NDArray[np.floating],
    labels: Sequence[str],
    letterbox: Letterbox,
    source_width: int,
    source_height: int,
    min_score: float,
    keep: tuple[str, ...] = (),
) -> tuple[Box, ...]:
    """`rows` [K, 6]: x1, y1, x2, y2 in pixels of the model's input, score, class index; unused rows have score 0.

    Boxes of the labels in `keep` (empty: all) from `min_score` on, best first. Scores are rounded to 0.001 before
    they decide anything and coordinates to 0.01 pixels, so that a model's last digits, which depend on the machine
    and the batch, decide nothing. ValueError for rows that no model of this contract may give.
    """
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise ValueError(f"detections of shape {rows.shape} where [K, 6] was expected")
    table = rows.astype(np.float64)
    table = table[table[:, 4] != 0]  # NaN stays, to be found below
    if not np.isfinite(table).all():
        raise ValueError("detections that are not finite numbers")
    scores = np.round(table[:, 4], 3)
    table, scores = table[scores >= max(min_score, 0.001)], scores[scores >= max(min_score, 0.001)]
    classes = np.rint(table[:, 5]).astype(np.int64)
    if len(classes) and not (classes.min() >= 0 and classes.max() < len(labels)):
        raise ValueError(f"class {int(classes.max())} of a model with {len(labels)} labels")
    corners = np.round(letterbox.unmap(table[:, :4], source_width, source_height), 2)
    wanted = (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
    if keep:
        wanted &= np.array([labels[number] in keep for number in classes.tolist()], bool)
    boxes = [
        Box(labels[number], score, *corner)
        for number, score, corner in zip(
            classes[wanted].tolist(), scores[wanted].tolist(), corners[wanted].tolist(), strict=True
        )
    ]
    # equal scores are not in an order that a model promises
    return tuple(sorted(boxes, key=lambda box: (-box.score, box.x1, box.y1, box.x2, box.y2, box.label)))
