"""Writes the detector with a memory as ONNX: bytes and memory in, rows and the next memory out, batch norms folded."""

from typing import Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper
from torch import Tensor

from training.cell_rows import append_rows
from training.contract import Suppression
from training.export import OPSET, sequence
from training.families.family import Canvas
from training.folding import convolution
from training.graph_builder import GraphBuilder
from training.hard_clips.clip_set import HEIGHT, WIDTH
from training.hard_clips.eyes import Eyes
from training.hard_clips.eyes_graph import looked
from training.temporal.contract import INPUTS, OUTPUTS, Served
from training.temporal.network import (
    CELLS,
    CHANNELS,
    COLUMNS,
    EPSILON,
    FINE,
    HEADS,
    OFFSETS,
    PICTURES,
    REACH,
    ROWS,
    STRIDE,
    WIDE,
    Block,
    ChannelNorm,
    Temporal,
)

SUPPRESSION: Final = Suppression(iou=0.6, candidates=200, rows=50)
_IR: Final = 8


def to_onnx(eyes: Eyes, network: Temporal, served: Served) -> ModelProto:
    """The contract's inputs to its outputs; without the memory of both for a network that has none."""
    eyes, network = eyes.eval(), network.eval()
    builder = GraphBuilder(OPSET, "")
    with torch.no_grad():
        low, middle = looked(builder, eyes)
        fine = builder.op("Add", convolution(builder, network.low, low), convolution(builder, network.middle, middle))
        fine = builder.op("Relu", fine)
        x = _block(builder, network.block, builder.op("Relu", convolution(builder, network.coarser, fine)))
        finer = builder.op("DepthToSpace", convolution(builder, network.finer, x), blocksize=FINE, mode="CRD")
        shared = sequence(builder, network.head, builder.op("Relu", builder.op("Add", finer, fine)))
        rows = append_rows(
            builder, network.classes, network.sides, shared, Canvas(WIDTH, HEIGHT), STRIDE // FINE, SUPPRESSION
        )
    builder.nodes.append(helper.make_node("Identity", [rows], [OUTPUTS[0]], name=OUTPUTS[0]))
    inputs, outputs = (INPUTS, OUTPUTS) if network.temporal else (INPUTS[:1], OUTPUTS[:1])
    if network.temporal:
        older = builder.cut("memory", 1, 0, PICTURES - 1)
        kept = builder.op("Concat", builder.reshape(x, 0, 1, CHANNELS, ROWS, COLUMNS), older, axis=1)
        builder.nodes.append(helper.make_node("Identity", [kept], [OUTPUTS[1]], name=OUTPUTS[1]))
    kinds = dict.fromkeys(served.shapes, TensorProto.FLOAT) | {"image": TensorProto.UINT8}
    graph = helper.make_graph(
        builder.nodes,
        served.name,
        [helper.make_tensor_value_info(name, kinds[name], ["N", *served.shapes[name]]) for name in inputs],
        [helper.make_tensor_value_info(name, kinds[name], ["N", *served.shapes[name]]) for name in outputs],
        builder.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR)
    onnx.checker.check_model(model, full_check=True)
    return model


def _block(builder: GraphBuilder, block: Block, x: str) -> str:
    x = builder.op("Add", x, convolution(builder, block.out, _found(builder, block, x)))
    widened = builder.op("Relu", convolution(builder, block.widen, _norm(builder, block.then, x)))
    return builder.op("Add", x, convolution(builder, block.narrow, widened))


def _found(builder: GraphBuilder, block: Block, x: str) -> str:
    """As Block._found; ONNX has no unfold, so the map is shifted once for each offset."""
    maps = x
    if block.maps > 1:
        first = builder.reshape(x, 0, 1, CHANNELS, ROWS, COLUMNS)
        both = builder.op("Concat", first, "memory", axis=1)
        maps = builder.reshape(both, -1, CHANNELS, ROWS, COLUMNS)
    offered = convolution(builder, block.keys_values, _norm(builder, block.offers, maps))
    channels = block.maps * 2 * HEADS * WIDE
    aged = builder.op(
        "Add", builder.reshape(offered, -1, channels, ROWS, COLUMNS), _constant(builder, block.age[:, None, None])
    )
    padded = builder.op("Pad", aged, builder.ints(0, 0, REACH, REACH, 0, 0, REACH, REACH))
    shifted = []
    for row in range(2 * REACH + 1):
        band = builder.cut(padded, 2, row, row + ROWS)
        for column in range(2 * REACH + 1):
            cut = builder.cut(band, 3, column, column + COLUMNS)
            shifted.append(builder.reshape(cut, 0, channels, 1, CELLS))
    around = builder.reshape(builder.op("Concat", *shifted, axis=2), 0, block.maps, 2, HEADS, WIDE * OFFSETS * CELLS)
    keys, values = (
        builder.reshape(builder.cut(around, 2, part, part + 1), -1, block.maps, HEADS, WIDE, OFFSETS, CELLS)
        for part in (0, 1)
    )
    queries = convolution(builder, block.queries, _norm(builder, block.asks, x))
    asked = builder.reshape(queries, 0, 1, HEADS, WIDE, 1, CELLS)
    products = builder.op("ReduceSum", builder.op("Mul", asked, keys), builder.ints(3), keepdims=0)
    scaled = builder.op("Mul", products, builder.floats(WIDE**-0.5))
    fit = builder.op("Add", scaled, _constant(builder, block.place[..., None]))
    together = builder.reshape(
        builder.op("Transpose", fit, perm=[0, 2, 1, 3, 4]), 0, HEADS, block.maps * OFFSETS, CELLS
    )
    share = builder.reshape(builder.op("Softmax", together, axis=2), 0, HEADS, block.maps, OFFSETS, CELLS)
    share = builder.reshape(
        builder.op("Transpose", share, perm=[0, 2, 1, 3, 4]), 0, block.maps, HEADS, 1, OFFSETS, CELLS
    )
    mixed = builder.op("ReduceSum", builder.op("Mul", share, values), builder.ints(1, 4), keepdims=0)
    return builder.reshape(mixed, 0, HEADS * WIDE, ROWS, COLUMNS)


def _norm(builder: GraphBuilder, norm: ChannelNorm, x: str) -> str:
    apart = builder.op("Sub", x, builder.op("ReduceMean", x, axes=[1], keepdims=1))
    squares = builder.op("ReduceMean", builder.op("Mul", apart, apart), axes=[1], keepdims=1)
    spread = builder.op("Sqrt", builder.op("Add", squares, builder.floats(EPSILON)))
    scaled = builder.op("Mul", builder.op("Div", apart, spread), _constant(builder, norm.factor[:, None, None]))
    return builder.op("Add", scaled, _constant(builder, norm.shift[:, None, None]))


def _constant(builder: GraphBuilder, value: Tensor) -> str:
    array: NDArray[np.float32] = np.asarray(value.detach().numpy(), np.float32)
    return builder.constant(array)
