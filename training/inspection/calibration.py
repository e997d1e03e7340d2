"""A threshold that keeps a promise: at most so many defective parts slip through, said with a stated confidence."""

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.stats import beta


class CalibrationError(ValueError):
    """The promise cannot be kept with what there is; the text says what would be needed."""


class Calibration(Struct, frozen=True):
    """Parts below `threshold` pass. Of `count` defective calibration parts `misses` do; with `confidence` the rate
    among all parts like them is at most `bound`."""

    threshold: float
    misses: int
    count: int
    bound: float
    confidence: float
    required: float


def upper_bound(misses: int, count: int, confidence: float = 0.95) -> float:
    """One-sided upper limit of a rate of which `misses` of `count` were seen (Clopper and Pearson, 1934)."""
    if not 0 <= misses <= count or count < 1:
        raise CalibrationError(f"{misses} misses of {count} parts: that cannot be")
    return 1.0 if misses == count else float(beta.ppf(confidence, misses + 1, count - misses))


def calibrate(defective: NDArray[np.floating], required: float, confidence: float = 0.95) -> Calibration:
    """The highest threshold whose miss rate is at most `required`, from the scores [n] of defective parts.

    The number k of parts that may fall below follows from n alone, and the threshold is the (k + 1)-th lowest score:
    the rate below such an order statistic exceeds the bound of (k, n) with probability 1 - confidence at most, whatever
    the scores' distribution. Raises CalibrationError for too few parts.
    """
    count = len(defective)
    if not 0 < required < 1 or not 0 < confidence < 1:
        raise CalibrationError(f"miss rate {required}, confidence {confidence}: both lie between 0 and 1")
    needed = math.ceil(math.log(1 - confidence) / math.log(1 - required))
    if count < needed:
        raise CalibrationError(f"{count} defective parts cannot prove a miss rate of {required:g}: {needed} are needed")
    below = allowed(count, required, confidence)
    threshold = float(np.sort(defective)[below])
    misses = int((defective < threshold).sum())
    return Calibration(threshold, misses, count, upper_bound(below, count, confidence), confidence, required)


def allowed(count: int, required: float, confidence: float = 0.95) -> int:
    """How many of `count` parts may be missed while the upper bound stays within `required`; -1: not even none."""
    below = -1
    while below + 1 < count and upper_bound(below + 1, count, confidence) <= required:
        below += 1
    return below
