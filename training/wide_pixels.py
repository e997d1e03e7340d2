"""Neighbouring pixels of a row, taken as the channels of one wide pixel.

In INT8 a convolution over three channels spends its time with moving three bytes at a time. Where it goes s pixels to
the right each time, it is also one over groups of s pixels that goes one group each time: a kernel column t of the one
is the pixel (t - pad) mod s of the group floor((t - pad) / s) of the other, and what the first did not look at has a
weight of zero. The bytes of [N, H, W, 3] lie as those of [N, H, W / s, 3 s]. In integers both give the same; in float32
the order of the additions is another.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from training.contract import INPUT

_BEFORE: Final = "served/before/"
_CHANNELS: Final = 3
_TO_PLANES: Final = [0, 3, 1, 2]


def widened(model: ModelProto) -> ModelProto:
    """A copy whose first convolution takes wide pixels; the model itself where it begins in another way."""
    wide = ModelProto()
    wide.CopyFrom(model)
    return wide if _widen(wide) else model


def _widen(model: ModelProto) -> bool:
    """Returns whether it could be done; where not, the model is spoilt."""
    graph = model.graph
    numbers = {one.name: one for one in graph.initializer}
    users: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    image = next(one for one in graph.input if one.name == INPUT)
    height, width, channels = (side.dim_value for side in image.type.tensor_type.shape.dim[1:])
    first = users[INPUT][0]
    if channels != _CHANNELS or first.op_type != "Transpose" or _attributes(first).get("perm") != _TO_PLANES:
        return False
    between: list[NodeProto] = []
    node = first
    while node.op_type != "Conv":
        following = users.get(node.output[0], [])
        if len(following) != 1 or not (following[0].op_type == "Conv" or following[0].name.startswith(_BEFORE)):
            return False
        node = following[0]
        between.append(node)
    if any(name not in numbers for each in between for name in each.input[1:]):
        return False
    folded = _folded(node, numpy_helper.to_array(numbers[node.input[1]]), width)
    if folded is None or len(users[node.input[1]]) > 1 or len(users[INPUT]) > 1:
        return False
    weights, pads, group = folded
    for each in between[:-1]:
        for name in each.input[1:]:
            constant = numpy_helper.to_array(numbers[name])
            if constant.size > 1:
                if constant.shape[-3:] != (_CHANNELS, 1, 1) or len(users[name]) > 1:
                    return False
                tiled = np.concatenate([constant] * group, axis=-3)
                numbers[name].CopyFrom(numpy_helper.from_array(tiled, name))
    numbers[node.input[1]].CopyFrom(numpy_helper.from_array(weights, node.input[1]))
    for attribute in node.attribute:
        if attribute.name == "kernel_shape":
            attribute.ints[:] = weights.shape[2:]
        elif attribute.name == "strides":
            attribute.ints[1] = 1
        elif attribute.name == "pads":
            attribute.ints[1], attribute.ints[3] = pads
    shape = np.array([0, height, width // group, _CHANNELS * group], np.int64)
    graph.initializer.append(numpy_helper.from_array(shape, f"{_BEFORE}wide_shape"))
    inputs = [INPUT, f"{_BEFORE}wide_shape"]
    graph.node.insert(0, helper.make_node("Reshape", inputs, [f"{_BEFORE}wide"], name=f"{_BEFORE}wide"))
    first.input[0] = f"{_BEFORE}wide"
    return True


def _folded(
    node: NodeProto, weights: NDArray[np.float32], width: int
) -> tuple[NDArray[np.float32], tuple[int, int], int] | None:
    """Weights [out, 3 s, rows, groups], the groups of zeros to the left and to the right, and s."""
    told = _attributes(node)
    out, channels, rows, columns = weights.shape
    group = told.get("strides", [1, 1])[1]
    _, left, _, right = told.get("pads", [0, 0, 0, 0])
    plain = told.get("auto_pad", b"NOTSET") == b"NOTSET" and told.get("dilations", [1, 1]) == [1, 1]
    if not plain or channels != _CHANNELS or group < 2 or width % group or "pads" not in told:
        return None
    groups, places = np.divmod(np.arange(columns) - left, group)
    begin, end = int(groups[0]), int(groups[-1])
    folded = np.zeros((out, _CHANNELS * group, rows, end - begin + 1), np.float32)
    for column in range(columns):
        at = places[column] * _CHANNELS
        folded[:, at : at + _CHANNELS, :, groups[column] - begin] = weights[..., column]
    answers = (width + left + right - columns) // group + 1
    behind = answers - width // group + end
    return (folded, (-begin, behind), group) if begin <= 0 <= behind else None


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}
