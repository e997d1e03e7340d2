"""What every served detector promises, whatever network is inside.

Input `image`: uint8 [N, H, W, 3], RGB, already letterboxed. Output `detections`: float32 [N, K, 6], one row per
object: x1, y1, x2, y2 in input pixels, score, class index; rows sorted by score, highest first, unused rows all zero.
Channel order, normalisation, box decoding and non-maximum suppression happen inside the graph, so that a frame costs
H*W*3 bytes on the way in and a few hundred on the way out, and so that no client knows any network's family.
"""

from typing import Literal

import onnx
from msgspec import Struct

INPUT = "image"
OUTPUT = "detections"
ROW = 6

Letterbox = Literal["top_left", "center"]


class ModelError(ValueError):
    """The model (or what was said about it) is unfit to be served; the message says why and what would help."""


class Suppression(Struct, frozen=True):
    """How overlapping boxes are thinned out.

    Across classes by default: one thing in the picture is one detection, and so one track, whether the network wavers
    between car and van or not.
    """

    score: float = 0.01
    """boxes below are dropped in the graph; consumers cut higher"""
    iou: float = 0.5
    """of two boxes that overlap more, the weaker goes"""
    candidates: int = 1000
    """the best boxes of an image that suppression looks at"""
    rows: int = 100
    """K, the rows of the output"""
    across_classes: bool = True
    """False: boxes suppress only their own class, as benchmarks on COCO like it"""


class Detector(Struct, frozen=True):
    """A detector as it is served, all but its weights."""

    name: str
    family: str
    width: int
    height: int
    labels: tuple[str, ...]
    letterbox: Letterbox
    pad: int
    """grey level of the border, 0-255"""
    rows: int
    max_batch_size: int
    """1 where the network's own graph is tied to a single picture"""


class ServedModel(Struct, frozen=True):
    """A detector with its graph, ready to be written into a model repository."""

    detector: Detector
    graph: onnx.ModelProto
