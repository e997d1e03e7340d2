"""A detector's static INT8 variant: activations uint8, weights int8 per channel (docs/adr/0016-int8.md).

Only the network is quantised, not the decoding of its boxes. The convolutions that suffer most from it stay in float32:
none at first, then twice as many each time, until the variant is good enough. One that is not faster, or does not get
good enough, is refused. Needs ONNX Runtime.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import onnx
from msgspec import Struct
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, version_converter

from training.average_precision import Found, Objects, average_precision
from training.contract import INPUT, OUTPUT, ModelError, ServedModel
from training.int8_graph import in_int8
from training.trial import session, try_out
from training.wide_pixels import widened

Pixels = NDArray[np.uint8]
Judge = Callable[[ServedModel], float]
"""how good a detector is, 0 to 1; of the same detector always the same"""

_LEARNT: Final = ("Conv", "Relu")
_PASSING: Final = ("Concat", "Resize", "Add")
"""in INT8, too, where they stand between convolutions: else what they are given would go back to float32 and be
quantised again behind them. Not behind the last ones: scores and sides of boxes would get one scale."""
_OPSET: Final = 13
_SURE: Final = 0.3
_RANKED_BY: Final = 8
_TIMED: Final = 40


class Floor(Struct, frozen=True):
    """What a variant must reach to be published."""

    times_faster: float = 1.2
    kept: float = 0.9
    """of what the judge says of the original"""


class Quantization(Struct, frozen=True):
    """The report, for the model's card."""

    calibrated_on: str
    calibration_pictures: int
    judged_on: str
    judged_by: str
    before: float
    after: float
    milliseconds_before: float
    milliseconds_after: float
    """median of one picture, one thread"""
    times_faster: float
    bytes_before: int
    bytes_after: int
    convolutions: int
    in_float32: tuple[str, ...]
    """convolutions that were left alone"""


class Data(Struct, frozen=True):
    """`pictures` [n, H, W, 3] are letterboxed; whatever the judge looks at must not be among them."""

    pictures: Pixels
    calibrated_on: str
    judged_on: str
    judged_by: str


def quantize(
    model: ServedModel,
    name: str,
    data: Data,
    judge: Judge,
    floor: Floor = Floor(),
    said: Callable[[str], None] = lambda _: None,
) -> tuple[ServedModel, Quantization]:
    """Raises ModelError for a variant below the floor; the message has the figures."""
    if len(data.pictures) < _RANKED_BY:
        raise ModelError(f"{len(data.pictures)} pictures to calibrate with; at least {_RANKED_BY} are needed")
    convolutions = [node.name for node in model.graph.graph.node if node.op_type == "Conv"]
    if any(node.op_type == "QuantizeLinear" for node in model.graph.graph.node):
        raise ModelError(f"{model.detector.name} is quantised already")
    if not convolutions:
        raise ModelError(f"{model.detector.name} has no convolution")
    before = judge(model)
    said(f"{model.detector.name}: {data.judged_by} {before:.4f}")
    with tempfile.TemporaryDirectory() as folder:
        quantizer = _Quantizer(model, data.pictures, Path(folder))
        ranked: list[str] = []
        left = 0
        while True:
            variant = _renamed(quantizer.quantized(ranked[:left]), model, name)
            after = judge(variant)
            said(f"{left} of {len(convolutions)} convolutions in float32: {data.judged_by} {after:.4f}")
            if after >= floor.kept * before or 2 * left + 1 >= len(convolutions):
                break
            if not ranked:
                ranked = quantizer.ranked(convolutions)
            left = 2 * left or 1
    slow, quick = _milliseconds(model, variant, data.pictures[:_TIMED])
    report = Quantization(
        calibrated_on=data.calibrated_on,
        calibration_pictures=len(data.pictures),
        judged_on=data.judged_on,
        judged_by=data.judged_by,
        before=round(before, 4),
        after=round(after, 4),
        milliseconds_before=round(slow, 2),
        milliseconds_after=round(quick, 2),
        times_faster=round(slow / quick, 2),
        bytes_before=model.graph.ByteSize(),
        bytes_after=variant.graph.ByteSize(),
        convolutions=len(convolutions),
        in_float32=tuple(sorted(ranked[:left])),
    )
    if after < floor.kept * before:
        raise ModelError(
            f"{data.judged_by} falls from {before:.4f} to {after:.4f}, below {floor.kept:g} of it, even with {left} of "
            f"{len(convolutions)} convolutions in float32: not published"
        )
    if report.times_faster < floor.times_faster:
        raise ModelError(
            f"{report.times_faster} times as fast ({slow:.1f} ms, then {quick:.1f} ms) where {floor.times_faster:g} "
            "was wanted: not published"
        )
    try_out(variant)
    return variant, report


