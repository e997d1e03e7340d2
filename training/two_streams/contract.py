"""What the served two streams promise.

Inputs: `image` uint8 [N, HEIGHT, WIDTH, 3] RGB, letterboxed; `flow` int8 [N, ROWS, COLUMNS, 2 * STEPS], how things have
moved in the camera's last pictures, as `vision.optical_flow.seen` keeps it from one letterboxed picture to the next.
Output: `detections` float32 [N, K, 6] as every detector's. The server remembers nothing.

Classes, letterbox and the rate of pictures that it has learnt from are in `config.pbtxt`.
"""

from typing import Final

from training import stateful
from training.contract import ROW
from training.stateful import Kind, Stateful

INPUTS: Final = ("image", "flow")
OUTPUTS: Final = ("detections",)
_KIND: Final = Kind("two-streams", INPUTS, OUTPUTS, "python -m training.train_two_streams publish", {"flow": "INT8"})


class Served(Stateful, frozen=True):
    flow: tuple[int, ...]
    """shape of what is known of one camera's last pictures"""
    rows: int
    """of `detections`"""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"image": (self.height, self.width, 3), "flow": self.flow, "detections": (self.rows, ROW)}


def config_text(served: Served) -> str:
    """Its config.pbtxt."""
    return stateful.config_text(served, _KIND)


def parse_config(text: str) -> Served:
    """The model that a config.pbtxt describes. Raises ModelError when it is none of these."""
    return stateful.parse_config(
        text, _KIND, lambda shapes, common: Served(flow=shapes["flow"], rows=shapes["detections"][0], **common)
    )
