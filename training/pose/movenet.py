"""Networks that answer as MoveNet does: rows of y, x and score of COCO's 17 keypoints, y and x as shares of the input.

Of one person ("lightning", "thunder"): one output [1, 1, 17, 3], somebody always. Of several ("multipose"): one output
[1, 6, 56], each row 17 keypoints, then a box (ymin, xmin, ymax, xmax) and the person's score.
"""

from collections.abc import Sequence
from typing import Final

from onnx import TensorProto

from training.contract import ModelError
from training.families.family import Canvas, RawOutput, listed
from training.graph_builder import GraphBuilder
from training.keypoint_precision import FROM_18
from vision.pose import COUNT

MOST: Final = 6
"""people that the network of several finds"""
LEAST: Final = 0.11
"""a person's score below which there is nobody; what is usually shown of these networks begins there"""
_COCO: Final = len(FROM_18)
_BOX: Final = 4
_STEP: Final = 32
_LEFT_SHOULDER, _RIGHT_SHOULDER = 5, 6
#: For each of our 18 its place among COCO's 17, with the neck behind them.
_ORDER: Final = tuple(FROM_18.index(place) if place in FROM_18 else _COCO for place in range(COUNT))


def append_one(builder: GraphBuilder, outputs: Sequence[RawOutput], canvas: Canvas) -> dict[str, str]:
    """Adds people [N, 1, 18, 3] and scores [N, 1], the mean of the keypoints'; their tensors by name.

    Raises ModelError for a network that answers otherwise."""
    rows = _only(outputs, (1, _COCO, 3), "MoveNet's kind for one person")
    scores = builder.mean_over(builder.reshape(builder.cut(rows, 3, 2, 3), 0, 1, _COCO), 2, _COCO)
    return _people(builder, rows, builder.reshape(scores, 0, 1), canvas)


def append_several(builder: GraphBuilder, outputs: Sequence[RawOutput], canvas: Canvas) -> dict[str, str]:
    """Adds people [N, 6, 18, 3] and scores [N, 6]; their tensors by name. The boxes are left out.

    Raises ModelError for a network that answers otherwise, or cannot take pictures of that size."""
    width = 3 * _COCO
    table = _only(outputs, (MOST, width + _BOX + 1), "MoveNet's kind for several people")
    if canvas.width % _STEP or canvas.height % _STEP:
        raise ModelError(f"{canvas.width}x{canvas.height} pixels: this network takes multiples of {_STEP}")
    rows = builder.reshape(builder.cut(table, 2, 0, width), 0, MOST, _COCO, 3)
    scores = builder.reshape(builder.cut(table, 2, width + _BOX, width + _BOX + 1), 0, MOST)
    return _people(builder, rows, scores, canvas)


def _only(outputs: Sequence[RawOutput], shape: tuple[int, ...], what: str) -> str:
    if len(outputs) != 1 or outputs[0].shape != shape:
        wanted = ", ".join(map(str, shape))
        raise ModelError(f"a network of {what} has one output [N, {wanted}]; this one has {listed(outputs)}")
    return outputs[0].name


def _people(b: GraphBuilder, rows: str, scores: str, canvas: Canvas) -> dict[str, str]:
    """rows [N, K, 17, 3]: y, x, score."""
    turned = b.op("Gather", rows, b.ints(1, 0, 2), axis=3)
    placed = b.op("Mul", turned, b.floats(canvas.width, canvas.height, 1.0))
    left, right = (b.cut(placed, 2, at, at + 1) for at in (_LEFT_SHOULDER, _RIGHT_SHOULDER))
    between = b.op("Mul", b.op("Add", left, right), b.floats(0.5))
    # no surer than the less sure shoulder
    neck = b.op("Concat", b.cut(between, 3, 0, 2), b.cut(b.op("Min", left, right), 3, 2, 3), axis=3)
    people = b.op("Gather", b.op("Concat", placed, neck, axis=2), b.ints(*_ORDER), axis=2)
    somebody = b.cast(b.op("Greater", scores, b.floats(LEAST)), TensorProto.FLOAT)
    return {"people": people, "scores": b.op("Mul", scores, somebody)}
