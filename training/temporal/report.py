"""What is said of the detector with a memory on its card. Needs no PyTorch."""

from typing import Final

from msgspec import Struct

from training.hard_clips.gain import Compared

AIM: Final = 0.12
"""of the baseline's mAP50, gained"""


class Report(Struct, frozen=True):
    """`[0]` with memory, `[1]` the baseline. `parts`: by kind of picture, ALL among them; a picture may be of
    several."""

    scenes: int
    parts: dict[str, Compared]
    plain50: dict[str, float]
    """mAP50 of the bundled detector itself, by kind of picture"""
    by_class: dict[str, tuple[float, float]]
    """mAP50-95 of all pictures"""
    milliseconds: tuple[float, float]
    """median of one picture on one thread, CPU"""
    bytes: int
