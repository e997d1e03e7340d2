"""What the served detector with a memory promises.

Inputs: `image` uint8 [N, HEIGHT, WIDTH, 3] RGB, letterboxed; `memory` float32 [N, PICTURES, CHANNELS, ROWS, COLUMNS],
maps of features that it keeps of a camera: zeros before the first picture, then what it answered to the one before.
Outputs: `detections` float32 [N, K, 6] as every detector's; `next_memory`, as `memory` (ONNX lets no output have an
input's name). The server remembers nothing, so that rows of a batch may be different cameras, and a camera goes on
wherever its memory is.

Classes, letterbox and the rate of pictures that it has learnt from are in `config.pbtxt`.
"""

from typing import Final

from training import stateful
from training.contract import ROW
from training.stateful import Kind, Stateful

INPUTS: Final = ("image", "memory")
OUTPUTS: Final = ("detections", "next_memory")
_KIND: Final = Kind("temporal", INPUTS, OUTPUTS, "python -m training.train_temporal publish")


class Served(Stateful, frozen=True):
    memory: tuple[int, ...]
    """shape of what is kept of one camera"""
    rows: int
    """of `detections`"""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            "image": (self.height, self.width, 3),
            "memory": self.memory,
            "detections": (self.rows, ROW),
            "next_memory": self.memory,
        }


def config_text(served: Served) -> str:
    """Its config.pbtxt."""
    return stateful.config_text(served, _KIND)


def parse_config(text: str) -> Served:
    """The model that a config.pbtxt describes. Raises ModelError when it is none of these."""
    return stateful.parse_config(
        text, _KIND, lambda shapes, common: Served(memory=shapes["memory"], rows=shapes["detections"][0], **common)
    )
