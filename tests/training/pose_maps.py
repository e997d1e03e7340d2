"""Networks of OpenPose's kind that always see the people they are told to, drawn into maps and fields."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from training.pose.openpose import FIELDS
from vision.pose import COUNT, LIMBS

STRIDE, CELLS = 8, 28
SIZE = STRIDE * CELLS
#: Somebody who faces the camera, shares of his height and width: x, y for each keypoint.
STANDING = np.array(
    [
        (0.5, 0.06), (0.5, 0.2), (0.3, 0.2), (0.2, 0.35), (0.15, 0.5), (0.7, 0.2), (0.8, 0.35), (0.85, 0.5),
        (0.38, 0.52), (0.36, 0.74), (0.35, 0.95), (0.62, 0.52),
        (0.64, 0.74), (0.65, 0.95), (0.44, 0.03), (0.56, 0.03),
        (0.36, 0.06), (0.64, 0.06),
    ]
)  # fmt: skip


def somebody(left: float, top: float, width: float, height: float) -> NDArray[np.float64]:
    """Keypoints [18, 2] of somebody standing in a box, pixels."""
    return STANDING * (width, height) + (left, top)


def maps(people: list[NDArray[np.float64]], missing: frozenset[int] = frozenset()) -> NDArray[np.float32]:
    """float32 [57, CELLS, CELLS] with these people [18, 2] in it; keypoints that are `missing` leave no trace."""
    drawn = np.zeros((COUNT + 1 + 2 * len(LIMBS), CELLS, CELLS), np.float32)
    y, x = np.mgrid[0:CELLS, 0:CELLS] + 0.5
    for person in people:
        cells = person / STRIDE
        for keypoint in set(range(COUNT)) - missing:
            heat = 0.9 * np.exp(-((x - cells[keypoint, 0]) ** 2 + (y - cells[keypoint, 1]) ** 2) / 1.2)
            drawn[keypoint] = np.maximum(drawn[keypoint], heat)
        for limb, (first, second) in enumerate(LIMBS):
            if first in missing or second in missing:
                continue
            way = cells[second] - cells[first]
            length = max(float(np.linalg.norm(way)), 1e-6)
            along = ((x - cells[first, 0]) * way[0] + (y - cells[first, 1]) * way[1]) / length
            across = np.abs((x - cells[first, 0]) * way[1] - (y - cells[first, 1]) * way[0]) / length
            near = (along > -1) & (along < length + 1) & (across < 0.9)
            for axis in (0, 1):
                drawn[FIELDS[limb] + axis][near] = way[axis] / length
    drawn[COUNT] = 1 - drawn[:COUNT].max(axis=0)
    return drawn


def pose_network(drawn: NDArray[np.float32], last: bool = False, mixes: bool = False) -> ModelProto:
    """[1, 3, SIZE, SIZE] to the maps, whatever the picture; `last`: channels come last. `mixes`: a mean over the batch
    is in the way, as in a norm exported in training."""
    table = drawn.transpose(1, 2, 0) if last else drawn
    nodes = [helper.make_node("GlobalAveragePool", ["images"], ["means"])]
    mean = "means"
    if mixes:
        nodes.append(helper.make_node("ReduceMean", ["means"], ["mixed"], axes=[0, 2, 3], keepdims=1))
        mean = "mixed"
    nodes += [
        helper.make_node("ReduceMean", [mean], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
        helper.make_node("Add", ["table", "zero"], ["output"]),
    ]
    weights = [
        numpy_helper.from_array(np.ascontiguousarray(table)[None], "table"),
        numpy_helper.from_array(np.zeros((1, 1, 1, 1), np.float32), "nothing"),
    ]
    graph = helper.make_graph(
        nodes,
        "maps",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, *table.shape])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model)
    return model
