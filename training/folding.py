"""PyTorch's convolutions as ONNX nodes, the batch norm behind each folded into it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.graph_builder import GraphBuilder


def convolution(builder: GraphBuilder, conv: nn.Conv2d, x: str, norm: nn.BatchNorm2d | None = None) -> str:
    """Adds a convolution with the norm behind it folded in, in double precision.

    w' = w * g / sigma, b' = beta + (b - mean) * g / sigma.
    """
    weight = conv.weight.double()
    bias = torch.zeros(conv.out_channels, dtype=torch.float64) if conv.bias is None else conv.bias.double()
    if norm is not None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        factor = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
        weight = weight * factor[:, None, None, None]
        bias = norm.bias.double() + (bias - norm.running_mean.double()) * factor
    padding = int(conv.padding[0])
    return builder.op(
        "Conv",
        x,
        builder.constant(_floats(weight)),
        builder.constant(_floats(bias)),
        kernel_shape=list(conv.kernel_size),
        strides=list(conv.stride),
        pads=[padding] * 4,
        **({"group": conv.groups} if conv.groups > 1 else {}),
    )


def _floats(tensor: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().numpy(), np.float32)


def double(builder: GraphBuilder, x: str) -> str:
    """Adds an enlargement: each cell becomes four."""
    return builder.op(
        "Resize",
        x,
        "",
        builder.floats(1, 1, 2, 2),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
