"""SSD as PyTorch exporters commonly write it: outputs `scores` [N, A, 1 + C] and `boxes` [N, A, 4], priors applied.

Boxes are corners x1, y1, x2, y2 as fractions of the input; scores are a softmax whose first column is the background.
Input RGB, (pixel - 127) / 128. An export that leaves the priors to the caller, or that suppresses inside with an
output of varying length, isn't this contract and is refused.
"""

from collections.abc import Sequence

from training.contract import ModelError
from training.families.family import Canvas, Decoded, Family, RawOutput, listed
from training.graph_builder import GraphBuilder


def decode(builder: GraphBuilder, outputs: Sequence[RawOutput], canvas: Canvas) -> Decoded:
    named = {o.name.rsplit("/", 1)[-1]: o for o in outputs}
    scores, boxes = named.get("scores"), named.get("boxes")
    if (
        len(outputs) != 2
        or scores is None
        or boxes is None
        or len(scores.shape) != 2
        or scores.shape[1] < 2
        or boxes.shape != (scores.shape[0], 4)
    ):
        raise ModelError(
            "an SSD network has the outputs `scores` [N, boxes, 1 + classes] and `boxes` [N, boxes, 4]; this one has "
            + listed(outputs)
        )
    anchors, columns = scores.shape
    size = builder.floats(canvas.width, canvas.height, canvas.width, canvas.height)
    likely = scores.name if scores.activated else builder.op("Softmax", scores.name, axis=2)
    return Decoded(builder.op("Mul", boxes.name, size), builder.cut(likely, 2, 1, columns), anchors, columns - 1)


FAMILY = Family(
    name="ssd",
    letterbox="top_left",
    pad=127,
    channels="rgb",
    mean=(127.0, 127.0, 127.0),
    scale=(1 / 128, 1 / 128, 1 / 128),
    decode=decode,
)
