# mypy: allow-untyped-decorators
# (torch is an extra: where it is missing, its types are unknown)
"""A network again from its served graph: the way back from training/export.py, to go on learning.

The export folds each batch norm into its convolution: y = w' x + b'. Any norm with mean m, variance v, factor
sqrt(v + eps) and shift b' + m computes the same from w' x. With m and v of w' x over pictures as they will be learnt
from, it also behaves while learning as the one that was folded, which a norm of mean 0 and variance 1 would not.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from torch import Tensor, nn

from training.contract import ModelError
from training.network import ConvUnit, JunctionYolo
from training.trainer import to_tensor

_AT_ONCE: Final = 8


@torch.no_grad()
def rebuild(
    network: JunctionYolo,
    labels: Sequence[str],
    graph: ModelProto,
    known: Sequence[str],
    pictures: NDArray[np.uint8],
) -> None:
    """Puts a graph's weights into `network`, which has a class for each of `labels`; the graph has one for each of
    `known`. Classes of the same name are taken over, others are left as they are. `pictures` [n, H, W, 3] are some of
    those that will be learnt from.

    Raises ModelError where the graph is not of this network.
    """
    weights = {one.name: one for one in graph.graph.initializer}
    convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
    if any(name not in weights for node in convolutions for name in node.input[1:]):
        raise ModelError("the graph is quantised: its float32 weights are needed")
    units = {id(each.conv): each.norm for each in network.modules() if isinstance(each, ConvUnit)}
    order = _in_order(network, pictures[:1])
    if len(order) != len(convolutions):
        raise ModelError(f"the graph has {len(convolutions)} convolutions, the network {len(order)}: it is another one")
    outputs = {id(head.classes) for head in network.heads}
    rows = [(labels.index(label), known.index(label)) for label in labels if label in known]
    for conv, node in zip(order, convolutions, strict=True):
        weight, bias = (torch.from_numpy(numpy_helper.to_array(weights[name]).copy()) for name in node.input[1:])
        wanted = list(conv.weight.shape)
        if id(conv) in outputs:
            wanted[0] = len(known)
        if list(weight.shape) != wanted:
            raise ModelError(f"{node.name}: weights {list(weight.shape)} where {wanted} were expected")
        if id(conv) in outputs:
            for ours, theirs in rows:
                conv.weight[ours] = weight[theirs]
                _bias(conv)[ours] = bias[theirs]
        elif (norm := units.get(id(conv))) is None:
            conv.weight.copy_(weight)
            _bias(conv).copy_(bias)
        else:
            conv.weight.copy_(weight)
            _set(norm, torch.zeros_like(bias), torch.ones_like(bias), bias)
    _measure(network, pictures)


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _in_order(network: JunctionYolo, picture: NDArray[np.uint8]) -> list[nn.Conv2d]:
    """Convolutions as they are computed, which is also the order of the exported graph."""
    order: list[nn.Conv2d] = []

    def note(module: nn.Module, _inputs: Any) -> None:
        assert isinstance(module, nn.Conv2d)
        order.append(module)

    hooks = [each.register_forward_pre_hook(note) for each in network.modules() if isinstance(each, nn.Conv2d)]
    network.eval()(to_tensor(picture.copy()))
    for hook in hooks:
        hook.remove()
    return order


def _set(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, shift: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(torch.sqrt(variance + norm.eps))
    norm.bias.copy_(shift + mean)


def _measure(network: JunctionYolo, pictures: NDArray[np.uint8]) -> None:
    """Mean and variance before each norm, of all pictures; what the network computes stays."""
    units = [each for each in network.modules() if isinstance(each, ConvUnit)]
    sums: dict[int, tuple[Tensor, Tensor, int]] = {}

    def add(module: nn.Module, _inputs: Any, output: Tensor) -> None:
        values = output.double()
        total, squares, count = sums.get(id(module), (torch.zeros(1), torch.zeros(1), 0))
        added = (values.sum((0, 2, 3)), (values**2).sum((0, 2, 3)), values.numel() // values.shape[1])
        sums[id(module)] = (total + added[0], squares + added[1], count + added[2])

    hooks = [unit.conv.register_forward_hook(add) for unit in units]
    for start in range(0, len(pictures), _AT_ONCE):
        network(to_tensor(pictures[start : start + _AT_ONCE].copy()))
    for hook in hooks:
        hook.remove()
    for unit in units:
        total, squares, count = sums[id(unit.conv)]
        mean = total / count
        _set(unit.norm, mean.float(), (squares / count - mean**2).clamp(min=0).float(), unit.norm.bias.clone())
