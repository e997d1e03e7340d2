"""What a network gains against its baseline. Needs no PyTorch."""

from typing import Final

from msgspec import Struct

ALL: Final = "all"


class Gain(Struct, frozen=True):
    """Share of the baseline's that is gained, with the 95% interval of a bootstrap over scenes: pictures of one
    scene resemble each other (Efron and Tibshirani, 1993)."""

    share: float
    low: float
    high: float


class Compared(Struct, frozen=True):
    """Of some of the pictures: `[0]` the network, `[1]` its baseline."""

    pictures: int
    objects: int
    """that are wanted"""
    map50: tuple[float, float]
    map50_95: tuple[float, float]
    gain50: Gain
    """of mAP50"""
