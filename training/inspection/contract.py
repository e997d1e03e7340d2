"""What the cascade's two served models promise, whatever networks are inside.

Input `image`: uint8 [N, SIDE, SIDE, 3] RGB, one part a picture. The screen answers `score`, float32 [N, 1]: its
confidence that the part is defective. The locator answers `map`, uint8 [N, SIDE, SIDE]: 255 times each pixel's. What
they mean (threshold, scale) is in `config.pbtxt`, so that a client needs nothing but Triton.
"""

from typing import Final, Literal

from msgspec import Struct

from simulator.line.design import PIXELS_PER_MM, SIDE
from training.contract import ModelError
from training.onnx_config import onnx_config, parameters_of, parsed, text_of

INPUT: Final = "image"
Role = Literal["screen", "locator"]
OUTPUTS: Final[dict[Role, tuple[str, tuple[int, ...], str]]] = {
    "screen": ("score", (1,), "FP32"),
    "locator": ("map", (SIDE, SIDE), "UINT8"),
}
_MAX_BATCH: Final = 8
_AUTHOR: Final = "python -m training.train_inspection publish"


class Served(Struct, frozen=True):
    """One of the two models as it is served, all but its weights. A part passes below `threshold`."""

    name: str
    role: Role
    threshold: float
    pixels_per_mm: float = PIXELS_PER_MM

    @property
    def output(self) -> str:
        return OUTPUTS[self.role][0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the output, without the batch."""
        return OUTPUTS[self.role][1]


def config_text(served: Served) -> str:
    """Its config.pbtxt."""
    parameters = {
        "role": served.role,
        "threshold": f"{served.threshold:.6f}",
        "pixels_per_mm": f"{served.pixels_per_mm:g}",
    }
    picture, answer = ("UINT8", (SIDE, SIDE, 3)), (OUTPUTS[served.role][2], served.shape)
    config = onnx_config(served.name, {INPUT: picture}, {served.output: answer}, _MAX_BATCH, 1, parameters)
    return text_of(config, _AUTHOR)


def parse_config(text: str) -> Served:
    """The model that a config.pbtxt describes. Raises ModelError when it is none of the cascade's."""
    config = parsed(text)
    parameters = parameters_of(config)
    try:
        role = parameters["role"]
        if role not in OUTPUTS:
            raise ValueError(f"role {role!r}")
        return Served(config.name, role, float(parameters["threshold"]), float(parameters["pixels_per_mm"]))
    except (KeyError, ValueError) as error:
        raise ModelError(f"config.pbtxt: {type(error).__name__} {error}") from None
