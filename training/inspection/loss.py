"""What the two networks are asked to make small."""

import torch
from torch import Tensor
from torch.nn import functional

from training.inspection.network import CELL

_CLEAR = 3
"""pixels of a defect from which on a cell must say so; with fewer it may say what it likes"""


def screen_loss(cells: Tensor, masks: Tensor) -> Tensor:
    """Cells [N, h, w] against masks [N, S, S]; and the worst cell of each part against the part.

    Only cells without any defect must stay silent, only cells with enough of one must speak; a defect too small for
    any cell is spoken for by the cell that has most of it.
    """
    pixels = functional.avg_pool2d(masks[:, None], CELL)[:, 0] * CELL * CELL
    most = pixels.amax(dim=(1, 2), keepdim=True)
    speaks = (pixels >= torch.clamp(most, max=_CLEAR)) & (pixels > 0)
    silent = pixels == 0
    errors = functional.binary_cross_entropy_with_logits(cells, speaks.float(), reduction="none")
    # each side's mean: defective cells are one in a hundred
    spoken = (errors * speaks).sum() / speaks.sum().clamp(min=1)
    quiet = (errors * silent).sum() / silent.sum().clamp(min=1)
    parts = functional.binary_cross_entropy_with_logits(cells.amax(dim=(1, 2)), (most[:, 0, 0] > 0).float())
    return parts + 0.5 * spoken + 4 * quiet


def locator_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross entropy of all pixels, and the overlap of each defective part (soft Dice; Milletari et al., 2016)."""
    errors = functional.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    weights = 1 + 4 * masks
    entropy = (errors * weights).sum() / weights.sum()
    bad = masks.amax(dim=(1, 2)) > 0
    if not bool(bad.any()):
        return 8 * entropy
    chances, wanted = torch.sigmoid(logits[bad]), masks[bad]
    both = (chances * wanted).sum(dim=(1, 2))
    dice = 1 - (2 * both + 1) / (chances.sum(dim=(1, 2)) + wanted.sum(dim=(1, 2)) + 1)
    return 8 * entropy + dice.mean()
