"""Frees a network that was exported for one picture at a time from its fixed batch.

Exporters write the 1 of a batch into shapes of Reshape and Resize. Those entries are replaced by "as the input has
it". Whether that was all is then proved by inferring the shapes for a batch of 3.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper, shape_inference

_PROBE = 3


def free_batch(model: ModelProto, input_name: str) -> ModelProto | None:
    """A copy with a symbolic batch `N`; None where the graph is tied to one picture in some other way.

    The model has a batch of 1 and folded shapes (training.shape_folding).
    """
    shapes = _static_shapes(model)
    freed = ModelProto()
    freed.CopyFrom(model)
    constants = {i.name: numpy_helper.to_array(i) for i in freed.graph.initializer}
    carrying = {input_name}
    for node in freed.graph.node:
        if node.op_type in ("Shape", "Size") or not carrying.intersection(node.input):
            continue
        carrying.update(node.output)
        if node.op_type == "Reshape" and node.input[0] in carrying:
            _free_reshape(freed.graph, node, constants, shapes)
        elif node.op_type == "Resize" and len(node.input) > 3 and node.input[3] in constants:
            _free_resize(freed.graph, node, constants, shapes)
    del freed.graph.value_info[:]
    _set_batch(freed.graph, input_name, "N")
    return freed if _follows_batch(freed, input_name) else None


def _free_reshape(
    graph: GraphProto, node: NodeProto, constants: dict[str, NDArray[np.generic]], shapes: dict[str, list[int]]
) -> None:
    target = constants.get(node.input[1])
    source = shapes.get(node.input[0])
    keeps_zero = any(a.name == "allowzero" and a.i for a in node.attribute)
    if target is None or not source or source[0] != 1 or len(target) == 0 or target[0] != 1 or keeps_zero:
        return
    name = f"{node.output[0]}/batched_shape"
    graph.initializer.append(numpy_helper.from_array(np.array([0, *target[1:]], np.int64), name))
    node.input[1] = name


def _free_resize(
    graph: GraphProto, node: NodeProto, constants: dict[str, NDArray[np.generic]], shapes: dict[str, list[int]]
) -> None:
    """A Resize to fixed sizes becomes one by fixed scales, which leaves the batch alone."""
    source = shapes.get(node.input[0])
    sizes = constants[node.input[3]]
    if not source or len(source) != len(sizes) or 0 in source:
        return
    name = f"{node.output[0]}/batched_scales"
    scales = np.array([float(to) / of for to, of in zip(sizes.tolist(), source, strict=True)], np.float32)
    graph.initializer.append(numpy_helper.from_array(scales, name))
    node.input[2] = name
    del node.input[3]


def _static_shapes(model: ModelProto) -> dict[str, list[int]]:
    values = [*model.graph.value_info, *model.graph.input, *model.graph.output]
    return {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}


def _set_batch(graph: GraphProto, input_name: str, batch: str | int) -> None:
    for value in [i for i in graph.input if i.name == input_name] + list(graph.output):
        if value.type.tensor_type.shape.dim:
            first = value.type.tensor_type.shape.dim[0]
            first.Clear()
            if isinstance(batch, str):
                first.dim_param = batch
            else:
                first.dim_value = batch


def _follows_batch(model: ModelProto, input_name: str) -> bool:
    """Whether a batch of 3 at the input is a batch of 3 at every output."""
    probe = ModelProto()
    probe.CopyFrom(model)
    _set_batch(probe.graph, input_name, _PROBE)
    wanted = {o.name: [d.dim_value for d in o.type.tensor_type.shape.dim][1:] for o in probe.graph.output}
    for value in probe.graph.output:
        value.CopyFrom(helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, None))
    try:
        inferred = shape_inference.infer_shapes(probe, strict_mode=True, data_prop=True)
    except (shape_inference.InferenceError, onnx.checker.ValidationError):
        return False
    return all(
        [d.dim_value for d in o.type.tensor_type.shape.dim] == [_PROBE, *wanted[o.name]] for o in inferred.graph.output
    )
