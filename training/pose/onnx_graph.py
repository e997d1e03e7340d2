"""Writes the shop's pose network as ONNX: bytes in, keypoints out, batch norms folded into their convolutions."""

import numpy as np
import onnx
import torch
from onnx import ModelProto, TensorProto, helper
from torch import nn

from training.folding import convolution, double
from training.graph_builder import GraphBuilder
from training.inspection.network import BasicBlock
from training.inspection.onnx_graph import block, unit
from training.pose.contract import INPUT, PoseModel
from training.pose.network import COLUMNS, ROWS, ShopPose
from vision.pose import COUNT

OPSET, _IR = 17, 8


def to_onnx(network: ShopPose, model: PoseModel) -> ModelProto:
    """uint8 [N, 96, 64, 3] RGB to `people` [N, 1, 18, 3] and `scores` [N, 1]. A keypoint's score is the confidence that
    it is seen, a person's the mean of them."""
    network = network.eval()
    builder = GraphBuilder(OPSET, "")
    with torch.no_grad():
        answers = _answers(builder, network)
    for name, tensor in zip(model.outputs, answers, strict=True):
        builder.nodes.append(helper.make_node("Identity", [tensor], [name]))
    graph = helper.make_graph(
        builder.nodes,
        model.name,
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", model.height, model.width, 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])
            for name, shape in model.outputs.items()
        ],
        builder.initializers,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _answers(b: GraphBuilder, network: ShopPose) -> tuple[str, str]:
    pixels = b.cast(b.op("Transpose", INPUT, perm=[0, 3, 1, 2]), TensorProto.FLOAT)
    x = b.op("Sub", b.op("Mul", pixels, b.floats(1 / 255)), b.floats(0.5))
    low = _blocks(b, network.low, unit(b, network.stem, x))
    high = _blocks(b, network.high, low)
    joined = unit(b, network.join, b.op("Add", low, double(b, unit(b, network.narrow, high))))
    maps = b.reshape(convolution(b, network.maps, joined), 0, COUNT, ROWS * COLUMNS)
    weights = b.op("Softmax", maps, axis=2)
    cells = np.asarray(network.get_buffer("cells").numpy(), np.float32)
    # columns and rows apart: [N, 18, cells] times each cell's place, added up per keypoint
    places = [
        b.op("ReduceSum", b.op("Mul", weights, b.constant(cells[None, None, :, axis])), b.ints(2), keepdims=1)
        for axis in (0, 1)
    ]
    seen = b.op("Sigmoid", b.reshape(convolution(b, network.seen, high), 0, COUNT, 1))
    people = b.reshape(b.op("Concat", *places, seen, axis=2), 0, 1, COUNT, 3)
    scores = b.op("ReduceMean", b.reshape(seen, 0, COUNT), axes=[1], keepdims=1)
    return people, scores


def _blocks(b: GraphBuilder, blocks: nn.Sequential, x: str) -> str:
    for each in blocks:
        assert isinstance(each, BasicBlock)
        x = block(b, each, x)
    return x
