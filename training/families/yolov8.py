"""YOLOv8 and those that export like it: one output [N, 4 + C, A], boxes as centre and size in input pixels.

Scores are sigmoids already, there is no objectness. Input RGB / 255, padded with 114 on both sides alike.
"""

from collections.abc import Sequence

from training.contract import ModelError
from training.families.family import Canvas, Decoded, Family, RawOutput, listed
from training.families.grid import strides_for
from training.graph_builder import GraphBuilder

_STRIDES = ((8, 16, 32), (8, 16, 32, 64))


def decode(builder: GraphBuilder, outputs: Sequence[RawOutput], canvas: Canvas) -> Decoded:
    if len(outputs) != 1 or len(outputs[0].shape) != 2 or outputs[0].shape[0] < 5:
        raise ModelError("a YOLOv8 network has one output [N, 4 + classes, boxes]; this one has " + listed(outputs))
    columns, anchors = outputs[0].shape
    strides_for(canvas, anchors, _STRIDES)

    table = builder.op("Transpose", outputs[0].name, perm=[0, 2, 1])
    centre = builder.cut(table, 2, 0, 2)
    half = builder.op("Mul", builder.cut(table, 2, 2, 4), builder.floats(0.5))
    boxes = builder.op("Concat", builder.op("Sub", centre, half), builder.op("Add", centre, half), axis=2)
    return Decoded(boxes, builder.cut(table, 2, 4, columns), anchors, columns - 4)


FAMILY = Family(
    name="yolov8",
    letterbox="center",
    pad=114,
    channels="rgb",
    mean=(0.0, 0.0, 0.0),
    scale=(1 / 255, 1 / 255, 1 / 255),
    decode=decode,
)
