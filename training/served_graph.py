"""Wraps a raw network into the contract that every served detector has (training.contract)."""

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper

from training.contract import INPUT, OUTPUT, ROW, Detector, Letterbox, ModelError, ServedModel, Suppression
from training.families.family import Canvas, Family
from training.graph_builder import GraphBuilder
from training.raw_network import RawNetwork
from training.suppression_graph import append_suppression

MAX_BATCH = 8


def wrap(
    network: RawNetwork,
    family: Family,
    name: str,
    labels: tuple[str, ...],
    suppression: Suppression = Suppression(),
    letterbox: Letterbox | None = None,
    pad: int | None = None,
) -> ServedModel:
    """Picture in, rows out. `letterbox` and `pad` override the family's, for networks trained otherwise.

    Raises ModelError where the outputs don't fit the family or the labels don't fit the classes.
    """
    detector = Detector(
        name=name,
        family=family.name,
        width=network.width,
        height=network.height,
        labels=labels,
        letterbox=letterbox or family.letterbox,
        pad=family.pad if pad is None else pad,
        rows=suppression.rows,
        max_batch_size=MAX_BATCH if network.batches else 1,
    )
    before = GraphBuilder(network.opset, "served/before/")
    _append_input(before, family, network.input)
    after = GraphBuilder(network.opset, "served/after/")
    decoded = family.decode(after, network.outputs, Canvas(network.width, network.height))
    if decoded.classes != len(labels):
        raise ModelError(f"the network knows {decoded.classes} classes, but there are {len(labels)} labels")
    rows = append_suppression(after, decoded.boxes, decoded.scores, decoded.anchors, decoded.classes, suppression)
    after.nodes.append(helper.make_node("Identity", [rows], [OUTPUT], name="served/after/rows"))
    return ServedModel(detector, _assemble(network, detector, before, after))


def _append_input(builder: GraphBuilder, family: Family, target: str) -> None:
    """uint8 [N, H, W, 3] RGB to what the network was trained with, moved about as bytes while it is still bytes."""
    pixels = builder.op("Transpose", INPUT, perm=[0, 3, 1, 2])
    if family.channels == "bgr":
        pixels = builder.op("Gather", pixels, builder.ints(2, 1, 0), axis=1)
    values = builder.cast(pixels, TensorProto.FLOAT)
    if any(family.mean):
        values = builder.op("Sub", values, builder.constant(_per_channel(family.mean)))
    if any(s != 1 for s in family.scale):
        values = builder.op("Mul", values, builder.constant(_per_channel(family.scale)))
    builder.nodes.append(helper.make_node("Identity", [values], [target], name="served/before/network_input"))


def _per_channel(values: tuple[float, float, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(values, np.float32).reshape(1, 3, 1, 1)


def _assemble(network: RawNetwork, detector: Detector, before: GraphBuilder, after: GraphBuilder) -> ModelProto:
    model = ModelProto()
    model.CopyFrom(network.model)
    graph = model.graph
    nodes = [*before.nodes, *graph.node, *after.nodes]
    batch: str | int = "N" if network.batches else 1
    for field in (graph.node, graph.input, graph.output, graph.value_info, model.metadata_props):
        del field[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*before.initializers, *after.initializers])
    graph.input.append(
        helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [batch, detector.height, detector.width, 3])
    )
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [batch, detector.rows, ROW]))
    graph.name = detector.name
    model.doc_string = ""
    facts = {
        "family": detector.family,
        "labels": ",".join(detector.labels),
        "letterbox": detector.letterbox,
        "pad": str(detector.pad),
    }
    helper.set_model_props(model, facts)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"the wrapped graph is not valid: {str(error).splitlines()[0][:200]}") from None
    return model
