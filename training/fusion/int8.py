"""The fusion network's INT8 variant: its ResNet, blocks' additions included, as docs/adr/0016-int8.md does detectors.

LSTM and head stay in float32: they are a thirtieth of the work, and their state is carried on and on.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, shape_inference
from onnx.utils import Extractor

from training.fusion.clip_set import Rendering, clip
from training.fusion.onnx_graph import HEAD, RESNET
from training.fusion.report import Speed
from training.int8_graph import Feed, in_int8
from training.trial import session

_KINDS: Final = ("Conv", "Relu", "Add", "MaxPool")
_WARM, _TIMED = 50, 500


def quantized(model: ModelProto, feeds: Sequence[Feed], name: str) -> ModelProto:
    """Activations uint8, weights int8 per channel, ranges from the moving average of minimum and maximum over `feeds`
    (one picture each, with all of the model's inputs)."""
    nodes = [node.name for node in model.graph.node if node.name.startswith(RESNET) and node.op_type in _KINDS]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(model.SerializeToString())
        variant = in_int8(source, target, feeds, _KINDS, nodes)
    variant.graph.name = name
    variant.producer_name = model.producer_name
    del variant.metadata_props[:]
    return variant


def resnet_of(model: ModelProto) -> ModelProto:
    """The ResNet alone, of either variant: `image` to what the head is given, float32 [N, C, ROWS, COLUMNS]."""
    nodes = model.graph.node
    made = {output for node in nodes if not node.name.startswith(HEAD) for output in node.output}
    (features,) = {name for node in nodes if node.name.startswith(HEAD) for name in node.input if name in made}
    return Extractor(shape_inference.infer_shapes(model)).extract_model(["image"], [features])


def speed(float32: ModelProto, int8: ModelProto, feeds: Sequence[Feed]) -> Speed:
    """CPU time, not the wall's: on a machine that does other things too, that is what the two can be compared by."""
    sessions = [session(model.SerializeToString()) for model in (float32, int8)]
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(_WARM + _TIMED):
        feed = dict(feeds[turn % len(feeds)])
        for running, taken in zip(sessions, times, strict=True):
            begun = time.process_time_ns()
            running.run(None, feed)
            if turn >= _WARM:
                taken.append((time.process_time_ns() - begun) / 1e6)
    slow, quick = (statistics.median(taken) for taken in times)
    return Speed(round(slow, 3), round(quick, 3), round(slow / quick, 2))


def spread(rendering: Rendering, count: int) -> NDArray[np.uint8]:
    """[count, H, W, 3], each from another scene and, from scene to scene, from a later moment."""
    places = [(index * rendering.scenes // count, index * rendering.frames // count) for index in range(count)]
    return np.stack([next(islice(clip(rendering.seed, scene, at + 1), at, None))[0] for scene, at in places])


def picture_feeds(pixels: NDArray[np.uint8], state: int) -> list[Feed]:
    """[n, H, W, 3], each with an empty state: the ResNet sees nothing of it."""
    empty = np.zeros((1, state), np.float32)
    return [{"image": np.ascontiguousarray(picture[None]), "h": empty, "c": empty} for picture in pixels]
