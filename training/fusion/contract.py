"""What the served fusion network promises, whatever backbone is inside.

Inputs: `image` uint8 [N, HEIGHT, WIDTH, 3] RGB, letterboxed; `h` and `c` float32 [N, STATE], what it remembers of a
camera: zeros before the first picture, then what it answered to the one before. Outputs: `state` float32 [N, classes],
probabilities; `next_h` and `next_c`, as `h` and `c` (ONNX lets no output have an input's name). The server remembers
nothing, so that rows of a batch may be different cameras, and a camera goes on wherever its state is.

Classes, letterbox and the rate of pictures that it has learnt from are in `config.pbtxt`.
"""

from typing import Final

from msgspec import Struct

from training.contract import ModelError
from training.onnx_config import onnx_config, parameters_of, parsed, text_of

INPUTS: Final = ("image", "h", "c")
OUTPUTS: Final = ("state", "next_h", "next_c")
ROLE: Final = "fusion"
_MAX_BATCH: Final = 8
_AUTHOR: Final = "python -m training.train_fusion publish"


class Served(Struct, frozen=True):
    """The model as it is served, all but its weights. `fps`: pictures a second that it has learnt from."""

    name: str
    height: int
    width: int
    state: int
    """floats in `h`, and as many in `c`"""
    labels: tuple[str, ...]
    fps: float
    pad: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of all inputs and outputs, without the batch."""
        kept = (self.state,)
        return {
            "image": (self.height, self.width, 3),
            "h": kept,
            "c": kept,
            "state": (len(self.labels),),
            "next_h": kept,
            "next_c": kept,
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
        shapes = {each.name: list(each.dims) for each in (*config.input, *config.output)}
        height, width, _ = shapes["image"]
        served = Served(
            name=config.name,
            height=height,
            width=width,
            state=shapes["h"][0],
            labels=tuple(parameters["labels"].split(",")),
            fps=float(parameters["fps"]),
            pad=int(parameters["pad"]),
        )
        if {name: tuple(dims) for name, dims in shapes.items()} != served.shapes:
            raise ValueError(f"shapes {shapes} do not fit together")
    except (KeyError, ValueError, IndexError) as error:
        raise ModelError(f"config.pbtxt: {type(error).__name__} {error}") from None
    return served
