"""What is said of the two streams on their card. Needs no PyTorch."""

from typing import Final

from msgspec import Struct

from training.hard_clips.gain import Compared

OCCLUDED: Final = "occluded"
HIDDEN: Final = "hidden objects alone"
"""of the occluded pictures: nothing else is wanted, other objects are ignored"""


class Report(Struct, frozen=True):
    """`[0]` both streams, `[1]` the baseline. `parts`: by kind of picture, ALL, OCCLUDED and HIDDEN among them; a
    picture may be of several."""

    scenes: int
    parts: dict[str, Compared]
    plain50: dict[str, float]
    """mAP50 of the bundled detector itself, by kind of picture"""
    by_class: dict[str, tuple[float, float]]
    """mAP50-95 of all pictures"""
    still50: float
    """mAP50 of all pictures by both streams, given no flow"""
    milliseconds: tuple[float, float]
    """median of one picture on one thread, CPU: the network, and its flow before"""
    bytes: int
