"""A graph in static INT8: activations uint8, weights int8 per channel. Needs ONNX Runtime."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from training.speed import Feed


class FeedReader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._left = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._left, None)


def in_int8(
    source: Path,
    target: Path,
    feeds: Iterable[Feed],
    kinds: Sequence[str],
    nodes: Sequence[str],
    ranges: Path | None = None,
    whole_range: bool = False,
) -> ModelProto:
    """`source` with those of its `nodes` quantised that are of these `kinds`, by ranges from the moving average of
    minimum and maximum over `feeds`, or the whole range; the quantiser writes it to `target`. With `ranges` they are
    kept in that file, and read from there the next time."""
    with quiet():
        quantize_static(
            source,
            target,
            FeedReader(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(kinds),
            nodes_to_quantize=list(nodes),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            calibration_cache_path=ranges,
            extra_options={"CalibMovingAverage": not whole_range},
        )
    return _fed_with_bytes(onnx.load(target))


@contextmanager
def quiet() -> Iterator[None]:
    """Each time, the quantiser advises a preparation that changes nothing here."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _fed_with_bytes(model: ModelProto) -> ModelProto:
    """Pixels are uint8 already: where the network wants them times one number, that is their scale, and they go into
    the first convolution as they are instead of by way of float32 and back, and its bias counts in the new unit."""
    graph = model.graph
    maker = {output: node for node in graph.node for output in node.output}
    quantised = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    first = next((node for node in quantised if _by_way_of_floats(node, maker)), None)
    if first is None:
        return model
    chain = _by_way_of_floats(first, maker)
    numbers = {one.name: one for one in graph.initializer}
    scale = np.float32(1)
    for node in chain:
        if node.op_type == "Mul":
            factors = np.unique(numpy_helper.to_array(numbers[node.input[1]]))
            if len(factors) != 1:
                return model
            scale = factors[0]
    pixels = chain[-1].input[0]
    graph.initializer.append(numpy_helper.from_array(np.array(scale, np.float32), "served/before/scale"))
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.uint8), "served/before/zero"))
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] == first.output[0]:
            node.input[:] = [pixels, "served/before/scale", "served/before/zero"]
            for user in graph.node:
                if user.op_type == "Conv" and user.input[0] == node.output[0] and len(user.input) > 2:
                    _rescale_bias(maker.get(user.input[1]), maker.get(user.input[2]), numbers, scale)
    for node in (first, *chain):
        graph.node.remove(node)
    return model


def _rescale_bias(
    weights: NodeProto | None, bias: NodeProto | None, numbers: Mapping[str, TensorProto], scale: np.float32
) -> None:
    """Of what makes numbers of weights and bias of a convolution. A bias counts in the unit of the sums, the pixels'
    scale times the weights'; where it does not, ONNX Runtime leaves the convolution in float32, or takes it as if."""
    if weights is None or bias is None:
        return
    integers, before, of_weights = (
        numpy_helper.to_array(numbers[name]) for name in (*bias.input[:2], weights.input[1])
    )
    unit = (scale * of_weights).astype(np.float32)
    same = np.rint(integers * (before.astype(np.float64) / unit)).astype(np.int32)
    for name, value in zip(bias.input[:2], (same, unit), strict=True):
        numbers[name].CopyFrom(numpy_helper.from_array(value, name))


def _by_way_of_floats(node: NodeProto, maker: Mapping[str, NodeProto]) -> list[NodeProto]:
    """The nodes between a quantiser and the bytes that it gets, the nearest first; empty where there are others."""
    chain: list[NodeProto] = []
    while (before := maker.get((chain[-1] if chain else node).input[0])) is not None:
        if not before.name.startswith("served/before/") or before.op_type not in ("Identity", "Mul", "Cast"):
            return []
        chain.append(before)
        if before.op_type == "Cast":
            return chain
    return []
