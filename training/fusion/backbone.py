# mypy: allow-subclassing-any
# (torch is an extra: where it is missing, its types are unknown)
"""What turns a picture into a map of features, 16 pixels a cell: a small ResNet of our own, or torchvision's.

All have one anatomy, which the export and the quantisation rely on: convolutions, norms, ReLU, maximum pooling, and
blocks with `conv1`, `bn1`, `conv2`, ... and `downsample` as torchvision names them (He et al., 2016).
"""

from typing import Final

import torch
from torch import Tensor, nn

from training.contract import ModelError

BUNDLED: Final = "resnet-small"
STRIDE: Final = 16
_TORCHVISION: Final = ("resnet18", "resnet34", "resnet50", "resnet101")
BACKBONES: Final = (BUNDLED, *_TORCHVISION)


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        changes = stride != 1 or inputs != outputs
        self.downsample = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if changes
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


def small(width: int = 64, blocks: int = 1) -> nn.Sequential:
    """[N, 3, H, W] to [N, 4 * width, H / 16, W / 16]: patches of 4x4 pixels, then three stages.

    Patches that don't overlap (as in ConvNeXt, Liu et al., 2022), because an INT8 convolution over three channels would
    take as long as a stage.
    """
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 4, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    channels = width
    for stage in range(3):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            layers.append(BasicBlock(channels, width << stage, stride))
            channels = width << stage
    return nn.Sequential(*layers)


def backbone(name: str = BUNDLED) -> nn.Sequential:
    """By name, with fresh weights; torchvision's without their last stage. Raises ModelError for a name that is none,
    and where torchvision is missing."""
    if name == BUNDLED:
        return small()
    if name not in _TORCHVISION:
        raise ModelError(f"no backbone {name!r}: there are {', '.join(BACKBONES)}")
    try:
        from torchvision import models
    except ImportError as error:
        raise ModelError(f"backbone {name} needs torchvision, of the extra `train`: {error}") from None
    net = getattr(models, name)(weights=None)
    return nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3)


def channels_of(layers: nn.Module) -> int:
    """Of the map that a backbone makes."""
    layers = layers.eval()
    with torch.no_grad():
        return int(layers(torch.zeros(1, 3, 2 * STRIDE, 2 * STRIDE)).shape[1])
