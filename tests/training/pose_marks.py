"""A network of MoveNet's kind that finds marks in a picture: keypoints have colours, and a mark is where its colour is.

Red says which of COCO's 17 keypoints it is, blue of which person, green how sure. What it answers is known, depends on
the picture, and would be wrong with rows for columns, red for blue, or another order.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from training.graph_builder import GraphBuilder

#: As the networks' publisher lists them.
COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
BLOCK = 5
Marks = Mapping[str, tuple[float, float, float]]
"""centre x, y of a block, and score, by keypoint"""


def somebody(left: float, top: float, step: float = 6.0, score: float = 0.8) -> Marks:
    """Marks in four columns, each with a score of its own; whole where `left` and `top` end in .5."""
    return {
        name: (left + step * (k % 4), top + step * (k // 4), round((250 * score - k) / 250, 3))
        for k, name in enumerate(COCO)
    }


def picture(width: int, height: int, *people: Marks) -> NDArray[np.uint8]:
    """uint8 [height, width, 3] RGB."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for number, marks in enumerate(people):
        for name, (x, y, score) in marks.items():
            left, top = round(x - BLOCK / 2), round(y - BLOCK / 2)
            k = COCO.index(name)
            colour = (_red(number, k), round(250 * score), _blue(number, k))
            pixels[top : top + BLOCK, left : left + BLOCK] = colour
    return pixels


def movenet(
    size: int,
    several: bool = False,
    kind: int = TensorProto.INT32,
    tied: bool = False,
    open_size: bool = False,
    hidden_shape: bool = False,
) -> ModelProto:
    """[1, size, size, 3] to [1, 1, 17, 3], or `several`: to [1, 6, 56]. `tied`: exported for one picture;
    `hidden_shape`: the output's can only be seen by running, so it stays with one."""
    people, cells, lead = (6 if several else 1), size * size, (1 if tied else 0)
    b = GraphBuilder(13, "")
    pixels = b.reshape(b.cast("input", TensorProto.FLOAT), lead, cells, 1, 3)
    red, green, blue = (b.cut(pixels, 3, k, k + 1) for k in range(3))
    reds, blues = ([code(p, k) for p in range(people) for k in range(len(COCO))] for code in (_red, _blue))
    same = []
    for channel, codes in ((red, reds), (blue, blues)):
        off = b.op("Abs", b.op("Sub", channel, b.constant(np.array(codes, np.float32).reshape(1, 1, -1, 1))))
        same.append(b.op("Relu", b.op("Sub", b.floats(1.0), off)))
    # [N, people * 17, cells]: 1 where the colour is, else 0
    marked = b.op("Transpose", b.reshape(b.op("Mul", *same), lead, cells, len(reds)), perm=[0, 2, 1])
    area = b.op("Add", b.op("ReduceSum", marked, b.ints(2), keepdims=1), b.floats(1e-9))
    y, x = np.divmod(np.arange(cells), size)
    places = b.constant(((np.stack([y, x], 1) + 0.5) / size).astype(np.float32)[None])
    where = b.op("Div", b.op("MatMul", marked, places), area)
    sure = b.op("Div", b.op("MatMul", marked, b.reshape(green, lead, cells, 1)), area)
    rows = b.op("Concat", where, b.op("Mul", sure, b.floats(1 / 250)), axis=2)
    if several:
        wide, shape = b.reshape(rows, lead, people, 3 * len(COCO)), [1, 6, 56]
        scores = b.op("ReduceMean", b.reshape(b.cut(rows, 2, 2, 3), lead, people, len(COCO)), axes=[2], keepdims=1)
        box = b.op("Add", b.op("Mul", b.cut(wide, 2, 0, 4), b.floats(0.0)), b.floats(0.5))
        table = b.op("Concat", wide, box, scores, axis=2)
    else:
        table, shape = b.reshape(rows, lead, 1, len(COCO), 3), [1, 1, len(COCO), 3]
    if hidden_shape:
        nothing = b.op("Mul", b.op("ReduceMax", table, keepdims=0), b.constant(np.zeros((), np.float32)))
        table = b.op("Reshape", table, b.op("Add", b.ints(*shape), b.cast(nothing, TensorProto.INT64)))
    b.nodes.append(helper.make_node("Identity", [table], ["output_0"]))
    side: int | str = "side" if open_size else size
    graph = helper.make_graph(
        b.nodes,
        "marks",
        [helper.make_tensor_value_info("input", kind, [1, side, side, 3])],
        [helper.make_tensor_value_info("output_0", TensorProto.FLOAT, shape)],
        b.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model)
    return model


def _red(person: int, keypoint: int) -> int:
    return 100 + 9 * keypoint


def _blue(person: int, keypoint: int) -> int:
    return 250 - 10 * person
