"""Objects of a batch of pictures as the loss takes them."""

from collections.abc import Sequence

import torch

from training.average_precision import Objects
from training.loss import Truth


def padded(objects: Sequence[Objects]) -> Truth:
    """Those that are wanted."""
    wanted = [~one.crowd for one in objects]
    most = max(1, *(int(mine.sum()) for mine in wanted))
    boxes = torch.zeros(len(objects), most, 4)
    labels = torch.zeros(len(objects), most, dtype=torch.int64)
    real = torch.zeros(len(objects), most, dtype=torch.bool)
    for place, (one, mine) in enumerate(zip(objects, wanted, strict=True)):
        count = int(mine.sum())
        boxes[place, :count] = torch.from_numpy(one.boxes[mine]).float()
        labels[place, :count] = torch.from_numpy(one.labels[mine])
        real[place, :count] = True
    return Truth(boxes, labels, real)
