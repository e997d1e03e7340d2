# mypy: allow-subclassing-any
# (torch is an extra: where it is missing, its types are unknown)
"""Two streams joined: what the picture looks like and how things in it have moved, after Simonyan and Zisserman,
"Two-Stream Convolutional Networks", 2014.

The appearance stream is a detector's frozen first stages; the motion stream a small network over the optical flow of
the last pictures, so that it knows of what is hidden now how it moved before. They are joined on the cells of the
frozen maps, where a head finds boxes.

Without flow (all zeros, from the first step on) the same network has appearance alone: the baseline.
"""

from typing import Final, cast

import torch
from torch import Tensor, nn

from simulator.actors import LABELS
from training.hard_clips.clip_set import HEIGHT, WIDTH
from training.network import Backbone, Bottleneck, ConvUnit
from vision.optical_flow import GRID, STEPS, UNITS

ENLARGED: Final = 2
"""times, before the frozen stages see it: they have learnt from objects of that size"""
STRIDE: Final = 8
"""pixels a cell in which boxes are found"""
ROWS: Final = HEIGHT // STRIDE
COLUMNS: Final = WIDTH // STRIDE
FOUND: Final = ROWS * COLUMNS
LOW, MIDDLE = Backbone.widths[:2]
"""channels of the frozen maps: [LOW, 2 * ROWS, 2 * COLUMNS], and [MIDDLE, ROWS, COLUMNS]"""
FLOW: Final = (HEIGHT // GRID, WIDTH // GRID, 2 * STEPS)
SCALE: Final = 1 / UNITS
"""of flow as it is kept, to pixels"""
_CHANNELS: Final = 64


class TwoStreams(nn.Module):
    """All that is learnt: both streams up to the cells, and the head."""

    def __init__(self, moving: bool = True) -> None:
        super().__init__()
        self.moving = moving
        self.low, self.middle = nn.Conv2d(LOW, _CHANNELS, 2, 2), nn.Conv2d(MIDDLE, _CHANNELS, 1)
        self.motion = nn.Sequential(
            ConvUnit(FLOW[2], 32, 4, 2),
            ConvUnit(32, _CHANNELS, 4, 2),
            Bottleneck(_CHANNELS),
            ConvUnit(_CHANNELS, _CHANNELS),
        )
        self.head = nn.Sequential(ConvUnit(2 * _CHANNELS, 96), ConvUnit(96, 64))
        self.classes, self.sides = nn.Conv2d(64, len(LABELS), 1), nn.Conv2d(64, 4, 1)
        assert self.classes.bias is not None
        assert self.sides.bias is not None
        # as in the detector's own heads
        nn.init.constant_(self.classes.bias, -4.6)
        nn.init.constant_(self.sides.bias, 2.0)

    def forward(self, low: Tensor, middle: Tensor, flows: Tensor) -> Tensor:
        """The frozen maps, and flow [N, 2 * STEPS, rows, columns] in UNITS, to rows [N, FOUND, classes + 4]: logits,
        then sides in strides."""
        looks = torch.relu(self.low(low) + self.middle(middle))
        # without flow all pictures' are the same: one is enough
        moves = self.motion(eased(flows) if self.moving else flows.new_zeros(1, *flows.shape[1:]))
        shared = self.head(torch.cat([looks, moves.expand_as(looks)], dim=1))
        rows = torch.cat([self.classes(shared), self.sides(shared)], dim=1)
        return cast(Tensor, rows.flatten(2).transpose(1, 2))


def eased(flows: Tensor) -> Tensor:
    """Signed square roots of pixels: what passes close to the camera is ten times as fast as what is to be found."""
    return flows.sign() * torch.sqrt(flows.abs() * SCALE)
