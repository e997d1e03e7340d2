"""Tiny detectors that follow, or break, the served contract; built when a test runs."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CONFIG = """name: "{name}"
backend: "onnxruntime"
max_batch_size: 4
input [ {{ name: "image" data_type: TYPE_UINT8 dims: [ 32, 48, 3 ] }} ]
output [ {{ name: "detections" data_type: TYPE_FP32 dims: [ 2, {columns} ] }} ]
instance_group [ {{ kind: KIND_CPU count: 1 }} ]
parameters {{ key: "labels" value {{ string_value: "grey,other" }} }}
"""


def write_detector(repository: Path, name: str, columns: int = 6) -> None:
    """One row per image: the whole picture, the score its mean brightness / 255, class 0; and one unused row."""
    box = np.zeros((1, 2, columns), np.float32)
    box[0, 0, :4] = (0, 0, 48, 32)
    mask = np.zeros((1, 2, columns), np.float32)
    mask[0, 0, 4] = 1 / 255
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=1),
        helper.make_node("Squeeze", ["mean", "last"], ["brightness"]),
        helper.make_node("Mul", ["brightness", "mask"], ["score"]),
        helper.make_node("Add", ["score", "box"], ["detections"]),
    ]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 32, 48, 3])],
        [helper.make_tensor_value_info("detections", TensorProto.FLOAT, ["N", 2, columns])],
        [
            numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"),
            numpy_helper.from_array(np.array([3], np.int64), "last"),
            numpy_helper.from_array(mask, "mask"),
            numpy_helper.from_array(box, "box"),
        ],
    )
    folder = repository / name
    (folder / "1").mkdir(parents=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, folder / "1" / "model.onnx")
    (folder / "config.pbtxt").write_text(CONFIG.format(name=name, columns=columns))


REMEMBERING = """name: "{name}"
backend: "onnxruntime"
max_batch_size: 4
input [ {{ name: "image" data_type: TYPE_UINT8 dims: [ 32, 48, 3 ] }},
        {{ name: "memory" data_type: TYPE_FP32 dims: [ 2, 3 ] }} ]
output [ {{ name: "detections" data_type: TYPE_FP32 dims: [ 2, 6 ] }},
         {{ name: "next_memory" data_type: TYPE_FP32 dims: {back} }} ]
instance_group [ {{ kind: KIND_CPU count: 1 }} ]
parameters {{ key: "labels" value {{ string_value: "grey,other" }} }}
parameters {{ key: "fps" value {{ string_value: "{fps}" }} }}
"""


def write_remembering(repository: Path, name: str, fps: str = "8", back: tuple[int, ...] = (2, 3)) -> None:
    """As `write_detector` where the memory is empty; the mean of the memory is added to the score, and one to all of
    it. `back`: the shape of what it gives back."""
    write_detector(repository, name)
    home = repository / name
    model = onnx.load(home / "1" / "model.onnx")
    graph = model.graph
    graph.node[-1].output[0] = "alone"
    graph.node.extend(
        [
            helper.make_node("ReduceMean", ["memory", "both"], ["level"], keepdims=1),
            helper.make_node("Mul", ["level", "weight"], ["more"]),
            helper.make_node("Add", ["alone", "more"], ["detections"]),
            helper.make_node("Add", ["memory", "one"], ["risen"]),
            helper.make_node("Reshape", ["risen", "back"], ["next_memory"]),
        ]
    )
    weight = np.zeros((1, 2, 6), np.float32)
    weight[0, 0, 4] = 1
    graph.input.append(helper.make_tensor_value_info("memory", TensorProto.FLOAT, ["N", 2, 3]))
    graph.output.append(helper.make_tensor_value_info("next_memory", TensorProto.FLOAT, ["N", *back]))
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([1, 2], np.int64), "both"),
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(np.array(1, np.float32), "one"),
            numpy_helper.from_array(np.array([-1, *back], np.int64), "back"),
        ]
    )
    onnx.save(model, home / "1" / "model.onnx")
    (home / "config.pbtxt").write_text(REMEMBERING.format(name=name, fps=fps, back=list(back)))
