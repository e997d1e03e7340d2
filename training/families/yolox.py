"""YOLOX as its own exporter writes it: one output [N, A, 5 + C], boxes relative to their grid cell.

Ge et al., "YOLOX: Exceeding YOLO Series in 2021": centre = (cell + xy) * stride, size = exp(wh) * stride,
score = objectness * class; both are sigmoids already in the exported graph. Input BGR 0-255, padded with 114 to the
right and below.
"""

from collections.abc import Sequence

from training.contract import ModelError
from training.families.family import Canvas, Decoded, Family, RawOutput, listed
from training.families.grid import cells, strides_for
from training.graph_builder import GraphBuilder

_STRIDES = ((8, 16, 32), (8, 16, 32, 64))


def decode(builder: GraphBuilder, outputs: Sequence[RawOutput], canvas: Canvas) -> Decoded:
    if len(outputs) != 1 or len(outputs[0].shape) != 2 or outputs[0].shape[1] < 6:
        raise ModelError("a YOLOX network has one output [N, boxes, 5 + classes]; this one has " + listed(outputs))
    raw, (anchors, columns) = outputs[0].name, outputs[0].shape
    position, stride = cells(canvas, strides_for(canvas, anchors, _STRIDES))

    offset = builder.op("Add", builder.cut(raw, 2, 0, 2), builder.constant(position[None]))
    centre = builder.op("Mul", offset, builder.constant(stride[None]))
    half = builder.op("Mul", builder.op("Exp", builder.cut(raw, 2, 2, 4)), builder.constant(stride[None] / 2))
    boxes = builder.op("Concat", builder.op("Sub", centre, half), builder.op("Add", centre, half), axis=2)
    scores = builder.op("Mul", builder.cut(raw, 2, 4, 5), builder.cut(raw, 2, 5, columns))
    return Decoded(boxes, scores, anchors, columns - 5)


FAMILY = Family(
    name="yolox",
    letterbox="top_left",
    pad=114,
    channels="bgr",
    mean=(0.0, 0.0, 0.0),
    scale=(1.0, 1.0, 1.0),
    decode=decode,
)
