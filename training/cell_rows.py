"""Writes what a head says of its cells as ONNX: boxes decoded, overlapping ones thinned out, rows as detectors'."""

import numpy as np
from torch import nn

from training.contract import Suppression
from training.families.family import Canvas
from training.families.grid import cells
from training.folding import convolution
from training.graph_builder import GraphBuilder
from training.suppression_graph import append_suppression


def append_rows(
    builder: GraphBuilder,
    classes: nn.Conv2d,
    sides: nn.Conv2d,
    shared: str,
    canvas: Canvas,
    stride: int,
    suppression: Suppression,
) -> str:
    """`shared`: the map [N, channels, rows, columns] that `classes` and `sides` see, its cells `stride` pixels wide.
    The name of rows [N, K, 6]."""
    position, strides = cells(canvas, (stride,))
    count = len(position)
    logits, apart = (_listed(builder, conv, shared, count) for conv in (classes, sides))
    centre = builder.constant(((position + np.float32(0.5)) * strides)[None])
    reach = builder.op("Mul", apart, builder.floats(stride))
    low = builder.op("Sub", centre, builder.cut(reach, 2, 0, 2))
    high = builder.op("Add", centre, builder.cut(reach, 2, 2, 4))
    boxes = builder.op("Concat", low, high, axis=2)
    return append_suppression(builder, boxes, builder.op("Sigmoid", logits), count, classes.out_channels, suppression)


def _listed(builder: GraphBuilder, conv: nn.Conv2d, x: str, count: int) -> str:
    """[N, count, outputs]"""
    made = builder.reshape(convolution(builder, conv, x), 0, conv.out_channels, count)
    return builder.op("Transpose", made, perm=[0, 2, 1])
