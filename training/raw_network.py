"""A detector's network as somebody else exported it: loaded, checked, ready to be wrapped."""

from pathlib import Path
from typing import Final

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from msgspec import Struct
from onnx import ModelProto, TensorProto, shape_inference

from training.batch_axis import free_batch
from training.contract import ModelError
from training.families.family import RawOutput
from training.shape_folding import fold_shapes

OPSETS = range(11, 25)
_PREFIX = "network/"
_PASSES_THROUGH = ("Transpose", "Reshape", "Concat", "Identity", "Slice", "Squeeze", "Unsqueeze", "Flatten")


class Layout(Struct, frozen=True):
    """What a network's picture input may be. `kinds`: element types of ONNX."""

    text: str
    channels: int
    rows: int
    columns: int
    kinds: tuple[int, ...]


CHANNELS_FIRST: Final = Layout("float32 [N, 3, height, width]", 1, 2, 3, (TensorProto.FLOAT,))
CHANNELS_LAST: Final = Layout(
    "int32, uint8 or float32 [N, height, width, 3]", 3, 1, 2, (TensorProto.INT32, TensorProto.UINT8, TensorProto.FLOAT)
)


class RawNetwork(Struct, frozen=True):
    """A network with one picture input. Every name in its graph begins with `network/`."""

    model: ModelProto
    opset: int
    input: str
    kind: int
    """element type of the input"""
    width: int
    height: int
    outputs: tuple[RawOutput, ...]
    batches: bool
    """False: the graph is tied to a batch of one"""


def read_model(path: Path) -> ModelProto:
    """Raises ModelError for a file that isn't a complete, valid ONNX model."""
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file") from None
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        raise ModelError(f"{path} is not a valid ONNX model: {str(error).splitlines()[0][:200]}") from None
    if not model.graph.node:
        raise ModelError(f"{path} is not a valid ONNX model: it holds no graph")
    return model


def prepare(model: ModelProto, size: tuple[int, int] | None = None, layout: Layout = CHANNELS_FIRST) -> RawNetwork:
    """Settles the input's size (`size`: width and height, needed where the export left it open) and frees the batch.

    Raises ModelError for an opset out of range, an input that isn't one picture of that layout, outputs of unknown
    shape.
    """
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if opset not in OPSETS:
        raise ModelError(f"opset {opset} is not supported, only {OPSETS[0]} to {OPSETS[-1]}: export it again")
    model = _own(model)
    network_input = _picture_input(model, layout)
    width, height = _settle_size(network_input, size, layout)
    batch = network_input.type.tensor_type.shape.dim[0]
    if batch.dim_value > 1:
        raise ModelError(f"the network takes exactly {batch.dim_value} pictures at a time: export it with batch 1")
    batch.Clear()
    batch.dim_value = 1
    declared = {o.name: _copied(o.type.tensor_type.shape) for o in model.graph.output}
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")  # may still name an open size; inferred below
    del model.graph.value_info[:]
    model = _inferred(model)
    for output in model.graph.output:
        if not _is_whole(output):
            # only running it would tell; what the exporter saw has to do
            output.type.tensor_type.shape.CopyFrom(declared[output.name])
    outputs = tuple(_output(model, o) for o in model.graph.output)

    freed = free_batch(model, network_input.name)
    return RawNetwork(
        model=freed or model,
        opset=opset,
        input=network_input.name,
        kind=network_input.type.tensor_type.elem_type,
        width=width,
        height=height,
        outputs=outputs,
        batches=freed is not None,
    )


def _own(model: ModelProto) -> ModelProto:
    """A copy with prefixed names, without weights listed as inputs (exporters before IR 4 did that)."""
    own = onnx.compose.add_prefix(model, _PREFIX)
    weights = {i.name for i in own.graph.initializer}
    inputs = [i for i in own.graph.input if i.name not in weights]
    del own.graph.input[:]
    own.graph.input.extend(inputs)
    own.ir_version = max(own.ir_version, 6)
    return own


def _picture_input(model: ModelProto, layout: Layout) -> onnx.ValueInfoProto:
    names = [f"{i.name.removeprefix(_PREFIX)} {_shape_text(i)}" for i in model.graph.input]
    if len(model.graph.input) != 1:
        raise ModelError(f"a detector has one input, this network has {len(names)}: {', '.join(names)}")
    only: onnx.ValueInfoProto = model.graph.input[0]
    tensor = only.type.tensor_type
    dims = tensor.shape.dim
    if tensor.elem_type not in layout.kinds or len(dims) != 4 or dims[layout.channels].dim_value != 3:
        raise ModelError(f"the input must be {layout.text}, this one is {names[0]}")
    return only


def _settle_size(network_input: onnx.ValueInfoProto, size: tuple[int, int] | None, layout: Layout) -> tuple[int, int]:
    dims = network_input.type.tensor_type.shape.dim
    rows, columns = dims[layout.rows], dims[layout.columns]
    fixed = (columns.dim_value, rows.dim_value)
    if 0 in fixed:
        if size is None:
            raise ModelError("the network takes pictures of any size: say which one to serve (--size WIDTHxHEIGHT)")
        columns.Clear()
        rows.Clear()
        columns.dim_value, rows.dim_value = size
        return size
    if size is not None and size != fixed:
        raise ModelError(f"the network takes {fixed[0]}x{fixed[1]} pixels only, not {size[0]}x{size[1]}")
    return fixed


def _inferred(model: ModelProto) -> ModelProto:
    try:
        return fold_shapes(model)
    except shape_inference.InferenceError as error:
        raise ModelError(f"the network's shapes contradict each other: {str(error).splitlines()[0][:200]}") from None


def _copied(shape: onnx.TensorShapeProto) -> onnx.TensorShapeProto:
    own = onnx.TensorShapeProto()
    own.CopyFrom(shape)
    return own


def _is_whole(value: onnx.ValueInfoProto) -> bool:
    tensor = value.type.tensor_type
    return tensor.HasField("shape") and all(d.dim_value for d in tensor.shape.dim)


def _output(model: ModelProto, value: onnx.ValueInfoProto) -> RawOutput:
    dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
    if value.type.tensor_type.elem_type != TensorProto.FLOAT or len(dims) < 2 or dims[0] != 1 or 0 in dims:
        raise ModelError(
            f"output {value.name.removeprefix(_PREFIX)} must be float32 with a batch of 1 and a fixed shape, "
            f"it is {_shape_text(value)}: export without suppression inside"
        )
    return RawOutput(value.name, tuple(dims[1:]), _activated(model, value.name))


def _activated(model: ModelProto, name: str) -> bool:
    """Whether a tensor's values come straight out of a sigmoid or softmax."""
    producers = {o: n for n in model.graph.node for o in n.output}
    while (node := producers.get(name)) is not None and node.op_type in _PASSES_THROUGH:
        name = node.input[0]
    return node is not None and node.op_type in ("Sigmoid", "Softmax", "HardSigmoid")


def _shape_text(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    kind = TensorProto.DataType.Name(tensor.elem_type).lower()
    return f"{kind} [{', '.join(d.dim_param or str(d.dim_value or '?') for d in tensor.shape.dim)}]"
