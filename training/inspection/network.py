# mypy: allow-subclassing-any
# (torch is an extra: where it is missing, its types are unknown)
"""The two networks of the cascade: a MobileNet-type screen and a ResNet-type locator. Both see all of a part at once.

Screen: inverted residuals of depthwise convolutions (Sandler et al., MobileNetV2, 2018), down to cells of 16 pixels,
which know what a hole or a letter is, and back to cells of 4, no larger than a pit, features being added up on the way
(Lin et al., Feature Pyramid Networks, 2017). Each cell is asked whether it shows a defect and the part's score is the
worst cell's: a scratch of 30 pixels is not averaged away by 16,000 good ones.

Locator: basic blocks (He et al., 2016) of a quarter of ResNet's widths, down to cells of 8 pixels and back in the same
way to cells of 2, each of which answers for its four pixels.
"""

import torch
from torch import Tensor, nn

CELL = 4
"""pixels a side of the screen's cells"""


class ConvUnit(nn.Sequential):
    """Convolution, norm and, unless `linear`, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1, linear: bool = False):
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        super().__init__(*layers, *([] if linear else [nn.ReLU()]))


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; added to its input where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, widen: int, stride: int) -> None:
        super().__init__()
        wide = inputs * widen
        self.body = nn.Sequential(
            ConvUnit(inputs, wide, 1),
            ConvUnit(wide, wide, 3, stride, groups=wide),
            ConvUnit(wide, outputs, 1, linear=True),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.residual else y


class Screen(nn.Module):
    """[N, 3, S, S] in 0..1 to logits [N, S/4, S/4]."""

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Sequential(
            ConvUnit(3, 16, 3, 2),
            InvertedResidual(16, 16, 2, 1),
            InvertedResidual(16, 32, 3, 2),
            InvertedResidual(32, 32, 3, 1),
            InvertedResidual(32, 32, 3, 1),
        )
        self.middle = nn.Sequential(
            InvertedResidual(32, 64, 3, 2),
            InvertedResidual(64, 64, 3, 1),
            InvertedResidual(64, 64, 3, 1),
        )
        self.high = nn.Sequential(
            InvertedResidual(64, 96, 3, 2),
            InvertedResidual(96, 96, 3, 1),
            InvertedResidual(96, 96, 3, 1),
        )
        self.narrow_high = ConvUnit(96, 64, 1, linear=True)
        self.to_middle = InvertedResidual(64, 64, 3, 1)
        self.narrow_middle = ConvUnit(64, 32, 1, linear=True)
        self.to_low = InvertedResidual(32, 32, 3, 1)
        self.head = nn.Conv2d(32, 1, 1)
        nn.init.constant_(self.head.bias, -4.0)  # most cells are good

    def forward(self, x: Tensor) -> Tensor:
        low = self.low(x - 0.5)
        middle = self.middle(low)
        middle = self.to_middle(middle + _double(self.narrow_high(self.high(middle))))
        low = self.to_low(low + _double(self.narrow_middle(middle)))
        cells: Tensor = self.head(low)
        return cells[:, 0]


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = ConvUnit(inputs, outputs, 3, stride)
        self.second = ConvUnit(outputs, outputs, 3, linear=True)
        changes = stride != 1 or inputs != outputs
        self.shortcut = ConvUnit(inputs, outputs, 1, stride, linear=True) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x))
        return torch.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class Locator(nn.Module):
    """[N, 3, S, S] in 0..1 to logits [N, S, S]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvUnit(3, 16, 3, 2)
        self.low = BasicBlock(16, 16, 1)
        self.middle = BasicBlock(16, 32, 2)
        self.high = nn.Sequential(BasicBlock(32, 64, 2), BasicBlock(64, 64, 1))
        self.narrow_high = ConvUnit(64, 32, 1, linear=True)
        self.to_middle = ConvUnit(32, 32, 3)
        self.narrow_middle = ConvUnit(32, 16, 1, linear=True)
        self.to_low = ConvUnit(16, 16, 3)
        self.head = nn.Conv2d(16, 4, 3, 1, 1)
        nn.init.constant_(self.head.bias, -4.0)

    def forward(self, x: Tensor) -> Tensor:
        low = self.low(self.stem(x - 0.5))
        middle = self.middle(low)
        top = self.narrow_high(self.high(middle))
        middle = self.to_middle(middle + _double(top))
        low = self.to_low(low + _double(self.narrow_middle(middle)))
        return nn.functional.pixel_shuffle(self.head(low), 2)[:, 0]


def _double(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2, mode="nearest")
