"""Tiny ONNX models for Triton, built when a test runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CONFIG = """name: "{name}"
backend: "onnxruntime"
max_batch_size: {max_batch}
input [
  {{ name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] }},
  {{ name: "offset" data_type: TYPE_FP32 dims: [ {offset} ] }}
]
output [
  {{ name: "mean" data_type: TYPE_FP32 dims: [ 3 ] }},
  {{ name: "shifted" data_type: TYPE_FP32 dims: [ 3 ] }}
]
instance_group [ {{ kind: KIND_CPU count: {instances} }} ]
dynamic_batching {{ max_queue_delay_microseconds: {delay} }}
parameters {{ key: "intra_op_thread_count" value {{ string_value: "1" }} }}
"""


def mean_model() -> onnx.ModelProto:
    """image uint8 [N,H,W,3] and offset float32 [N,3] -> mean colour [N,3], mean + offset [N,3]."""
    axes = numpy_helper.from_array(np.array([1, 2], np.int64), "axes")
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
        helper.make_node("Add", ["mean", "offset"], ["shifted"]),
    ]

    def tensor(name: str, kind: int, shape: Sequence[str | int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, list(shape))

    graph = helper.make_graph(
        nodes,
        "mean",
        [tensor("image", TensorProto.UINT8, ["N", "H", "W", 3]), tensor("offset", TensorProto.FLOAT, ["N", 3])],
        [tensor("mean", TensorProto.FLOAT, ["N", 3]), tensor("shifted", TensorProto.FLOAT, ["N", 3])],
        [axes],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def write_model(
    repository: Path, name: str, instances: int = 1, max_batch: int = 8, delay: int = 0, offset: int = 3
) -> Path:
    """One model of a repository; returns the ONNX file."""
    file = repository / name / "1" / "model.onnx"
    file.parent.mkdir(parents=True)
    onnx.save(mean_model(), file)
    config = CONFIG.format(name=name, instances=instances, max_batch=max_batch, delay=delay, offset=offset)
    (repository / name / "config.pbtxt").write_text(config)
    return file
