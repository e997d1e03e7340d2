"""What the served fusion network promises, whatever backbone is inside.

Inputs: `image` uint8 [N, HEIGHT, WIDTH, 3] RGB, letterboxed; `h` and `c` float32 [N, STATE], what it remembers of a
camera: zeros before the first picture, then what it answered to the one before. Outputs: `state` float32 [N, classes],
probabilities; `next_h` and `next_c`, as `h` and `c` (ONNX lets no output have an input's name). The server remembers
nothing, so that rows of a batch may be different cameras, and a camera goes on wherever its state is.

Classes, letterbox and the rate of pictures that it has learnt from are in `config.pbtxt`.
"""

from typing import Final

from training import stateful
from training.stateful import Kind, Stateful

INPUTS: Final = ("image", "h", "c")
OUTPUTS: Final = ("state", "next_h", "next_c")
_KIND: Final = Kind("fusion", INPUTS, OUTPUTS, "python -m training.train_fusion publish")


class Served(Stateful, frozen=True):
    state: int
    """floats in `h`, and as many in `c`"""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
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
    return stateful.config_text(served, _KIND)


def parse_config(text: str) -> Served:
    """The model that a config.pbtxt describes. Raises ModelError when it is none of these."""
    return stateful.parse_config(text, _KIND, lambda shapes, common: Served(state=shapes["h"][0], **common))
