"""What the served detector with a memory promises.

Inputs: `image` uint8 [N, HEIGHT, WIDTH, 3] RGB, letterboxed; `memory` float32 [N, PICTURES, CHANNELS, ROWS, COLUMNS],
maps of features that it keeps of a camera: zeros before the first picture, then what it answered to the one before.
Outputs: `detections` float32 [N, K, 6] as every detector's; `next_memory`, as `memory` (ONNX lets no output have an
input's name). The server remembers nothing, so that rows of a batch may be different cameras, and a camera goes on
wherever its memory is.

Classes, letterbox and the rate of pictures that it has learnt from are in `config.pbtxt`.
"""

from typing import Final

from msgspec import Struct

from training.contract import ROW, ModelError
from training.onnx_config import onnx_config, parameters_of, parsed, text_of

INPUTS: Final = ("image", "memory")
OUTPUTS: Final = ("detections", "next_memory")
ROLE: Final = "temporal"
_MAX_BATCH: Final = 8
_AUTHOR: Final = "python -m training.train_temporal publish"


class Served(Struct, frozen=True):
    """The model as it is served, all but its weights. `fps`: pictures a second that it has learnt from."""

    name: str
    height: int
    width: int
    memory: tuple[int, ...]
    """shape of what is kept of one camera"""
    rows: int
    """of `detections`"""
    labels: tuple[str, ...]
    fps: float
    pad: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of all inputs and outputs, without the batch."""
        return {
            "image": (self.height, self.width, 3),
            "memory": self.memory,
            "detections": (self.rows, ROW),
            "next_memory": self.memory,
        }


def config_text(served: Served) -> str:
    """Its config.pbtxt."""
    tensors = {name: ("UINT8" if name == "image" else "FP32", shape) for name, shape in served.shapes.items()}
    parameters = {
        "role": ROLE,
        "labels": ",".join(served.labels),
        "fps": f"{served.fps:g}",
        "letterbox": "top_left",
        "pad": str(served.pad),
    }
    inputs, outputs = ({name: tensors[name] for name in names} for names in (INPUTS, OUTPUTS))
    return text_of(onnx_config(served.name, inputs, outputs, _MAX_BATCH, 1, parameters), _AUTHOR)


def parse_config(text: str) -> Served:
    """The model that a config.pbtxt describes. Raises ModelError when it is none of these."""
    config = parsed(text)
    parameters = parameters_of(config)
    try:
        if parameters["role"] != ROLE:
            raise ValueError(f"role {parameters['role']!r}")
        shapes = {each.name: tuple(each.dims) for each in (*config.input, *config.output)}
        height, width, _ = shapes["image"]
        served = Served(
            name=config.name,
            height=height,
            width=width,
            memory=shapes["memory"],
            rows=shapes["detections"][0],
            labels=tuple(parameters["labels"].split(",")),
            fps=float(parameters["fps"]),
            pad=int(parameters["pad"]),
        )
        if shapes != served.shapes:
            raise ValueError(f"shapes {shapes} do not fit together")
    except (KeyError, ValueError, IndexError) as error:
        raise ModelError(f"config.pbtxt: {type(error).__name__} {error}") from None
    return served
