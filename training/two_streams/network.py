# mypy: allow-subclassing-any
# (torch is an extra: where it is missing, its types are unknown)
"""Two streams joined: what the picture looks like and how things in it have moved, after Simonyan and Zisserman,
"Two-Stream Convolutional Networks", 2014.

The appearance stream is a detector's frozen first stages; the motion stream a small network over the optical flow of
the last pictures, so that it knows of what is hidden now how it moved before. They are joined on the cells of the
frozen maps, where a head finds boxes.

Without flow (all zeros, from the first step on) the same network has appearance alone: the baseline.
"""

from typing import Final

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
            ConvUnit(FLOW[2] + 4, 32, 4, 2),
            ConvUnit(32, _CHANNELS, 4, 2),
            Bottleneck(_CHANNELS),
            ConvUnit(_CHANNELS, _CHANNELS),
        )
        self.head = nn.Sequential(ConvUnit(2 * _CHANNELS, 96), ConvUnit(96, 64))
        self.classes, self.sides = _ends(64)
        self.motion_classes, self.motion_sides = _ends(_CHANNELS)
        """of the motion stream by itself, while it learns: beside frozen maps that are good from the first step on, it
        would hardly be asked for anything"""

    def forward(self, low: Tensor, middle: Tensor, flows: Tensor) -> Tensor:
        """The frozen maps, and flow [N, 2 * STEPS, rows, columns] in UNITS, to rows [N, FOUND, classes + 4]: logits,
        then sides in strides."""
        return self.apart(low, middle, flows)[0]

    def apart(self, low: Tensor, middle: Tensor, flows: Tensor) -> tuple[Tensor, Tensor | None]:
        """The rows of both streams together, and those of the motion stream by itself."""
        looks = torch.relu(self.low(low) + self.middle(middle))
        # without flow all pictures' are the same: one is enough
        moves = self.motion(eased(flows if self.moving else flows.new_zeros(1, *flows.shape[1:])))
        shared = self.head(torch.cat([looks, moves.expand_as(looks)], dim=1))
        rows = _rows(self.classes, self.sides, shared)
        return rows, _rows(self.motion_classes, self.motion_sides, moves) if self.moving else None


def eased(flows: Tensor) -> Tensor:
    """Flow as it is kept, and its means over all STEPS and over the older half, in which there is less noise: signed
    square roots of pixels, for what passes close to the camera is ten times as fast as what is to be found."""
    means = [part.unflatten(1, (-1, 2)).mean(dim=1) for part in (flows, flows[:, STEPS:])]
    all_of_them = torch.cat([flows, *means], dim=1)
    return all_of_them.sign() * torch.sqrt(all_of_them.abs() * SCALE)


def _ends(channels: int) -> tuple[nn.Conv2d, nn.Conv2d]:
    """What says classes and sides."""
    classes, sides = nn.Conv2d(channels, len(LABELS), 1), nn.Conv2d(channels, 4, 1)
    assert classes.bias is not None
    assert sides.bias is not None
    # as in the detector's own heads
    nn.init.constant_(classes.bias, -4.6)
    nn.init.constant_(sides.bias, 2.0)
    return classes, sides


def _rows(classes: nn.Conv2d, sides: nn.Conv2d, shared: Tensor) -> Tensor:
    return torch.cat([classes(shared), sides(shared)], dim=1).flatten(2).transpose(1, 2)
