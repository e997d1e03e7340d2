"""The fusion network's INT8 variant: its ResNet, blocks' additions included, as docs/adr/0016-int8.md does detectors.

LSTM and head stay in float32: they are a thirtieth of the work, and their state is carried on and on.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, shape_inference
from onnx.utils import Extractor

from training.fusion.clip_set import Rendering, clip
from training.fusion.onnx_graph import HEAD, RESNET
from training.int8_variant import in_bytes
from training.speed import Feed

_KINDS: Final = ("Conv", "Relu", "Add", "MaxPool")


def quantized(model: ModelProto, feeds: Sequence[Feed], name: str) -> ModelProto:
    """As `in_bytes`, of the ResNet alone."""
    nodes = [node.name for node in model.graph.node if node.name.startswith(RESNET) and node.op_type in _KINDS]
    return in_bytes(model, feeds, name, nodes)


def resnet_of(model: ModelProto) -> ModelProto:
    """The ResNet alone, of either variant: `image` to what the head is given, float32 [N, C, ROWS, COLUMNS]."""
    nodes = model.graph.node
    made = {output for node in nodes if not node.name.startswith(HEAD) for output in node.output}
    (features,) = {name for node in nodes if node.name.startswith(HEAD) for name in node.input if name in made}
    return Extractor(shape_inference.infer_shapes(model)).extract_model(["image"], [features])


def spread(rendering: Rendering, count: int) -> NDArray[np.uint8]:
    """[count, H, W, 3], each from another scene and, from scene to scene, from a later moment."""
    places = [(index * rendering.scenes // count, index * rendering.frames // count) for index in range(count)]
    return np.stack([next(islice(clip(rendering.seed, scene, at + 1), at, None))[0] for scene, at in places])


def picture_feeds(pixels: NDArray[np.uint8], state: int) -> list[Feed]:
    """[n, H, W, 3], each with an empty state: the ResNet sees nothing of it."""
    empty = np.zeros((1, state), np.float32)
    return [{"image": np.ascontiguousarray(picture[None]), "h": empty, "c": empty} for picture in pixels]
