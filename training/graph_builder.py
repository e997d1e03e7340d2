"""Appends nodes to an ONNX graph under fresh names, in ops that mean the same from opset 11 on."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

Attribute = int | float | str | Sequence[int]


class GraphBuilder:
    """Collects nodes and constants; every method returns the name of the tensor that it makes."""

    def __init__(self, opset: int, prefix: str = "served/") -> None:
        self.opset = opset
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self._prefix = prefix

    def _fresh(self, kind: str) -> str:
        return f"{self._prefix}{kind}_{len(self.nodes) + len(self.initializers)}"

    def constant(self, value: NDArray[np.generic]) -> str:
        name = self._fresh("constant")
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def floats(self, *values: float) -> str:
        return self.constant(np.array(values, np.float32))

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def op(self, kind: str, *inputs: str, **attributes: Attribute) -> str:
        """A node with one output."""
        return self.op_many(kind, 1, *inputs, **attributes)[0]

    def op_many(self, kind: str, outputs: int, *inputs: str, **attributes: Attribute) -> list[str]:
        name = self._fresh(kind)
        names = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        node = helper.make_node(kind, list(inputs), names, name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self.nodes.append(node)
        return names

    def cut(self, tensor: str, axis: int, start: int, stop: int) -> str:
        """tensor[..., start:stop, ...] along an axis."""
        return self.op("Slice", tensor, self.ints(start), self.ints(stop), self.ints(axis))

    def reshape(self, tensor: str, *shape: int) -> str:
        """0 keeps an axis (so the batch), -1 infers one."""
        return self.op("Reshape", tensor, self.ints(*shape))

    def maximum_over(self, tensor: str, axis: int, keep: bool) -> str:
        """The axis became an input in opset 18."""
        if self.opset >= 18:
            return self.op("ReduceMax", tensor, self.ints(axis), keepdims=int(keep))
        return self.op("ReduceMax", tensor, axes=[axis], keepdims=int(keep))

    def mean_over(self, tensor: str, axis: int, count: int) -> str:
        """Of `count` values along an axis, which stays with a length of 1. Added in a fixed order: a reduction may be
        split differently when the batch grows."""
        total = self.cut(tensor, axis, 0, 1)
        for k in range(1, count):
            total = self.op("Add", total, self.cut(tensor, axis, k, k + 1))
        return self.op("Mul", total, self.floats(1 / count))

    def cast(self, tensor: str, to: int) -> str:
        return self.op("Cast", tensor, to=to)

    def zeros_like(self, tensor: str) -> str:
        value = helper.make_tensor("value", onnx.TensorProto.FLOAT, [1], [0.0])
        name = self._fresh("ConstantOfShape")
        node = helper.make_node("ConstantOfShape", [self.op("Shape", tensor)], [name], name=name, value=value)
        self.nodes.append(node)
        return name
