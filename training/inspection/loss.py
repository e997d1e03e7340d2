"""What the two networks are asked to make small."""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from training.inspection.network import CELL

_CLEAR: Final = 3
"""pixels of a defect from which on a cell must say so; with fewer it may say what it likes"""
_HARD: Final = 0.25
"""of a batch's parts"""
_BESIDE: Final = 2
"""pixels around a defect in which the locator may say what it likes to its loudest"""


def screen_loss(cells: Tensor, masks: Tensor) -> Tensor:
    """Cells [N, h, w] against masks [N, S, S]; and the loudest cells of each part against the part.

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
    return _loudest(cells, ~silent, silent) + 0.5 * spoken + 4 * quiet


def locator_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross entropy of all pixels, the overlap of each defective part (soft Dice; Milletari et al., 2016), and the
    loudest pixels of each part against the part."""
    errors = functional.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    weights = 1 + 4 * masks
    entropy = (errors * weights).sum() / weights.sum()
    near = functional.max_pool2d(masks[:, None], 2 * _BESIDE + 1, 1, _BESIDE)[:, 0] > 0
    loss = 8 * entropy + _loudest(logits, masks > 0, ~near)
    bad = masks.amax(dim=(1, 2)) > 0
    if not bool(bad.any()):
        return loss
    chances, wanted = torch.sigmoid(logits[bad]), masks[bad]
    both = (chances * wanted).sum(dim=(1, 2))
    dice = 1 - (2 * both + 1) / (chances.sum(dim=(1, 2)) + wanted.sum(dim=(1, 2)) + 1)
    return loss + dice.mean()


def _loudest(logits: Tensor, defect: Tensor, silent: Tensor) -> Tensor:
    """A part is judged by its loudest answer: in every part the loudest where there is nothing must be low, in a
    defective one the loudest on its defects high. The hardest quarter counts once more, for a threshold that misses one
    in two hundred is decided by the few that are hardest (Shrivastava et al., "Online Hard Example Mining", 2016)."""
    nowhere = torch.finfo(logits.dtype).min
    wrong = logits.masked_fill(~silent, nowhere).amax(dim=(1, 2))
    loss = _with_the_hardest(functional.softplus(wrong))
    bad = defect.flatten(1).any(dim=1)
    if bool(bad.any()):
        right = logits.masked_fill(~defect, nowhere).amax(dim=(1, 2))[bad]
        loss = loss + _with_the_hardest(functional.softplus(-right))
    return 0.5 * loss


def _with_the_hardest(errors: Tensor) -> Tensor:
    hardest = errors.topk(max(1, int(_HARD * len(errors)))).values
    return errors.mean() + hardest.mean()
