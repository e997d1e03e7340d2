"""Computes once what a network's graph would compute for every picture although it follows from the input's size.

Exporters leave chains such as Shape, Slice, Concat, Reshape. Folded, every shape is a constant that can be seen,
checked and rewritten.
"""

from collections.abc import Iterable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

_LARGEST = 1 << 16
"""elements; shapes are small, and weights that are computed are left to the runtime"""
_NEVER = ("DequantizeLinear", "QuantizeLinear", "RandomNormal", "RandomUniform")


def fold_shapes(model: ModelProto) -> ModelProto:
    """A copy whose shape computations are initializers; its inferred shapes are in `value_info` and the outputs.

    Raises onnx.shape_inference.InferenceError where shapes contradict each other.
    """
    while True:
        model = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        if not _fold_once(model):
            return model


def _fold_once(model: ModelProto) -> bool:
    graph = model.graph
    known = {i.name: numpy_helper.to_array(i) for i in graph.initializer if _size(i.dims) <= _LARGEST}
    shapes = {v.name: _shape(v) for v in [*graph.value_info, *graph.input]}
    outputs = {o.name for o in graph.output}
    kept: list[NodeProto] = []
    folded: dict[str, NDArray[np.generic]] = {}
    for node in graph.node:
        values = _evaluate(node, known, shapes, model)
        if values is None or outputs.intersection(node.output):
            kept.append(node)
            continue
        folded.update(zip(node.output, values, strict=True))
        known.update(folded)
    if not folded:
        return False
    wanted = {name for node in kept for name in node.input}
    nodes = [NodeProto.FromString(n.SerializeToString()) for n in kept]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in folded.items() if n in wanted)
    del graph.value_info[:]
    return True


def _evaluate(
    node: NodeProto,
    known: dict[str, NDArray[np.generic]],
    shapes: dict[str, list[int] | None],
    model: ModelProto,
) -> list[NDArray[np.generic]] | None:
    """The node's outputs where they are constant, else None."""
    if node.op_type == "Shape" and not node.attribute:
        shape = shapes.get(node.input[0])
        if node.input[0] in known:
            shape = list(known[node.input[0]].shape)
        return None if shape is None else [np.array(shape, np.int64)]
    if node.op_type in _NEVER or node.domain not in ("", "ai.onnx"):
        return None
    inputs = [i for i in node.input if i]
    if any(i not in known for i in inputs):
        return None
    graph = helper.make_graph(
        [node],
        "fold",
        [helper.make_tensor_value_info(i, helper.np_dtype_to_tensor_dtype(known[i].dtype), None) for i in inputs],
        [onnx.ValueInfoProto(name=o) for o in node.output],
    )
    small = helper.make_model(graph, opset_imports=list(model.opset_import))
    results = ReferenceEvaluator(small).run(None, {i: known[i] for i in inputs})
    arrays = [np.asarray(r) for r in results]
    return arrays if all(a.size <= _LARGEST for a in arrays) else None


def _shape(value: onnx.ValueInfoProto) -> list[int] | None:
    """None where it isn't wholly known."""
    if not value.type.tensor_type.HasField("shape"):
        return None
    dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
    return None if 0 in dims else dims


def _size(dims: Iterable[int]) -> int:
    return int(np.prod(list(dims), dtype=np.int64))
