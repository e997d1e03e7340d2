"""Turns somebody else's pose network into a served one."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np
import onnx
from msgspec import Struct
from onnx import ModelProto, TensorProto, helper, numpy_helper

from training.contract import Letterbox, ModelError
from training.families.family import Canvas, RawOutput
from training.graph_builder import GraphBuilder
from training.model_card import foreign_card
from training.model_repository import check_free
from training.pose import movenet, openpose
from training.pose.contract import INPUT, Answers, PoseModel, ServedPose
from training.pose.repository import store
from training.raw_network import CHANNELS_FIRST, CHANNELS_LAST, Layout, RawNetwork, prepare, read_model

_MAX_BATCH: Final = 8
_PICTURES: Final = 3


class PoseFamily(Struct, frozen=True):
    """One way of exporting a pose network. Pixels go in as they are, 0 to 255, in this order of channels."""

    name: str
    layout: Layout
    letterbox: Letterbox
    pad: int
    channels: Literal["rgb", "bgr"]
    answers: Answers
    rows: int
    append: Callable[[GraphBuilder, Sequence[RawOutput], Canvas], dict[str, str]]


POSE_FAMILIES: Final = {
    each.name: each
    for each in (
        PoseFamily(
            "openpose18", CHANNELS_FIRST, "top_left", 114, "bgr", "links", openpose.ROWS, openpose.append_people
        ),
        PoseFamily("movenet", CHANNELS_LAST, "center", 0, "rgb", "people", 1, movenet.append_one),
        PoseFamily(
            "movenet-multipose", CHANNELS_LAST, "center", 0, "rgb", "people", movenet.MOST, movenet.append_several
        ),
    )
}


def import_pose(
    file: Path,
    name: str,
    family: str,
    repository: Path,
    *,
    size: tuple[int, int] | None = None,
    letterbox: Letterbox | None = None,
    pad: int | None = None,
    origin: str | None = None,
    licence: str = "unknown",
    replace: bool = False,
) -> Path:
    """Reads, checks, wraps and stores; returns the new model's folder.

    Where ONNX Runtime is installed the served model is also run. Raises ModelError, and OSError when it cannot be
    written; the repository is then as it was.
    """
    check_free(repository, name, replace)
    try:
        chosen = POSE_FAMILIES[family]
    except KeyError:
        raise ModelError(f"no pose family {family!r}; there are {', '.join(POSE_FAMILIES)}") from None
    served = wrap(prepare(read_model(file), size, chosen.layout), chosen, name, letterbox, pad)
    notes = [] if served.model.max_batch_size > 1 else ["one picture at a time: its norms or its exporter tie it"]
    notes.append(_prove(served))
    graph = served.graph.SerializeToString(deterministic=True)
    card = foreign_card(file, name, family, origin, licence, graph, notes)
    return store(repository, served, card, replace)


def wrap(
    network: RawNetwork, family: PoseFamily, name: str, letterbox: Letterbox | None = None, pad: int | None = None
) -> ServedPose:
    """Picture in, people out. Raises ModelError where the outputs don't fit the family."""
    batches = network.batches and not _mixes_pictures(network.model)
    model = PoseModel(
        name=name,
        family=family.name,
        width=network.width,
        height=network.height,
        letterbox=letterbox or family.letterbox,
        pad=family.pad if pad is None else pad,
        answers=family.answers,
        rows=family.rows,
        max_batch_size=_MAX_BATCH if batches else 1,
    )
    before = GraphBuilder(network.opset, "served/before/")
    pixels = before.op("Transpose", INPUT, perm=[0, 3, 1, 2]) if family.layout is CHANNELS_FIRST else INPUT
    if family.channels == "bgr":
        pixels = before.op("Gather", pixels, before.ints(2, 1, 0), axis=family.layout.channels)
    values = before.cast(pixels, network.kind)
    before.nodes.append(helper.make_node("Identity", [values], [network.input], name="served/before/network_input"))
    after = GraphBuilder(network.opset, "served/after/")
    for output, tensor in family.append(after, network.outputs, Canvas(network.width, network.height)).items():
        after.nodes.append(helper.make_node("Identity", [tensor], [output], name=f"served/after/{output}"))
    return ServedPose(model, _assembled(network, model, before, after))


def _mixes_pictures(model: ModelProto) -> bool:
    """Norms that were exported as if in training take their means over the whole batch: pictures would change each
    other's answers."""
    constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type.startswith("Reduce"):
            axes = next((list(a.ints) for a in node.attribute if a.name == "axes"), None)
            if axes is None and len(node.input) > 1 and node.input[1] in constants:
                axes = np.atleast_1d(constants[node.input[1]]).tolist()
            spatial = axes is not None and len(axes) > 1
            if spatial and 0 in (axes or ()):
                return True
    return False


def _assembled(network: RawNetwork, model: PoseModel, before: GraphBuilder, after: GraphBuilder) -> ModelProto:
    proto = ModelProto()
    proto.CopyFrom(network.model)
    graph = proto.graph
    nodes = [*before.nodes, *graph.node, *after.nodes]
    batch: str | int = "N" if model.max_batch_size > 1 else 1
    for field in (graph.node, graph.input, graph.output, graph.value_info, proto.metadata_props):
        del field[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*before.initializers, *after.initializers])
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [batch, model.height, model.width, 3]))
    for name, shape in model.outputs.items():
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *shape]))
    graph.name = model.name
    proto.doc_string = ""
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"the wrapped graph is not valid: {str(error).splitlines()[0][:200]}") from None
    return proto


def _prove(served: ServedPose) -> str:
    """What running the model showed. Raises ModelError when it doesn't keep the contract."""
    if importlib.util.find_spec("onnxruntime") is None:
        return "not run at import: ONNX Runtime isn't installed here"
    from training.trial import session  # ONNX Runtime is no dependency of the product

    model = served.model
    names = list(model.outputs)
    images = np.random.default_rng(7).integers(0, 256, (_PICTURES, model.height, model.width, 3), np.uint8)
    try:
        running = session(served.graph.SerializeToString())
        singles = [running.run(names, {INPUT: images[i : i + 1]}) for i in range(_PICTURES)]
        batch = running.run(names, {INPUT: images}) if model.max_batch_size > 1 else None
    except Exception as error:  # ONNX Runtime's own exceptions have no common base
        raise ModelError(f"ONNX Runtime can't run the model: {str(error).splitlines()[0][:200]}") from None
    for answers in singles:
        for answer, (name, shape) in zip(answers, model.outputs.items(), strict=True):
            if answer.shape != (1, *shape) or not np.isfinite(answer).all():
                raise ModelError(f"the model's {name} are {answer.shape}, or numbers that aren't finite")
    if batch is None:
        return "run with ONNX Runtime, one picture at a time"
    for k in range(len(names)):
        if not np.array_equal(batch[k], np.concatenate([answers[k] for answers in singles])):
            raise ModelError("the model answers a batch otherwise than its pictures one by one")
    return "run with ONNX Runtime: a batch equals its pictures one by one, bit for bit"
