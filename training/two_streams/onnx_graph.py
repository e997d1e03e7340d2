"""Writes the two streams as ONNX: bytes and flow in, rows out, batch norms folded."""

from typing import Final

import onnx
import torch
from onnx import ModelProto, TensorProto, helper

from training.cell_rows import append_rows
from training.contract import Suppression
from training.export import OPSET, sequence
from training.families.family import Canvas
from training.folding import convolution
from training.graph_builder import GraphBuilder
from training.hard_clips.clip_set import HEIGHT, WIDTH
from training.hard_clips.eyes import Eyes
from training.hard_clips.eyes_graph import looked
from training.two_streams.contract import INPUTS, OUTPUTS, Served
from training.two_streams.network import FLOW, SCALE, STRIDE, TwoStreams
from vision.optical_flow import STEPS

SUPPRESSION: Final = Suppression(iou=0.6, candidates=200, rows=50)
_IR: Final = 8
_TYPES: Final = {"image": TensorProto.UINT8, "flow": TensorProto.INT8}


def to_onnx(eyes: Eyes, network: TwoStreams, served: Served) -> ModelProto:
    """The contract's inputs to its outputs. The baseline takes its flow, too, and makes nothing of it."""
    eyes, network = eyes.eval(), network.eval()
    builder = GraphBuilder(OPSET, "")
    with torch.no_grad():
        low, middle = looked(builder, eyes)
        coarse = convolution(builder, network.middle, middle)
        looks = builder.op("Relu", builder.op("Add", convolution(builder, network.low, low), coarse))
        flow = builder.cast(builder.op("Transpose", "flow", perm=[0, 3, 1, 2]), TensorProto.FLOAT)
        moves = sequence(builder, network.motion, _eased(builder, flow, network.moving))
        shared = sequence(builder, network.head, builder.op("Concat", looks, moves, axis=1))
        canvas = Canvas(WIDTH, HEIGHT)
        rows = append_rows(builder, network.classes, network.sides, shared, canvas, STRIDE, SUPPRESSION)
    builder.nodes.append(helper.make_node("Identity", [rows], [OUTPUTS[0]], name=OUTPUTS[0]))
    inputs, outputs = (
        [
            helper.make_tensor_value_info(name, _TYPES.get(name, TensorProto.FLOAT), ["N", *served.shapes[name]])
            for name in names
        ]
        for names in (INPUTS, OUTPUTS)
    )
    graph = helper.make_graph(builder.nodes, served.name, inputs, outputs, builder.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR)
    onnx.checker.check_model(model, full_check=True)
    return model


def _eased(builder: GraphBuilder, x: str, moving: bool) -> str:
    """As the network's `eased`; nothing of a flow that is not to be seen."""
    rows, columns, channels = FLOW
    means = []
    for part, steps in ((x, STEPS), (builder.cut(x, 1, channels // 2, channels), STEPS // 2)):
        by_step = builder.reshape(part, 0, steps, 2, rows, columns)
        means.append(builder.op("ReduceMean", by_step, axes=[1], keepdims=0))
    x = builder.op("Concat", x, *means, axis=1)
    size = builder.op("Mul", builder.op("Abs", x), builder.floats(SCALE if moving else 0.0))
    return builder.op("Mul", builder.op("Sign", x), builder.op("Sqrt", size))
