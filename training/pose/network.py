# mypy: allow-subclassing-any
# (torch is an extra: where it is missing, its types are unknown)
"""A small network for one person's crop: basic blocks (He et al., 2016) down to cells of 8 pixels and back to cells of
4, where each keypoint has a map. A keypoint lies at the mean of its map's cells, weighed by their softmax (Sun et al.,
"Integral Human Pose Regression", 2018); whether it is seen is asked of the coarse cells' average.
"""

import torch
from torch import Tensor, nn

from training.inspection.network import BasicBlock, ConvUnit
from vision.pose import COUNT
from vision.pose_crop import HEIGHT, WIDTH

CELL = 4
"""pixels a side of a map's cells"""
ROWS, COLUMNS = HEIGHT // CELL, WIDTH // CELL


class ShopPose(nn.Module):
    """[N, 3, 96, 64] in 0..1 to places [N, 18, 2] in pixels, logits of being seen [N, 18], and maps [N, 18, 24, 16]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvUnit(3, 16, 3, 2)
        self.low = nn.Sequential(BasicBlock(16, 32, 2), BasicBlock(32, 32, 1))
        self.high = nn.Sequential(BasicBlock(32, 96, 2), *(BasicBlock(96, 96, 1) for _ in range(3)))
        self.narrow = ConvUnit(96, 32, 1, linear=True)
        self.join = ConvUnit(32, 48, 3)
        self.maps = nn.Conv2d(48, COUNT, 1)
        self.seen = nn.Conv2d(96, COUNT, (ROWS // 2, COLUMNS // 2))
        y, x = torch.meshgrid(torch.arange(ROWS), torch.arange(COLUMNS), indexing="ij")
        cells = (torch.stack([x.flatten(), y.flatten()], dim=1).float() + 0.5) * CELL
        self.register_buffer("cells", cells, persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        low = self.low(self.stem(x - 0.5))
        high = self.high(low)
        wide = nn.functional.interpolate(self.narrow(high), scale_factor=2, mode="nearest")
        maps: Tensor = self.maps(self.join(low + wide))
        weights = torch.softmax(maps.flatten(2), dim=2)
        cells = self.get_buffer("cells")
        return weights @ cells, self.seen(high)[:, :, 0, 0], maps
