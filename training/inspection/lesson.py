"""What a network of the cascade learns from: parts and the masks of their defects."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.inspection.part_set import PartSet
from training.trainer import Choice, to_tensor

Loss = Callable[[Tensor, Tensor], Tensor]


class InspectionLesson:
    def __init__(self, parts: PartSet, loss: Loss) -> None:
        self._parts, self._loss = parts, loss
        self.sha256 = parts.sha256

    def __len__(self) -> int:
        return len(self._parts)

    def losses(self, network: nn.Module, batch: Sequence[Choice], plain: bool) -> Mapping[str, Tensor]:
        """A part may lie any way also in the plain steps: it may on the belt."""
        pictures, masks = [], []
        for each in batch:
            picture, mask = _turned(self._parts.pixels[each.index], self._parts.masks[each.index], each.dice)
            pictures.append(picture if plain else _relit(picture, each.dice))
            masks.append(mask)
        truth = torch.from_numpy(np.stack(masks)).float()
        return {"loss": self._loss(network(to_tensor(np.stack(pictures))), truth)}


def _turned(
    picture: NDArray[np.uint8], mask: NDArray[np.uint8], dice: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One of the eight ways a square can lie: a defect is one however the part lies."""
    quarter, mirrored = int(dice.integers(4)), dice.random() < 0.5
    picture, mask = np.rot90(picture, quarter), np.rot90(mask, quarter)
    if mirrored:
        picture, mask = picture[:, ::-1], mask[:, ::-1]
    return np.ascontiguousarray(picture), np.ascontiguousarray(mask)


def _relit(picture: NDArray[np.uint8], dice: np.random.Generator) -> NDArray[np.uint8]:
    """Brighter or darker, another tint, now and then with the colours' order reversed."""
    level = np.arange(256, dtype=np.float64) / 255
    tint = dice.uniform(0.8, 1.2) * dice.uniform(0.93, 1.07, 3)
    table = np.clip(255 * level[:, None] ** np.exp(dice.uniform(-0.2, 0.2)) * tint, 0, 255).astype(np.uint8)
    out = np.stack([table[picture[..., channel], channel] for channel in range(3)], axis=-1)
    return out if dice.random() < 0.7 else np.ascontiguousarray(out[..., ::-1])
