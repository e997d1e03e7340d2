"""Writes the frozen stages as ONNX nodes."""

from onnx import TensorProto

from training.export import sequence
from training.graph_builder import GraphBuilder
from training.hard_clips.eyes import Eyes


def looked(builder: GraphBuilder, eyes: Eyes) -> tuple[str, str]:
    """From the input `image`, uint8 [N, H, W, 3], to the maps of strides 8 and 16 of the enlarged picture."""
    planes = builder.cast(builder.op("Transpose", "image", perm=[0, 3, 1, 2]), TensorProto.FLOAT)
    pixels = builder.op("Mul", planes, builder.floats(1 / 255))
    if eyes.enlarged > 1:
        # as PyTorch's bilinear interpolation without aligned corners
        sizes = builder.floats(1, 1, eyes.enlarged, eyes.enlarged)
        pixels = builder.op("Resize", pixels, "", sizes, mode="linear", coordinate_transformation_mode="half_pixel")
    low = sequence(builder, eyes.low, sequence(builder, eyes.stem, pixels))
    return low, sequence(builder, eyes.middle, low)
