# mypy: allow-subclassing-any
# (torch is an extra: where it is missing, its types are unknown)
"""A ResNet's features of the current picture, an LSTM over time, both joined, and a head that says what goes on.

The LSTM (Hochreiter and Schmidhuber, 1997) is convolutional (Shi et al., 2015): each of the map's cells has KEPT
numbers of memory and sees its neighbours', all with the same weights. What has moved is then learnt once and not for
each place anew. To whoever serves it, its state is two rows of floats.

Without the LSTM the same network judges single pictures: the baseline.
"""

from typing import Final

import torch
from torch import Tensor, nn

from training.fusion.activity import ACTIVITIES
from training.fusion.backbone import STRIDE, backbone, channels_of
from training.fusion.clip_set import CELL, HEIGHT, WIDTH

ROWS: Final = HEIGHT // STRIDE
COLUMNS: Final = WIDTH // STRIDE
KEPT: Final = 8
STATE: Final = KEPT * ROWS * COLUMNS
"""floats in `h`, and as many in `c`"""
_SPATIAL: Final = 24
_MIXED: Final = 32
_INNER: Final = STRIDE // CELL


class CellLstm(nn.Module):
    """x [N, inputs, H, W], h and c [N, KEPT, H, W] to the next h and c. Gates in the order i, f, g, o."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(inputs + KEPT, 4 * KEPT, 3, 1, 1)
        assert self.gates.bias is not None
        # remember at first: Jozefowicz et al., 2015
        nn.init.constant_(self.gates.bias[KEPT : 2 * KEPT], 1.0)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, o = self.gates(torch.cat([x, h], dim=1)).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class Head(nn.Module):
    """Features of pictures in a row to what goes on in each; with `temporal`, knowing those before."""

    def __init__(self, channels: int, temporal: bool = True) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(channels, _SPATIAL, 1)
        self.lstm = CellLstm(_SPATIAL) if temporal else None
        self.mix = nn.Conv2d(_SPATIAL + (KEPT if temporal else 0), _MIXED, 3, 1, 1)
        self.classes = nn.Linear(2 * _MIXED, len(ACTIVITIES))

    def forward(self, features: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """features [N, C, ROWS, COLUMNS], h and c [N, STATE] to logits [N, classes] and the next h and c."""
        x = torch.relu(self.spatial(features))
        joined = x
        if self.lstm is not None:
            shape = (-1, KEPT, ROWS, COLUMNS)
            hidden, cells = self.lstm(x, h.reshape(shape), c.reshape(shape))
            joined = torch.cat([x, hidden], dim=1)
            h, c = hidden.flatten(1), cells.flatten(1)
        mixed = torch.relu(self.mix(joined))
        logits: Tensor = self.classes(torch.cat([mixed.mean(dim=(2, 3)), mixed.amax(dim=(2, 3))], dim=1))
        return logits, h, c

    def along(self, features: Tensor) -> Tensor:
        """features [N, T, C, ROWS, COLUMNS] from the beginning to logits [N, T, classes]."""
        h = c = features.new_zeros(len(features), STATE)
        said = []
        for step in range(features.shape[1]):
            logits, h, c = self(features[:, step], h, c)
            said.append(logits)
        return torch.stack(said, dim=1)


class PictureNetwork(nn.Module):
    """What the backbone learns in: single pictures, their state, and where vehicles are (which names their places
    finer than the cells, and so makes motion visible in the features)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.backbone = backbone(name)
        channels = channels_of(self.backbone)
        self.head = Head(channels, temporal=False)
        self.places = nn.Conv2d(channels, 2 * _INNER * _INNER, 1)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 3, HEIGHT, WIDTH] in 0..1 to logits [N, classes] and [N, 2, HEIGHT / CELL, WIDTH / CELL]."""
        features = self.backbone(pictures)
        nothing = features.new_zeros(len(features), STATE)
        return self.head(features, nothing, nothing)[0], nn.functional.pixel_shuffle(self.places(features), _INNER)


class Fusion(nn.Module):
    """As it is served: one picture and a state to probabilities and the next state."""

    def __init__(self, layers: nn.Module, head: Head) -> None:
        super().__init__()
        self.backbone, self.head = layers, head

    def forward(self, pictures: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, h, c = self.head(self.backbone(pictures), h, c)
        return torch.softmax(logits, dim=1), h, c
