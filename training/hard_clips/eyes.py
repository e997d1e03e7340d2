# mypy: allow-subclassing-any
# (torch is an extra: where it is missing, its types are unknown)
"""The bundled detector's first stages, frozen: what a picture looks like, for networks that learn something beside."""

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from simulator.actors import LABELS
from training.hard_clips.clip_set import HEIGHT, WIDTH
from training.network import JunctionYolo
from training.rebuilding import rebuild


class Eyes(nn.Module):
    """[N, 3, H, W] in 0..1 to its maps of strides 8 and 16, pictures made `enlarged` times as large (bilinear)."""

    def __init__(self, detector: JunctionYolo, enlarged: int = 1) -> None:
        super().__init__()
        backbone = detector.backbone
        self.stem, self.low, self.middle = backbone.stem, backbone.low, backbone.middle
        self.enlarged = enlarged

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        if self.enlarged > 1:
            pictures = functional.interpolate(pictures, scale_factor=self.enlarged, mode="bilinear")
        low = self.low(self.stem(pictures))
        return low, self.middle(low)


def bundled_eyes(graph: onnx.ModelProto, enlarged: int = 1) -> Eyes:
    """From the bundled detector as it is served. Raises ModelError for another network."""
    detector = JunctionYolo(len(LABELS))
    grey = torch.full((1, HEIGHT, WIDTH, 3), 114, dtype=torch.uint8).numpy()
    rebuild(detector, LABELS, graph, LABELS, grey)
    eyes = Eyes(detector, enlarged)
    eyes.eval().requires_grad_(False)
    return eyes
