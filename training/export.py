"""Writes the trained network as ONNX: batch norms folded into their convolutions, nothing left but plain operators."""

import torch
from onnx import ModelProto, TensorProto, helper
from torch import nn

from training.folding import convolution, double
from training.graph_builder import GraphBuilder
from training.network import Bottleneck, ConvUnit, CspStage, Head, JunctionYolo

OPSET = 17
_IR = 8


def to_onnx(network: JunctionYolo, height: int, width: int) -> ModelProto:
    """A raw network: `images` float32 [1, 3, H, W] in 0..1 to `output` [1, classes + 4, A] (family `sides`)."""
    network = network.eval()
    builder = GraphBuilder(OPSET, "")
    with torch.no_grad():
        rows = network(torch.zeros(1, 3, height, width)).shape
        output = _network(builder, network, "images")
    builder.nodes.append(helper.make_node("Identity", [output], ["output"]))
    graph = helper.make_graph(
        builder.nodes,
        "junction-yolo",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, rows[2], rows[1]])],
        builder.initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR)


def _network(builder: GraphBuilder, network: JunctionYolo, images: str) -> str:
    backbone, pyramid = network.backbone, network.pyramid
    low = sequence(builder, backbone.low, sequence(builder, backbone.stem, images))
    middle = sequence(builder, backbone.middle, low)
    high = sequence(builder, backbone.high, middle)

    top = _unit(builder, pyramid.narrow_high, high)
    middle = _stage(builder, pyramid.down_middle, _join(builder, middle, double(builder, top)))
    middle = _unit(builder, pyramid.narrow_middle, middle)
    low = _stage(builder, pyramid.to_low, _join(builder, low, double(builder, middle)))
    middle = _stage(builder, pyramid.to_middle, _join(builder, _unit(builder, pyramid.stride_low, low), middle))
    high = _stage(builder, pyramid.to_high, _join(builder, _unit(builder, pyramid.stride_middle, middle), top))

    rows = []
    for head, features in zip(network.heads, (low, middle, high), strict=True):
        assert isinstance(head, Head)
        shared = _unit(builder, head.shared, features)
        both = _join(builder, convolution(builder, head.classes, shared), convolution(builder, head.sides, shared))
        rows.append(builder.reshape(both, 0, head.classes.out_channels + 4, -1))
    return builder.op("Concat", *rows, axis=2)


def sequence(builder: GraphBuilder, modules: nn.Sequential, x: str) -> str:
    """Adds the network's own units and stages, one behind the other."""
    for module in modules:
        if isinstance(module, ConvUnit):
            x = _unit(builder, module, x)
        elif isinstance(module, CspStage):
            x = _stage(builder, module, x)
        elif isinstance(module, Bottleneck):
            x = builder.op("Add", x, _unit(builder, module.second, _unit(builder, module.first, x)))
        else:
            raise TypeError(f"no export for {type(module).__name__}")
    return x


def _stage(builder: GraphBuilder, stage: CspStage, x: str) -> str:
    long = sequence(builder, stage.blocks, _unit(builder, stage.long, x))
    return _unit(builder, stage.merge, _join(builder, long, _unit(builder, stage.short, x)))


def _unit(builder: GraphBuilder, unit: ConvUnit, x: str) -> str:
    return builder.op("Relu", convolution(builder, unit.conv, x, unit.norm))


def _join(builder: GraphBuilder, *xs: str) -> str:
    return builder.op("Concat", *xs, axis=1)
