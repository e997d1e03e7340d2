"""The threshold's promise: bounds from the tables, and kept on scores that it was not chosen on."""

import numpy as np
import pytest
from scipy.stats import binom

from training.inspection.calibration import CalibrationError, calibrate, upper_bound


@pytest.mark.parametrize(
    ("misses", "count", "bound"),
    # 1 - 0.05^(1/n) for none; the others from Clopper and Pearson's own tables (95% one-sided)
    [(0, 100, 0.029513), (0, 598, 0.004997), (1, 100, 0.046560), (5, 100, 0.102253), (10, 10, 1.0)],
)
def test_upper_bounds(misses: int, count: int, bound: float) -> None:
    assert upper_bound(misses, count) == pytest.approx(bound, abs=2e-6)


def test_the_bound_is_where_so_few_misses_become_unlikely() -> None:
    for misses, count in ((0, 50), (3, 400), (8, 3000)):
        bound = upper_bound(misses, count, 0.95)
        assert binom.cdf(misses, count, bound) == pytest.approx(0.05, rel=1e-6)


def test_as_many_parts_fall_below_as_the_bound_allows() -> None:
    scores = np.linspace(0, 1, 3000)
    chosen = calibrate(scores, 0.005)
    assert chosen.misses == 8
    assert chosen.bound <= 0.005 < upper_bound(9, 3000)
    assert chosen.threshold == scores[8]


def test_equal_scores_are_not_torn_apart() -> None:
    scores = np.array([0.1] * 4 + [0.2] * 20 + [0.9] * 2976)
    chosen = calibrate(scores, 0.005)
    assert (chosen.threshold, chosen.misses) == (0.2, 4)


def test_the_promise_is_kept_in_nineteen_of_twenty_draws() -> None:
    """True miss rate of a threshold chosen on 700 scores: the share of the distribution below it."""
    rng = np.random.default_rng(11)
    broken = sum(calibrate(rng.random(700), 0.01).threshold > 0.01 for _ in range(1000))
    assert broken < 75  # 50 are expected; 75 is over three standard deviations more


def test_too_few_parts_prove_nothing() -> None:
    with pytest.raises(
        CalibrationError, match=r"500 defective parts cannot prove a miss rate of 0\.005: 598 are needed"
    ):
        calibrate(np.ones(500), 0.005)
    assert calibrate(np.ones(598), 0.005).misses == 0


@pytest.mark.parametrize(("required", "confidence"), [(0.0, 0.95), (1.0, 0.95), (0.01, 1.0), (float("nan"), 0.95)])
def test_what_cannot_be_promised_is_refused(required: float, confidence: float) -> None:
    with pytest.raises(CalibrationError, match="between 0 and 1"):
        calibrate(np.ones(1000), required, confidence)


@pytest.mark.parametrize(("misses", "count"), [(-1, 10), (11, 10), (0, 0)])
def test_counts_that_cannot_be_are_refused(misses: int, count: int) -> None:
    with pytest.raises(CalibrationError, match="cannot be"):
        upper_bound(misses, count)
