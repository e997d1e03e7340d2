"""The bundled detector's own output: [N, classes + 4, A], class logits, then distances to a box's sides in strides."""

from collections.abc import Sequence

import numpy as np

from training.contract import ModelError
from training.families.family import Canvas, Decoded, Family, RawOutput, listed
from training.families.grid import cells, strides_for
from training.graph_builder import GraphBuilder


def decode(builder: GraphBuilder, outputs: Sequence[RawOutput], canvas: Canvas) -> Decoded:
    if len(outputs) != 1 or len(outputs[0].shape) != 2 or outputs[0].shape[0] < 5:
        raise ModelError(f"expected one output [N, classes + 4, boxes], not {listed(outputs)}")
    columns, anchors = outputs[0].shape
    position, stride = cells(canvas, strides_for(canvas, anchors, ((8, 16, 32),)))
    centre = builder.constant(((position + np.float32(0.5)) * stride)[None])

    table = builder.op("Transpose", outputs[0].name, perm=[0, 2, 1])
    scores = builder.op("Sigmoid", builder.cut(table, 2, 0, columns - 4))
    reach = builder.op("Mul", builder.cut(table, 2, columns - 4, columns), builder.constant(stride[None]))
    boxes = builder.op(
        "Concat",
        builder.op("Sub", centre, builder.cut(reach, 2, 0, 2)),
        builder.op("Add", centre, builder.cut(reach, 2, 2, 4)),
        axis=2,
    )
    return Decoded(boxes, scores, anchors, columns - 4)


FAMILY = Family(
    name="sides",
    letterbox="top_left",
    pad=114,
    channels="rgb",
    mean=(0.0, 0.0, 0.0),
    scale=(1 / 255, 1 / 255, 1 / 255),
    decode=decode,
)
