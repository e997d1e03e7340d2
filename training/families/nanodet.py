"""NanoDet (first generation): per stride 8/16/32 a score map [N, A, C] and a distance map [N, A, 4 * bins].

A side's distance from the cell's centre is the mean of a softmax over its bins, in strides (Li et al., "Generalized
Focal Loss"); bins is 8 in every published NanoDet. Input BGR, minus mean, over standard deviation.
"""

from collections.abc import Sequence

import numpy as np

from training.contract import ModelError
from training.families.family import Canvas, Decoded, Family, RawOutput, listed
from training.families.grid import cells
from training.graph_builder import GraphBuilder

_STRIDES = (8, 16, 32)
_BINS = 8


def decode(builder: GraphBuilder, outputs: Sequence[RawOutput], canvas: Canvas) -> Decoded:
    scores, distances = _by_stride(outputs, canvas)
    position, stride = cells(canvas, _STRIDES)
    anchors = len(position)

    logits = builder.reshape(builder.op("Concat", *(d.name for d in distances), axis=1), 0, anchors, 4, _BINS)
    weights = builder.op("Softmax", logits, axis=3)
    bins = builder.constant(np.arange(_BINS, dtype=np.float32)[None, None, None])
    mean = builder.op("Mul", weights, bins)
    sides = builder.cut(mean, 3, 0, 1)
    for i in range(1, _BINS):
        # added in a fixed order: a reduction may be split differently when the batch grows
        sides = builder.op("Add", sides, builder.cut(mean, 3, i, i + 1))
    pixels = builder.op("Mul", builder.reshape(sides, 0, anchors, 4), builder.constant(stride[None]))
    centre = builder.constant(((position + 0.5) * stride)[None])
    boxes = builder.op(
        "Concat",
        builder.op("Sub", centre, builder.cut(pixels, 2, 0, 2)),
        builder.op("Add", centre, builder.cut(pixels, 2, 2, 4)),
        axis=2,
    )
    maps = [s.name if s.activated else builder.op("Sigmoid", s.name) for s in scores]
    return Decoded(boxes, builder.op("Concat", *maps, axis=1), anchors, scores[0].shape[1])


def _by_stride(outputs: Sequence[RawOutput], canvas: Canvas) -> tuple[list[RawOutput], list[RawOutput]]:
    """Score maps and distance maps, finest first. Where both are equally wide, the score map comes first."""
    scores, distances = [], []
    if len(outputs) == 2 * len(_STRIDES) and all(len(o.shape) == 2 for o in outputs):
        for stride in _STRIDES:
            anchors = len(cells(canvas, (stride,))[1])
            pair = [o for o in outputs if o.shape[0] == anchors]
            scores += [o for o in pair if o.shape[1] != 4 * _BINS] or pair[:1]
            distances += [o for o in pair if o.shape[1] == 4 * _BINS][-1:]
    if len(scores) != len(_STRIDES) or len(distances) != len(_STRIDES) or len({s.shape[1] for s in scores}) != 1:
        raise ModelError(
            f"a NanoDet network has six outputs, [N, boxes, classes] and [N, boxes, {4 * _BINS}] for each of the "
            "strides 8, 16 and 32; this one has " + listed(outputs)
        )
    return scores, distances


FAMILY = Family(
    name="nanodet",
    letterbox="top_left",
    pad=114,
    channels="bgr",
    mean=(103.53, 116.28, 123.675),
    scale=(1 / 57.375, 1 / 57.12, 1 / 58.395),
    decode=decode,
)
