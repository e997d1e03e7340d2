"""Networks that answer as OpenPose does: one output [1, 57, H, W] or [1, H, W, 57]: 18 heat maps, one of the
background, and the x and y of 19 part affinity fields.

Peaks and the fields' line integrals between them are found inside the graph, so that 50 KB come back instead of 570
(Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", 2017, sections 2.2 to 2.4).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from onnx import TensorProto

from training.contract import ModelError
from training.families.family import Canvas, RawOutput, listed
from training.graph_builder import GraphBuilder
from vision.pose import COUNT, LIMBS

ROWS: Final = 24
"""peaks of a keypoint that are kept, so about as many people"""
_MAPS: Final = COUNT + 1 + 2 * len(LIMBS)
#: Where the x of each limb's field lies; y is behind it. The network's order of limbs is not that of LIMBS.
FIELDS: Final = tuple(COUNT + 1 + at for at in (12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26))


class Decoding(Struct, frozen=True):
    """`peak`: the heat that one has at least; `samples` of a field along a limb, of which the share `agreeing` must
    reach `least`."""

    peak: float = 0.1
    samples: int = 10
    agreeing: float = 0.7
    least: float = 0.05


def append_people(
    builder: GraphBuilder, outputs: Sequence[RawOutput], canvas: Canvas, decoding: Decoding = Decoding()
) -> dict[str, str]:
    """Adds peaks [N, 18, ROWS, 3] and links [N, 19, ROWS, ROWS]; their tensors by name.

    Raises ModelError for a network that answers otherwise."""
    if len(outputs) != 1 or len(outputs[0].shape) != 3 or _MAPS not in (outputs[0].shape[0], outputs[0].shape[2]):
        raise ModelError(
            f"a network of OpenPose's kind has one output [N, {_MAPS}, H, W]; this one has {listed(outputs)}"
        )
    maps, shape = outputs[0].name, outputs[0].shape
    if shape[0] != _MAPS:
        maps, shape = builder.op("Transpose", maps, perm=[0, 3, 1, 2]), (shape[2], *shape[:2])
    _, rows, columns = shape
    stride = canvas.width / columns
    if rows * columns < ROWS or canvas.height / rows != stride:
        raise ModelError(f"maps of {columns}x{rows} cells do not fit pictures of {canvas.width}x{canvas.height} pixels")
    heat = builder.cut(maps, 1, 0, COUNT)
    peaks = _peaks(builder, heat, rows, columns, stride, decoding)
    return {"peaks": peaks, "links": _links(builder, maps, peaks, (rows, columns), stride, decoding)}


def _peaks(b: GraphBuilder, heat: str, rows: int, columns: int, stride: float, decoding: Decoding) -> str:
    # of neighbours that are equally hot the last one is the peak, not both
    ramp = np.arange(rows * columns, dtype=np.float32).reshape(1, 1, rows, columns) * np.float32(1e-6)
    ranked = b.op("Add", heat, b.constant(ramp))
    around = b.op("MaxPool", ranked, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4)
    top = b.cast(b.op("Not", b.op("Less", ranked, around)), TensorProto.FLOAT)
    high = b.cast(b.op("Greater", heat, b.floats(decoding.peak)), TensorProto.FLOAT)
    flat = b.reshape(heat, 0, COUNT, rows * columns)
    candidates = b.reshape(b.op("Mul", heat, b.op("Mul", top, high)), 0, COUNT, rows * columns)
    scores, index = b.op_many("TopK", 2, candidates, b.ints(ROWS), axis=2)
    place = []
    for step, cells in ((1, b.op("Mod", index, b.ints(columns))), (columns, b.op("Div", index, b.ints(columns)))):
        # the top of the parabola through a peak and its two neighbours
        before, middle, after = (_at(b, flat, index, way * step, rows * columns) for way in (-1, 0, 1))
        slope = b.op("Sub", after, before)
        bend = b.op("Sub", b.op("Add", middle, middle), b.op("Add", before, after))
        off = b.op("Div", slope, b.op("Add", b.op("Add", bend, bend), b.floats(1e-6)))
        off = b.op("Max", b.op("Min", off, b.floats(0.5)), b.floats(-0.5))
        centre = b.op("Add", b.op("Add", b.cast(cells, TensorProto.FLOAT), b.floats(0.5)), off)
        place.append(b.op("Mul", centre, b.floats(stride)))
    used = b.cast(b.op("Greater", scores, b.floats(0.0)), TensorProto.FLOAT)
    table = [b.op("Mul", value, used) for value in (*place, b.op("Min", scores, b.floats(1.0)))]
    return b.op("Concat", *(b.reshape(value, 0, COUNT, ROWS, 1) for value in table), axis=3)


def _at(b: GraphBuilder, flat: str, index: str, off: int, cells: int) -> str:
    """Values beside an index; at the end of the map those of the edge."""
    if off:
        moved = b.op("Add", index, b.ints(off))
        index = b.op("Mod", b.op("Add", moved, b.ints(cells)), b.ints(cells))
    return b.op("GatherElements", flat, index, axis=2)


def _links(b: GraphBuilder, maps: str, peaks: str, size: tuple[int, int], stride: float, decoding: Decoding) -> str:
    rows, columns = size
    count, samples = len(LIMBS), decoding.samples
    first, second = (b.op("Gather", peaks, b.ints(*(limb[k] for limb in LIMBS)), axis=1) for k in (0, 1))
    begins, ends = [], []
    for axis in (0, 1):
        begin, end = (b.op("Mul", b.cut(each, 3, axis, axis + 1), b.floats(1 / stride)) for each in (first, second))
        begins.append(b.reshape(begin, 0, count, ROWS, 1, 1))
        ends.append(b.reshape(end, 0, count, 1, ROWS, 1))
    ways = [b.op("Sub", end, begin) for begin, end in zip(begins, ends, strict=True)]
    length = b.op("Sqrt", b.op("Add", b.op("Mul", ways[0], ways[0]), b.op("Mul", ways[1], ways[1])))
    units = [b.op("Div", way, b.op("Add", length, b.floats(1e-6))) for way in ways]
    along = b.constant(((np.arange(samples, dtype=np.float32) + 0.5) / samples).reshape(1, 1, 1, 1, samples))
    cells = []
    for begin, way, last in zip(begins, ways, (columns - 1, rows - 1), strict=True):
        cell = b.op("Floor", b.op("Add", begin, b.op("Mul", way, along)))
        cells.append(b.op("Max", b.op("Min", cell, b.floats(last)), b.floats(0.0)))
    index = b.cast(b.op("Add", cells[0], b.op("Mul", cells[1], b.floats(columns))), TensorProto.INT64)
    index = b.reshape(index, 0, count, ROWS * ROWS * samples)
    agreement = []
    for k, unit in enumerate(units):
        field = b.op("Gather", maps, b.ints(*(at + k for at in FIELDS)), axis=1)
        values = b.op("GatherElements", b.reshape(field, 0, count, rows * columns), index, axis=2)
        agreement.append(b.op("Mul", b.reshape(values, 0, count, ROWS, ROWS, samples), unit))
    along_limb = b.op("Add", *agreement)
    mean = b.mean_over(along_limb, 4, samples)
    agrees = b.cast(b.op("Greater", along_limb, b.floats(decoding.least)), TensorProto.FLOAT)
    agreeing = b.mean_over(agrees, 4, samples)
    # longer than half the picture: ever less likely one limb
    far = b.op(
        "Min",
        b.op("Sub", b.op("Div", b.floats(rows / 2), b.op("Add", length, b.floats(1e-6))), b.floats(1.0)),
        b.floats(0.0),
    )
    strength = b.op("Add", b.reshape(mean, 0, count, ROWS, ROWS), b.reshape(far, 0, count, ROWS, ROWS))
    enough = b.cast(b.op("Greater", agreeing, b.floats(decoding.agreeing - 1e-4)), TensorProto.FLOAT)
    strength = b.op("Mul", strength, b.reshape(enough, 0, count, ROWS, ROWS))
    return b.op("Max", strength, b.floats(0.0))
