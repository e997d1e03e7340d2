"""Writes the cascade's networks as ONNX: bytes in, confidences out, batch norms folded into their convolutions."""

import onnx
import torch
from onnx import ModelProto, TensorProto, helper
from torch import nn

from simulator.line.design import SIDE
from training.folding import convolution, double
from training.graph_builder import GraphBuilder
from training.inspection.contract import INPUT, Served
from training.inspection.network import BasicBlock, ConvUnit, InvertedResidual, Locator, Screen

OPSET, _IR = 17, 8


def to_onnx(network: nn.Module, served: Served) -> ModelProto:
    """uint8 [N, SIDE, SIDE, 3] RGB to the role's output. Confidence is sigmoid(logit / 2): in bytes, half the logit
    still tells one in ten thousand from nothing."""
    network = network.eval()
    builder = GraphBuilder(OPSET, "")
    pixels = builder.cast(builder.op("Transpose", INPUT, perm=[0, 3, 1, 2]), TensorProto.FLOAT)
    x = builder.op("Sub", builder.op("Mul", pixels, builder.floats(1 / 255)), builder.floats(0.5))
    with torch.no_grad():
        if isinstance(network, Screen):
            cells = _screen(builder, network, x)
            worst = builder.op("ReduceMax", cells, axes=[2, 3], keepdims=0)
            confidence = builder.op("Sigmoid", builder.op("Mul", worst, builder.floats(0.5)))
            kind = TensorProto.FLOAT
        elif isinstance(network, Locator):
            shuffled = builder.op("DepthToSpace", _locator(builder, network, x), blocksize=2, mode="CRD")
            sure = builder.op("Sigmoid", builder.op("Mul", shuffled, builder.floats(0.5)))
            levels = builder.op("Round", builder.op("Mul", sure, builder.floats(255)))
            confidence = builder.reshape(builder.cast(levels, TensorProto.UINT8), 0, SIDE, SIDE)
            kind = TensorProto.UINT8
        else:
            raise TypeError(f"no export for {type(network).__name__}")
    builder.nodes.append(helper.make_node("Identity", [confidence], [served.output]))
    graph = helper.make_graph(
        builder.nodes,
        served.name,
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info(served.output, kind, ["N", *served.shape])],
        builder.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR)
    onnx.checker.check_model(model, full_check=True)
    return model


def _screen(builder: GraphBuilder, network: Screen, x: str) -> str:
    low = _sequence(builder, network.low, x)
    middle = _sequence(builder, network.middle, low)
    top = unit(builder, network.narrow_high, _sequence(builder, network.high, middle))
    middle = _residual(builder, network.to_middle, builder.op("Add", middle, double(builder, top)))
    narrow = double(builder, unit(builder, network.narrow_middle, middle))
    low = _residual(builder, network.to_low, builder.op("Add", low, narrow))
    return convolution(builder, network.head, low)


def _locator(builder: GraphBuilder, network: Locator, x: str) -> str:
    low = block(builder, network.low, unit(builder, network.stem, x))
    middle = block(builder, network.middle, low)
    top = unit(builder, network.narrow_high, _sequence(builder, network.high, middle))
    middle = unit(builder, network.to_middle, builder.op("Add", middle, double(builder, top)))
    narrow = double(builder, unit(builder, network.narrow_middle, middle))
    low = unit(builder, network.to_low, builder.op("Add", low, narrow))
    return convolution(builder, network.head, low)


def _sequence(builder: GraphBuilder, modules: nn.Sequential, x: str) -> str:
    for module in modules:
        if isinstance(module, ConvUnit):
            x = unit(builder, module, x)
        elif isinstance(module, BasicBlock):
            x = block(builder, module, x)
        elif isinstance(module, InvertedResidual):
            x = _residual(builder, module, x)
        else:
            raise TypeError(f"no export for {type(module).__name__}")
    return x


def _residual(builder: GraphBuilder, module: InvertedResidual, x: str) -> str:
    y = _sequence(builder, module.body, x)
    return builder.op("Add", x, y) if module.residual else y


def block(builder: GraphBuilder, basic: BasicBlock, x: str) -> str:
    shortcut = x if basic.shortcut is None else unit(builder, basic.shortcut, x)
    y = unit(builder, basic.second, unit(builder, basic.first, x))
    return builder.op("Relu", builder.op("Add", y, shortcut))


def unit(builder: GraphBuilder, layers: ConvUnit, x: str) -> str:
    conv, norm = layers[0], layers[1]
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    y = convolution(builder, conv, x, norm)
    return builder.op("Relu", y) if len(layers) > 2 else y
