"""Whether two arms differ, by permutation; SciPy does the counting.

Paired: the same windows seen by both. If nothing differs each pair may be turned round, so the signs of the differences
are permuted (Fisher, The Design of Experiments, 1935, section 21). Unpaired: whole cameras are dealt to the arms, so
cameras are permuted between them; windows of one camera are no independent witnesses. All permutations are gone through
where there are fewer than 10 000, else so many are drawn with a seed.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import stats

ALPHA: Final = 0.05
"""a difference where there is none is claimed once in twenty times"""
MIN_WINDOWS: Final = 20
"""that both have seen; or of each arm. Below nothing is claimed."""
_RESAMPLES: Final = 9_999
_BATCH: Final = 500
"""permutations at a time: memory stays bounded"""

Floats = NDArray[np.float64]


class Effect(Struct, frozen=True):
    """B's mean less A's."""

    mean_a: float | None
    mean_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    """95% confidence interval of the difference, by Student's t (paired) or Welch's (unpaired)"""
    p: float | None
    """two-sided; null: not enough data for a test"""
    units: int
    """pairs of windows, or cameras"""
    missing: str = ""
    """what there is too little of; empty: enough"""

    @property
    def significant(self) -> bool:
        return self.p is not None and self.p < ALPHA


def paired(a: Sequence[float], b: Sequence[float], seed: int) -> Effect:
    """a[i] and b[i] are of the same window."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    differences = second - first
    low, high = _interval(stats.ttest_1samp, differences) if len(differences) > 1 else (None, None)
    missing, p = "", None
    if len(differences) < MIN_WINDOWS:
        missing = f"{len(differences)} windows, {MIN_WINDOWS} are wanted"
    else:
        # turning a pair round in which nothing differs changes nothing
        moved = differences[differences != 0.0]
        p = _permuted((moved, np.zeros_like(moved)), "samples", seed) if len(moved) else 1.0
    return _effect(first, second, low, high, p, len(differences), missing)


def unpaired(a: Sequence[float], b: Sequence[float], seed: int, tests: int = 1) -> Effect:
    """Of each camera its mean. `tests`: how many are made together, of which the least p must still be reachable."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    low, high = _interval(stats.ttest_ind, first, second) if min(len(first), len(second)) > 1 else (None, None)
    missing, p = "", None
    deals = math.comb(len(first) + len(second), len(first))
    if 2 / deals >= ALPHA / tests:
        missing = f"{len(first)} and {len(second)} cameras: no split of so few could show a difference"
    else:
        p = _permuted((first, second), "independent", seed)
    return _effect(first, second, low, high, p, len(first) + len(second), missing)


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted for being many: Holm 1979, A simple sequentially rejective multiple test procedure."""
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, at in enumerate(sorted(range(len(ps)), key=lambda at: ps[at])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[at]))
        adjusted[at] = largest
    return adjusted


def _permuted(samples: tuple[Floats, Floats], kind: str, seed: int) -> float:
    found = stats.permutation_test(
        samples,
        _difference,
        permutation_type=kind,
        vectorized=True,
        n_resamples=_RESAMPLES,
        batch=_BATCH,
        alternative="two-sided",
        rng=np.random.default_rng(seed),
    )
    return min(1.0, float(found.pvalue))


def _difference(first: Floats, second: Floats, axis: int) -> Floats:
    difference: Floats = np.mean(second, axis=axis) - np.mean(first, axis=axis)
    return difference


def _interval(test: Any, *samples: Floats) -> tuple[float, float]:
    """Where nothing varies, the difference itself."""
    if all(np.ptp(sample) == 0 for sample in samples):
        difference = float(np.mean(samples[-1]) - (np.mean(samples[0]) if len(samples) == 2 else 0.0))
        return difference, difference
    with warnings.catch_warnings():
        # cameras of one arm that are all alike vary by a last digit, which SciPy thinks too little to square: it is
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        if len(samples) == 1:
            found = test(samples[0], 0.0).confidence_interval(0.95)
        else:
            found = test(samples[1], samples[0], equal_var=False).confidence_interval(0.95)
    return float(found.low), float(found.high)


def _effect(
    first: Floats, second: Floats, low: float | None, high: float | None, p: float | None, units: int, missing: str
) -> Effect:
    means = [float(np.mean(sample)) if len(sample) else None for sample in (first, second)]
    both = means[0] is not None and means[1] is not None
    difference = float(np.mean(second) - np.mean(first)) if both else None
    return Effect(means[0], means[1], difference, low, high, p, units, missing)