def agreement(model: ServedModel, pictures: Pixels) -> Judge:
    """AP50-95 of a detector's boxes held against what this one is sure of. Raises ModelError where it sees nothing."""
    truth = []
    for rows in _detections(model, pictures):
        sure = rows[rows[:, 4] >= _SURE].astype(np.float64)
        truth.append(Objects(sure[:, :4], sure[:, 5].astype(np.int64), np.zeros(len(sure), bool)))
    if not any(len(one.labels) for one in truth):
        raise ModelError(f"{model.detector.name} finds nothing in the pictures: no agreement can be measured")

    def judge(other: ServedModel) -> float:
        found = []
        for rows in _detections(other, pictures):
            used = rows[rows[:, 4] > 0].astype(np.float64)
            found.append(Found(used[:, :4], used[:, 4], used[:, 5].astype(np.int64)))
        return average_precision(truth, found).map50_95

    return judge


def _detections(model: ServedModel, pictures: Pixels) -> Iterator[NDArray[np.float32]]:
    running = session(model.graph.SerializeToString())
    for picture in pictures:
        yield np.asarray(running.run([OUTPUT], {INPUT: picture[None]})[0])[0]


class _Quantizer:
    """Variants of one model; the pictures are looked at once."""

    def __init__(self, model: ServedModel, pictures: Pixels, folder: Path) -> None:
        self._model, self._pictures, self._folder = model.graph, pictures, folder
        # by path: of a model in memory the quantiser moves the weights out
        self._source = folder / "original.onnx"
        self._source.write_bytes(_with_scales_per_channel(widened(model.graph)).SerializeToString())
        self._inside = between_convolutions(model.graph.graph)

    def quantized(self, in_float32: Collection[str]) -> ModelProto:
        return self._quantized([name for name in self._inside if name not in set(in_float32)])

    def ranked(self, convolutions: Collection[str]) -> list[str]:
        """The most sensitive first: those that alone, quantised, change the network's answers most."""
        wanted = self._answers(self._model)
        errors = {name: _distance(wanted, self._answers(self._quantized([name]))) for name in convolutions}
        return sorted(errors, key=lambda name: -errors[name])

    def _quantized(self, nodes: list[str]) -> ModelProto:
        target, ranges = self._folder / "quantized.onnx", self._folder / "ranges.json"
        feeds = ({INPUT: picture[None]} for picture in self._pictures)
        return in_int8(self._source, target, feeds, (*_LEARNT, *_PASSING), nodes, ranges)

    def _answers(self, model: ModelProto) -> list[NDArray[np.float32]]:
        """What the network says before boxes are made of it."""
        behind = {name for node in model.graph.node if node.name.startswith("served/after/") for name in node.input}
        made = [name for node in model.graph.node if not node.name.startswith("served/") for name in node.output]
        raw = [name for name in made if name in behind]
        copy = ModelProto()
        copy.CopyFrom(model)
        copy.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in raw)
        running = session(copy.SerializeToString())
        return [
            np.asarray(answer)
            for picture in self._pictures[:_RANKED_BY]
            for answer in running.run(raw, {INPUT: picture[None]})
        ]


def between_convolutions(graph: GraphProto) -> list[str]:
    """Names of the nodes that are quantised, in the graph's order."""
    users: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    found: set[str] = set()
    for node in reversed(graph.node):
        # an imported network's nodes have their exporter's names, ours in front and behind are marked
        if node.name.startswith("served/"):
            continue
        following = users.get(node.output[0], [])
        passes = node.op_type in _PASSING and following and all(user.name in found for user in following)
        if node.op_type in _LEARNT or passes:
            found.add(node.name)
    return [node.name for node in graph.node if node.name in found]


def _with_scales_per_channel(model: ModelProto) -> ModelProto:
    """They came with opset 13; older networks are written again in that one."""
    opset = max(imported.version for imported in model.opset_import if imported.domain == "")
    return model if opset >= _OPSET else version_converter.convert_version(model, _OPSET)


def _distance(wanted: list[NDArray[np.float32]], got: list[NDArray[np.float32]]) -> float:
    """Relative, in the Euclidean sense."""
    off = sum(float(((a - b) ** 2).sum()) for a, b in zip(wanted, got, strict=True))
    return off / sum(float((a**2).sum()) for a in wanted)


def _renamed(graph: ModelProto, model: ServedModel, name: str) -> ServedModel:
    graph.graph.name = name
    # the quantiser adds remarks of its own; what it is made of is on the card
    graph.producer_name = model.graph.producer_name
    del graph.metadata_props[:]
    graph.metadata_props.extend(model.graph.metadata_props)
    return ServedModel(msgspec.structs.replace(model.detector, name=name), graph)


def _milliseconds(one: ServedModel, other: ServedModel, pictures: Pixels) -> tuple[float, float]:
    """They take turns: machines drift."""
    sessions = [session(model.graph.SerializeToString()) for model in (one, other)]
    times: tuple[list[float], list[float]] = ([], [])
    for picture in pictures:
        for running, taken in zip(sessions, times, strict=True):
            begun = time.perf_counter()
            running.run([OUTPUT], {INPUT: picture[None]})
            taken.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(times[0]), statistics.median(times[1])
