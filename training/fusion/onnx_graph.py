"""Writes the fusion network as ONNX: bytes and state in, probabilities and state out, batch norms folded.

Nodes of the ResNet are named `resnet/...`: they are what quantisation takes; pixels become numbers in nodes named
`served/before/...`, which it then leaves out.
"""

from collections.abc import Iterable

import numpy as np
import onnx
import torch
from onnx import ModelProto, TensorProto, helper
from torch import nn

from training.contract import ModelError
from training.folding import convolution
from training.fusion.clip_set import HEIGHT, WIDTH
from training.fusion.contract import INPUTS, OUTPUTS, Served
from training.fusion.network import COLUMNS, KEPT, ROWS, STATE, CellLstm, Fusion, Head
from training.graph_builder import GraphBuilder

OPSET, _IR = 17, 8
RESNET, HEAD = "resnet/", "head/"


def to_onnx(network: Fusion, served: Served) -> ModelProto:
    """The contract's inputs to its outputs. Raises ModelError for a network without LSTM."""
    if network.head.lstm is None:
        raise ModelError("a head without LSTM remembers nothing: there is no state to be served")
    network = network.eval()
    with torch.no_grad():
        before, resnet, features = _features(network.backbone)
        head = GraphBuilder(OPSET, HEAD)
        outputs = _head(head, network.head, features)
    for made, name in zip(outputs, OUTPUTS, strict=True):
        head.nodes.append(helper.make_node("Identity", [made], [name], name=f"{HEAD}{name}"))
    shapes = served.shapes
    kinds = dict.fromkeys(shapes, TensorProto.FLOAT) | {"image": TensorProto.UINT8}
    return _model(
        served.name,
        (before, resnet, head),
        [helper.make_tensor_value_info(name, kinds[name], ["N", *shapes[name]]) for name in INPUTS],
        [helper.make_tensor_value_info(name, kinds[name], ["N", *shapes[name]]) for name in OUTPUTS],
    )


def resnet_to_onnx(layers: nn.Module) -> ModelProto:
    """The ResNet alone: `image` to `features` [N, C, ROWS, COLUMNS]; for measuring it."""
    layers = layers.eval()
    with torch.no_grad():
        before, resnet, features = _features(layers)
        channels = layers(torch.zeros(1, 3, HEIGHT, WIDTH)).shape[1]
    end = GraphBuilder(OPSET, HEAD)
    end.nodes.append(helper.make_node("Identity", [features], ["features"], name=f"{HEAD}features"))
    return _model(
        "resnet",
        (before, resnet, end),
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", HEIGHT, WIDTH, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", channels, ROWS, COLUMNS])],
    )


def _model(
    name: str,
    builders: Iterable[GraphBuilder],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
) -> ModelProto:
    builders = tuple(builders)
    nodes = [node for builder in builders for node in builder.nodes]
    constants = [constant for builder in builders for constant in builder.initializers]
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR)
    onnx.checker.check_model(model, full_check=True)
    return model


