"""What is said of the fusion network on its cards. Needs no PyTorch."""

from msgspec import Struct

from training.speed import Speed


class Scores(Struct, frozen=True):
    accuracy: float
    macro_f1: float
    """mean of the states' F1: a state that is rare counts as much"""
    f1: dict[str, float]
    confusion: tuple[tuple[int, ...], ...]
    """rows: what is true; columns: what was said"""


class Gain(Struct, frozen=True):
    """Accuracy of one network minus another's, with the 95% interval of a bootstrap over scenes: pictures of one scene
    resemble each other (Efron and Tibshirani, 1993)."""

    accuracy: float
    low: float
    high: float
    macro_f1: float


class Report(Struct, frozen=True):
    scenes: int
    pictures: int
    states: dict[str, int]
    """pictures of each"""
    fusion: Scores
    baseline: Scores
    """the same backbone and head without the LSTM: single pictures"""
    gain: Gain


class Int8Report(Struct, frozen=True):
    calibration_pictures: int
    scores: Scores
    lost: float
    """accuracy"""
    agreement: float
    """pictures of which both variants say the same"""
    resnet: Speed
    whole: Speed
    bytes_before: int
    bytes_after: int
    sizes: dict[str, Speed]
    """ResNets alone, so many channels wide in their first stage, by so many blocks a stage, weights by chance: how the
    ratio depends on the size"""
