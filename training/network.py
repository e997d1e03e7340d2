# mypy: allow-subclassing-any
# (torch is an extra: where it is missing, its types are unknown)
"""The bundled detector's network: a small YOLO of plain convolutions with ReLU.

Nothing depthwise and no smooth activation, so that 8-bit integers pay (they cost on those). CSP stages as in Wang et
al., "CSPNet"; a feature pyramid that goes down and up again (PAN); one anchor-free head per stride 8/16/32 that
predicts classes and the distances to a box's four sides in strides. Every convolution is followed by a batch norm that
the export folds into it.
"""

from typing import cast

import torch
from torch import Tensor, nn

STRIDES = (8, 16, 32)


class ConvUnit(nn.Module):
    """Convolution, batch norm, ReLU. The output is the input's size over the stride."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        padding = (kernel - stride + 1) // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.relu(self.norm(self.conv(x))))


class Bottleneck(nn.Module):
    """Two 3x3 units around which the input is added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvUnit(width, width)
        self.second = ConvUnit(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, x + self.second(self.first(x)))


class CspStage(nn.Module):
    """Half of the channels take the long way through `depth` bottlenecks, half go around."""

    def __init__(self, inputs: int, outputs: int, depth: int) -> None:
        super().__init__()
        half = outputs // 2
        self.long = ConvUnit(inputs, half, 1)
        self.short = ConvUnit(inputs, half, 1)
        self.blocks = nn.Sequential(*(Bottleneck(half) for _ in range(depth)))
        self.merge = ConvUnit(2 * half, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.merge(torch.cat([self.blocks(self.long(x)), self.short(x)], 1)))


class Backbone(nn.Module):
    """Picture [N, 3, H, W] in 0..1 to maps of strides 8, 16, 32."""

    widths = (48, 96, 128)

    def __init__(self) -> None:
        super().__init__()
        low, middle, high = self.widths
        # one wide stride instead of two small ones: the maps at half the picture's size would cost most of the time
        self.stem = nn.Sequential(ConvUnit(3, 32, 6, 4))
        self.low = nn.Sequential(ConvUnit(32, low, 3, 2), CspStage(low, low, 2))
        self.middle = nn.Sequential(ConvUnit(low, middle, 3, 2), CspStage(middle, middle, 2))
        self.high = nn.Sequential(ConvUnit(middle, high, 3, 2), CspStage(high, high, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        low = self.low(self.stem(x))
        middle = self.middle(low)
        return low, middle, self.high(middle)


class Pyramid(nn.Module):
    """Lets every stride see what the others saw."""

    widths = (48, 64, 96)

    def __init__(self) -> None:
        super().__init__()
        low, middle, high = Backbone.widths
        out_low, out_middle, out_high = self.widths
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.narrow_high = ConvUnit(high, out_middle, 1)
        self.down_middle = CspStage(middle + out_middle, out_middle, 1)
        self.narrow_middle = ConvUnit(out_middle, out_low, 1)
        self.to_low = CspStage(low + out_low, out_low, 1)
        self.stride_low = ConvUnit(out_low, out_low, 3, 2)
        self.to_middle = CspStage(out_low + out_low, out_middle, 1)
        self.stride_middle = ConvUnit(out_middle, out_middle, 3, 2)
        self.to_high = CspStage(out_middle + out_middle, out_high, 1)

    def forward(self, maps: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
        low, middle, high = maps
        top = self.narrow_high(high)
        middle = self.narrow_middle(self.down_middle(torch.cat([middle, self.up(top)], 1)))
        low = self.to_low(torch.cat([low, self.up(middle)], 1))
        middle = self.to_middle(torch.cat([self.stride_low(low), middle], 1))
        high = self.to_high(torch.cat([self.stride_middle(middle), top], 1))
        return [low, middle, high]


class Head(nn.Module):
    """One stride's map to class logits and side distances, [N, classes + 4, h, w]."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.shared = ConvUnit(width, width)
        self.classes = nn.Conv2d(width, classes, 1)
        self.sides = nn.Conv2d(width, 4, 1)
        # a cell holds an object about once in a hundred, and boxes begin as squares of three strides
        nn.init.constant_(cast(Tensor, self.classes.bias), -4.6)
        nn.init.constant_(cast(Tensor, self.sides.bias), 1.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.shared(x)
        return torch.cat([self.classes(x), self.sides(x)], 1)


class JunctionYolo(nn.Module):
    """Picture [N, 3, H, W] in 0..1 (H, W multiples of 32) to [N, A, classes + 4]: logits, then sides in strides."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.pyramid = Pyramid()
        self.heads = nn.ModuleList(Head(w, classes) for w in Pyramid.widths)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.pyramid(self.backbone(x))
        return torch.cat([h(m).flatten(2) for h, m in zip(self.heads, maps, strict=True)], 2).transpose(1, 2)


def grid(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Cell centres in pixels [A, 2] and their strides [A, 1], in the order of the network's rows."""
    centres, strides = [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        centres.append((torch.stack([x.flatten(), y.flatten()], 1) + 0.5) * stride)
        strides.append(torch.full((x.numel(), 1), float(stride)))
    return torch.cat(centres), torch.cat(strides)


def corners(sides: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Side distances [N, A, 4] in strides (left, top, right, bottom) to boxes x1, y1, x2, y2 in pixels."""
    reach = sides * strides
    return torch.cat([centres - reach[..., :2], centres + reach[..., 2:]], -1)
