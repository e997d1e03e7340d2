"""What differs between detector families: how a picture goes in, and what comes out."""

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from training.contract import Letterbox
from training.graph_builder import GraphBuilder


class RawOutput(Struct, frozen=True):
    """One output of the raw network. `shape` is without the batch; `activated`: it ends in a sigmoid or softmax."""

    name: str
    shape: tuple[int, ...]
    activated: bool


def listed(outputs: Sequence[RawOutput]) -> str:
    """Outputs as an error names them."""
    shapes = (f"[N, {', '.join(map(str, o.shape))}]" for o in outputs)
    return ", ".join(f"{o.name.rsplit('/', 1)[-1]} {shape}" for o, shape in zip(outputs, shapes, strict=True))


class Decoded(Struct, frozen=True):
    """Tensors inside the graph: boxes [N, A, 4] as corners in input pixels, scores [N, A, C] in 0..1."""

    boxes: str
    scores: str
    anchors: int
    classes: int


class Canvas(Struct, frozen=True):
    """The network's input in pixels."""

    width: int
    height: int


Decode = Callable[[GraphBuilder, Sequence[RawOutput], Canvas], Decoded]


class Family(Struct, frozen=True):
    """One way of exporting a detector.

    Pixels (0-255) become (pixel - mean) * scale, per channel in the network's channel order.
    `decode` raises ModelError when the outputs don't fit the family.
    """

    name: str
    letterbox: Letterbox
    pad: int
    channels: Literal["rgb", "bgr"]
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    decode: Decode
