"""What a model is to be trained from, for and with."""

from pathlib import Path

from msgspec import Struct

from training.course.hyperparameters import Hyperparameters


class Order(Struct, frozen=True):
    """Sizes are (width, height) in pixels. None: chosen by what there is."""

    name: str
    """of the model; where it is stored already, its next version is made"""
    folder: Path
    """pictures with labels"""
    format: str | None = None
    """of the folder, one of training.datasets.reading.READERS"""
    size: tuple[int, int] | None = None
    start: Path | None = None
    """folder of a stored model to go on from"""
    rehearse: Path | None = None
    """pictures with labels of what it knew before"""
    rehearse_share: float = 0.3
    """of what is shown"""
    steps: int | None = None
    batch: int = 16
    peak_rate: float | None = None
    recipe: Hyperparameters | None = None
    """None: the usual one; of the peak rate, `peak_rate` is the last word"""
    seed: int = 1
    threads: int = 2
    every: int = 25
    """steps between checkpoints: a minute at most"""
    at_least: float = 0.01
    """mAP50 on the test part below which nothing is published"""
    times_faster: float = 1.1
    """INT8 is served where it is so many times as fast, ..."""
    kept: float = 0.97
    """... and keeps so much of the mAP50-95 on the validation part"""
