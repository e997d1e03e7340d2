"""The config.pbtxt of networks that are served with their state: a picture and what was kept of a camera go in, an
answer comes out, and what is to be kept where the network makes that. Several contracts are of this kind."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from msgspec import Struct

from training.contract import ModelError
from training.onnx_config import onnx_config, parameters_of, parsed, text_of

Shapes = Mapping[str, tuple[int, ...]]
"""of inputs and outputs by name, without the batch"""
_MAX_BATCH: Final = 8


class Kind(Struct, frozen=True):
    role: str
    inputs: tuple[str, ...]
    """`image`, uint8 [height, width, 3], and float32 where `types` says nothing else"""
    outputs: tuple[str, ...]
    """float32"""
    author: str
    """the command that writes it"""
    types: Mapping[str, str] = MappingProxyType({})
    """of inputs, as in KServe"""


class Stateful(Struct, frozen=True):
    """A model as it is served, all but its weights."""

    name: str
    height: int
    width: int
    labels: tuple[str, ...]
    fps: float
    """pictures a second that it has learnt from"""
    pad: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of all inputs and outputs, without the batch."""
        raise NotImplementedError


S = TypeVar("S", bound=Stateful)


def config_text(served: Stateful, kind: Kind) -> str:
    types = {"image": "UINT8", **kind.types}
    tensors = {name: (types.get(name, "FP32"), shape) for name, shape in served.shapes.items()}
    parameters = {
        "role": kind.role,
        "labels": ",".join(served.labels),
        "fps": f"{served.fps:g}",
        "letterbox": "top_left",
        "pad": str(served.pad),
    }
    inputs, outputs = ({name: tensors[name] for name in names} for names in (kind.inputs, kind.outputs))
    return text_of(onnx_config(served.name, inputs, outputs, _MAX_BATCH, 1, parameters), kind.author)


def parse_config(text: str, kind: Kind, model: Callable[[Shapes, dict[str, Any]], S]) -> S:
    """`model` makes one of all shapes, and of name, height, width, labels, fps and pad. Raises ModelError when the
    config.pbtxt describes none of this kind."""
    config = parsed(text)
    parameters = parameters_of(config)
    try:
        if parameters["role"] != kind.role:
            raise ValueError(f"role {parameters['role']!r}")
        shapes = {each.name: tuple(each.dims) for each in (*config.input, *config.output)}
        height, width, _ = shapes["image"]
        common = {
            "name": config.name,
            "height": height,
            "width": width,
            "labels": tuple(parameters["labels"].split(",")),
            "fps": float(parameters["fps"]),
            "pad": int(parameters["pad"]),
        }
        served = model(shapes, common)
        if shapes != served.shapes:
            raise ValueError(f"shapes {shapes} do not fit together")
    except (KeyError, ValueError, IndexError) as error:
        raise ModelError(f"config.pbtxt: {type(error).__name__} {error}") from None
    return served
