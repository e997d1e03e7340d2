# mypy: allow-subclassing-any
# (torch is an extra: where it is missing, its types are unknown)
"""A Transformer block between a detector's frozen features and a detection head: each cell of the current picture's map
asks what the maps of the last pictures hold, there and around.

Attention after Vaswani et al., 2017, over time and over REACH cells in every direction, so that what has moved is
within reach; each head has a bias for every offset and age (as in Swin, Liu et al., 2021). What is kept of a picture is
the map after its own block: what was seen before the last few pictures can live on in them.

Without the kept maps the same block attends to the current picture alone: the baseline.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from simulator.actors import LABELS
from training.hard_clips.clip_set import HEIGHT, WIDTH
from training.network import Backbone, ConvUnit

ENLARGED: Final = 2
"""times, before the frozen stages see it: they have learnt from objects of that size"""
STRIDE: Final = 16
"""pixels a cell of the maps that are kept"""
ROWS: Final = HEIGHT // STRIDE
COLUMNS: Final = WIDTH // STRIDE
CELLS: Final = ROWS * COLUMNS
FINE: Final = 2
"""finer, on either side, are the cells in which boxes are found"""
FOUND: Final = CELLS * FINE * FINE
LOW, MIDDLE = Backbone.widths[:2]
"""channels of the frozen maps, whose cells are a half and as large as the fine ones"""
CHANNELS: Final = 64
PICTURES: Final = 2
"""of which maps are kept"""
MEMORY: Final = (PICTURES, CHANNELS, ROWS, COLUMNS)
REACH: Final = 1
OFFSETS: Final = (2 * REACH + 1) ** 2
HEADS: Final = 4
WIDE: Final = 8
"""numbers of each head's queries, keys and values"""
_ASKED: Final = HEADS * WIDE
EPSILON: Final = 1e-5


