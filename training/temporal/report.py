"""What is said of the detector with a memory on its card. Needs no PyTorch."""

from typing import Final

from msgspec import Struct

ALL: Final = "all"
AIM: Final = 0.12
"""of the baseline's mAP50, gained"""


class Gain(Struct, frozen=True):
    """Share of the baseline's that is gained, with the 95% interval of a bootstrap over scenes: pictures of one
    scene resemble each other (Efron and Tibshirani, 1993)."""

    share: float
    low: float
    high: float


class Compared(Struct, frozen=True):
    """Of some of the pictures: `[0]` with memory, `[1]` the baseline."""

    pictures: int
    objects: int
    """that are wanted"""
    map50: tuple[float, float]
    map50_95: tuple[float, float]
    gain50: Gain
    """of mAP50"""


class Report(Struct, frozen=True):
    """`parts`: by kind of picture, ALL among them; a picture may be of several."""

    scenes: int
    parts: dict[str, Compared]
    by_class: dict[str, tuple[float, float]]
    """mAP50-95 of all pictures"""
    milliseconds: tuple[float, float]
    """median of one picture on one thread, CPU"""
    bytes: int