def _features(layers: nn.Module) -> tuple[GraphBuilder, GraphBuilder, str]:
    before, resnet = GraphBuilder(OPSET, "served/before/"), GraphBuilder(OPSET, RESNET)
    first = next(iter(layers.children()))
    assert isinstance(first, nn.Conv2d)
    folded = first.stride[1] if first.stride == first.kernel_size else 1
    pixels = "image"
    if folded > 1:
        pixels = before.reshape(pixels, 0, HEIGHT, WIDTH // folded, folded * 3)
        layers = nn.Sequential(_of_folded(first), *list(layers.children())[1:])
    pixels = before.op("Transpose", pixels, perm=[0, 3, 1, 2])
    scaled = before.op("Mul", before.cast(pixels, TensorProto.FLOAT), before.floats(1 / 255))
    return before, resnet, _layers(resnet, layers, scaled)


def _of_folded(conv: nn.Conv2d) -> nn.Conv2d:
    """The same convolution, of patches that don't overlap, where neighbouring pixels of a row count as channels of one:
    the bytes lie as before. With three channels ONNX Runtime's INT8 takes four times as long for it."""
    rows, columns = conv.kernel_size
    same = nn.Conv2d(conv.in_channels * columns, conv.out_channels, (rows, 1), (rows, 1), bias=False)
    folded = conv.weight.permute(0, 3, 1, 2).reshape(conv.out_channels, -1, rows, 1)
    same.weight = nn.Parameter(folded)
    return same


def _layers(builder: GraphBuilder, module: nn.Module, x: str) -> str:
    """Convolutions, norms, ReLU, pooling and blocks, one after the other. Raises ModelError for anything else."""
    modules = list(module.children()) if isinstance(module, nn.Sequential) else [module]
    for place, each in enumerate(modules):
        following = modules[place + 1] if place + 1 < len(modules) else None
        if isinstance(each, nn.Sequential):
            x = _layers(builder, each, x)
        elif isinstance(each, nn.Conv2d):
            x = convolution(builder, each, x, following if isinstance(following, nn.BatchNorm2d) else None)
        elif isinstance(each, nn.BatchNorm2d):
            continue  # folded into the convolution before it
        elif isinstance(each, nn.ReLU):
            x = builder.op("Relu", x)
        elif isinstance(each, nn.MaxPool2d):
            size, stride, padding = (int(value) for value in (each.kernel_size, each.stride, each.padding))
            x = builder.op("MaxPool", x, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[padding] * 4)
        elif hasattr(each, "conv2") and hasattr(each, "downsample"):
            x = _block(builder, each, x)
        else:
            raise ModelError(f"no export for {type(each).__name__}")
    return x


def _block(builder: GraphBuilder, block: nn.Module, x: str) -> str:
    shortcut = x if block.downsample is None else _layers(builder, block.downsample, x)
    count = 3 if hasattr(block, "conv3") else 2
    for number in range(1, count + 1):
        x = convolution(builder, getattr(block, f"conv{number}"), x, getattr(block, f"bn{number}"))
        if number < count:
            x = builder.op("Relu", x)
    return builder.op("Relu", builder.op("Add", x, shortcut))


def _head(builder: GraphBuilder, head: Head, features: str) -> tuple[str, str, str]:
    x = builder.op("Relu", convolution(builder, head.spatial, features))
    assert head.lstm is not None
    hidden, cells = _lstm(builder, head.lstm, x)
    joined = builder.op("Concat", x, hidden, axis=1)
    h, c = (builder.reshape(kept, 0, STATE) for kept in (hidden, cells))
    mixed = builder.op("Relu", convolution(builder, head.mix, joined))
    means = builder.op("ReduceMean", mixed, axes=[2, 3], keepdims=0)
    most = builder.op("ReduceMax", mixed, axes=[2, 3], keepdims=0)
    weight, bias = (np.asarray(value.detach().numpy(), np.float32) for value in head.classes.parameters())
    logits = builder.op(
        "Gemm",
        builder.op("Concat", means, most, axis=1),
        builder.constant(weight),
        builder.constant(bias),
        transB=1,
    )
    return builder.op("Softmax", logits, axis=1), h, c


def _lstm(builder: GraphBuilder, lstm: CellLstm, x: str) -> tuple[str, str]:
    h, c = (builder.reshape(kept, 0, KEPT, ROWS, COLUMNS) for kept in ("h", "c"))
    gates = convolution(builder, lstm.gates, builder.op("Concat", x, h, axis=1))
    i, f, g, o = builder.op_many("Split", 4, gates, builder.ints(*[KEPT] * 4), axis=1)
    remembered = builder.op("Mul", builder.op("Sigmoid", f), c)
    learnt = builder.op("Mul", builder.op("Sigmoid", i), builder.op("Tanh", g))
    cells = builder.op("Add", remembered, learnt)
    return builder.op("Mul", builder.op("Sigmoid", o), builder.op("Tanh", cells)), cells
