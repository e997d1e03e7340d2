"""Raw networks for tests whose outputs are given tables, the same for every picture, plus what the picture adds."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

Table = NDArray[np.float32]


def network(
    tables: Mapping[str, Table],
    size: int | tuple[str, str] = 64,
    *,
    opset: int = 13,
    channels: int = 3,
    tied: bool = False,
    pictured: str = "",
    ends: Mapping[str, str] = MappingProxyType({}),
) -> ModelProto:
    """Outputs named as the tables [A, D], each [1, A, D].

    The output named by `pictured` gets the mean of its picture's first channel added. `tied`: a Reshape to a fixed
    batch folds the batch away. `ends`: a last operator (Sigmoid, Softmax) by output.
    """
    side = (size, size) if isinstance(size, int) else size
    nodes, weights, outputs = [], [], []
    nodes.append(helper.make_node("GlobalAveragePool", ["images"], ["mean"]))
    weights.append(numpy_helper.from_array(np.array([1, channels, 1], np.int64), "mean_shape"))
    nodes.append(helper.make_node("Reshape", ["mean", "mean_shape"], ["means"]))
    bounds = {"first": 0, "second": 1, "axis": 1}
    weights += [numpy_helper.from_array(np.array([v], np.int64), k) for k, v in bounds.items()]
    nodes.append(helper.make_node("Slice", ["means", "first", "second", "axis"], ["red"]))
    weights.append(numpy_helper.from_array(np.zeros((1, 1, 1), np.float32), "nothing"))
    nodes.append(helper.make_node("Mul", ["red", "nothing"], ["no_red"]))
    for name, table in tables.items():
        weights.append(numpy_helper.from_array(table[None], f"{name}_table"))
        added = "red" if name == pictured else "no_red"
        end = ends.get(name)
        last = name if not (end or tied) else f"{name}_sum"
        nodes.append(helper.make_node("Add", [f"{name}_table", added], [last]))
        if tied:
            weights.append(numpy_helper.from_array(np.array([-1], np.int64), f"{name}_flat"))
            weights.append(numpy_helper.from_array(np.array([1, *table.shape], np.int64), f"{name}_shape"))
            nodes.append(helper.make_node("Reshape", [last, f"{name}_flat"], [f"{name}_line"]))
            last = name if not end else f"{name}_back"
            nodes.append(helper.make_node("Reshape", [f"{name}_line", f"{name}_shape"], [last]))
        if end:
            nodes.append(helper.make_node(end, [last], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *table.shape]))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, channels, *side])
    graph = helper.make_graph(nodes, "tables", [images], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
