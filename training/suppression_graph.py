"""Non-maximum suppression with an output of fixed size, as ONNX nodes.

ONNX's own operator returns a list of survivors whose length depends on the whole batch. Here its survivors are
scattered back into a score table of fixed shape, from which the K best are taken per image: nothing in a row depends
on what else is in the batch.
"""

from onnx import TensorProto

from training.contract import Suppression
from training.graph_builder import GraphBuilder


def append_suppression(
    builder: GraphBuilder, boxes: str, scores: str, anchors: int, classes: int, rule: Suppression
) -> str:
    """Nodes from decoded boxes [N, A, 4] (corners) and scores [N, A, C] to rows [N, K, 6]; returns the rows' name.

    A box keeps only its likeliest class, as YOLOX's and NanoDet's own code does: an object shouldn't be found twice.
    """
    candidates = min(rule.candidates, anchors)
    ranked, order = builder.op_many(
        "TopK", 2, builder.maximum_over(scores, 2, keep=False), builder.ints(candidates), axis=1, largest=1, sorted=1
    )
    boxes = _pick(builder, boxes, order, 4)
    scores = _pick(builder, scores, order, classes)
    if rule.across_classes:
        label_of = builder.op("ArgMax", scores, axis=2, keepdims=0)
        table, columns = builder.reshape(ranked, 0, 1, candidates), 1
    else:
        label_of = ""
        own = builder.op("Equal", scores, builder.reshape(ranked, 0, candidates, 1))
        single = builder.op("Where", own, scores, builder.floats(0.0))
        table, columns = builder.op("Transpose", single, perm=[0, 2, 1]), classes

    survivors = builder.op(
        "NonMaxSuppression",
        boxes,
        table,
        builder.ints(rule.rows),
        builder.floats(rule.iou),
        builder.floats(rule.score),
    )
    kept = builder.op("ScatterND", builder.zeros_like(table), survivors, builder.op("GatherND", table, survivors))
    flat = builder.reshape(kept, 0, columns * candidates)
    rows = min(rule.rows, columns * candidates)
    top, place = builder.op_many("TopK", 2, flat, builder.ints(rows), axis=1, largest=1, sorted=1)

    candidate = builder.op("Mod", place, builder.ints(candidates))
    if label_of:
        label = builder.op("GatherElements", label_of, candidate, axis=1)
    else:
        label = builder.op("Div", place, builder.ints(candidates))
    row = builder.op(
        "Concat",
        _pick(builder, boxes, candidate, 4),
        builder.reshape(top, 0, rows, 1),
        builder.reshape(builder.cast(label, TensorProto.FLOAT), 0, rows, 1),
        axis=2,
    )
    used = builder.op("Greater", top, builder.floats(0.0))
    # Where, not a product: an unused candidate may hold an infinity, and 0 * inf is not zero
    result = builder.op("Where", builder.reshape(used, 0, rows, 1), row, builder.floats(0.0))
    if rows == rule.rows:
        return result
    missing = builder.ints(0, 0, 0, 0, rule.rows - rows, 0)
    return builder.op("Pad", result, missing)


def _pick(builder: GraphBuilder, table: str, order: str, width: int) -> str:
    """Rows of table [N, A, width] in the given order [N, P]."""
    index = builder.op("Tile", builder.reshape(order, 0, -1, 1), builder.ints(1, 1, width))
    return builder.op("GatherElements", table, index, axis=1)