class ChannelNorm(nn.Module):
    """Layer norm (Ba et al., 2016) over the channels of each cell of [N, C, H, W]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.factor, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        apart = x - x.mean(dim=1, keepdim=True)
        spread = torch.sqrt((apart * apart).mean(dim=1, keepdim=True) + EPSILON)
        return apart / spread * self.factor[:, None, None] + self.shift[:, None, None]


class Block(nn.Module):
    """One pre-norm Transformer block. x [N, CHANNELS, ROWS, COLUMNS] and `others` [N, k, CHANNELS, ROWS, COLUMNS], the
    maps before it, the youngest first, to x with what was found."""

    def __init__(self, others: int) -> None:
        super().__init__()
        self.maps = 1 + others
        self.asks, self.offers = ChannelNorm(CHANNELS), ChannelNorm(CHANNELS)
        self.queries = nn.Conv2d(CHANNELS, _ASKED, 1, bias=False)
        self.keys_values = nn.Conv2d(CHANNELS, 2 * _ASKED, 1, bias=False)
        self.age = nn.Parameter(torch.zeros(self.maps * 2 * _ASKED))
        """told to a map's keys and values"""
        self.place = nn.Parameter(torch.zeros(self.maps, HEADS, OFFSETS))
        self.out = nn.Conv2d(_ASKED, CHANNELS, 1)
        self.then = ChannelNorm(CHANNELS)
        self.widen, self.narrow = nn.Conv2d(CHANNELS, 2 * CHANNELS, 3, 1, 1), nn.Conv2d(2 * CHANNELS, CHANNELS, 1)
        with torch.no_grad():
            # at first a cell looks at itself and at where it was
            self.place[:, :, OFFSETS // 2] = 1.0

    def forward(self, x: Tensor, others: Tensor) -> Tensor:
        x = x + self.out(self._found(x, others))
        return x + self.narrow(torch.relu(self.widen(self.then(x))))

    def _found(self, x: Tensor, others: Tensor) -> Tensor:
        maps = torch.cat([x[:, None], others], dim=1)
        offered = self.keys_values(self.offers(maps.flatten(0, 1))).reshape(len(x), -1, ROWS, COLUMNS)
        around = functional.unfold(offered + self.age[:, None, None], 2 * REACH + 1, padding=REACH)
        around = around.reshape(len(x), self.maps, 2, HEADS, WIDE, OFFSETS, CELLS)
        asked = self.queries(self.asks(x)).reshape(len(x), 1, HEADS, WIDE, 1, CELLS)
        fit = (asked * around[:, :, 0]).sum(dim=3) / WIDE**0.5 + self.place[..., None]
        share = fit.transpose(1, 2).flatten(2, 3).softmax(dim=2)
        share = share.reshape(len(x), HEADS, self.maps, OFFSETS, CELLS).transpose(1, 2)[:, :, :, None]
        return (share * around[:, :, 1]).sum(dim=(1, 4)).reshape(len(x), _ASKED, ROWS, COLUMNS)


class Temporal(nn.Module):
    """All that is learnt: the neck that joins the frozen maps, the block on coarse cells, the head on fine ones."""

    def __init__(self, temporal: bool = True) -> None:
        super().__init__()
        self.temporal = temporal
        self.low, self.middle = nn.Conv2d(LOW, CHANNELS, 2, 2), nn.Conv2d(MIDDLE, CHANNELS, 1)
        self.coarser = nn.Conv2d(CHANNELS, CHANNELS, FINE, FINE)
        self.block = Block(PICTURES if temporal else 0)
        self.finer = nn.Conv2d(CHANNELS, CHANNELS * FINE * FINE, 1)
        self.head = nn.Sequential(ConvUnit(CHANNELS, 96), ConvUnit(96, 64))
        self.classes, self.sides = nn.Conv2d(64, len(LABELS), 1), nn.Conv2d(64, 4, 1)
        assert self.classes.bias is not None
        assert self.sides.bias is not None
        # as in the detector's own heads
        nn.init.constant_(self.classes.bias, -4.6)
        nn.init.constant_(self.sides.bias, 2.0)

    def neck(self, low: Tensor, middle: Tensor) -> tuple[Tensor, Tensor]:
        """The picture on fine cells and on coarse ones."""
        fine = torch.relu(self.low(low) + self.middle(middle))
        return fine, torch.relu(self.coarser(fine))

    def found(self, maps: Tensor, fine: Tensor) -> Tensor:
        """Maps after the block, and the picture on fine cells, to rows [N, FOUND, classes + 4]: logits, then sides in
        strides of the fine cells."""
        shared = self.head(torch.relu(functional.pixel_shuffle(self.finer(maps), FINE) + fine))
        return torch.cat([self.classes(shared), self.sides(shared)], dim=1).flatten(2).transpose(1, 2)

    def forward(self, low: Tensor, middle: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The frozen maps of one picture and what is kept, [N, *MEMORY], to rows and what is kept then."""
        fine, x = self.neck(low, middle)
        if not self.temporal:
            return self.found(self.block(x, memory[:, :0]), fine), memory
        x = self.block(x, memory)
        return self.found(x, fine), torch.cat([x[:, None], memory[:, :-1]], dim=1)

    def along(self, low: Tensor, middle: Tensor) -> Tensor:
        """The frozen maps [N, T, ...] of pictures in a row, from the first on, to rows [N, T, FOUND, classes + 4]."""
        count, pictures = low.shape[:2]
        fine, x = self.neck(low.flatten(0, 1), middle.flatten(0, 1))
        if not self.temporal:
            maps = self.block(x, x.new_zeros(len(x), 0, CHANNELS, ROWS, COLUMNS))
            return self.found(maps, fine).unflatten(0, (count, pictures))
        x = x.unflatten(0, (count, pictures))
        kept: Sequence[Tensor] = [x.new_zeros(count, CHANNELS, ROWS, COLUMNS)] * PICTURES
        seen = []
        for index in range(pictures):
            seen.append(self.block(x[:, index], torch.stack(list(kept), dim=1)))
            kept = [seen[-1], *kept[:-1]]
        return self.found(torch.stack(seen, dim=1).flatten(0, 1), fine).unflatten(0, (count, pictures))
