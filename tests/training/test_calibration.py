"""The threshold's promise: bounds from the tables, and kept on scores that it was not chosen on."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from training.inspection.calibration import CalibrationError, allowed, calibrate, upper_bound
from training.inspection.levelling import level


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


def scores(
    rng: np.random.Generator, clumsy: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """A screen and a locator that both tell parts apart; the locator misses the share `clumsy` of the defective."""
    defective = np.arange(4000) % 2 == 0
    screen, locator = (rng.normal(np.where(defective, 4.0, -4.0), 1.5) for _ in range(2))
    blind = defective & (rng.random(4000) < clumsy)
    return screen, np.where(blind, locator - 5, locator), defective


def test_a_locator_that_misses_more_is_asked_less() -> None:
    rng = np.random.default_rng(5)
    sharp, clumsy = (level(*scores(rng, share), 0.003) for share in (0.0, 0.02))
    assert clumsy.shift > sharp.shift
    for each in (sharp, clumsy):
        assert each.missed <= 0.003
        assert each.alarms <= 1 - each.passed


def test_no_shift_lets_notably_more_parts_pass() -> None:
    screen, locator, defective = scores(np.random.default_rng(6), 0.01)
    chosen = level(screen, locator, defective, 0.003)
    for shift in np.arange(-8, 8.01, 0.5):
        together = np.minimum(screen, locator + shift)
        threshold = np.sort(together[defective])[int(0.003 * defective.sum())]
        assert (screen[~defective] < threshold).mean() <= chosen.passed + 0.0051


def test_how_many_may_be_missed() -> None:
    assert [allowed(count, 0.005) for count in (100, 598, 1400, 2800)] == [-1, 0, 2, 7]
    assert upper_bound(7, 2800) <= 0.005 < upper_bound(8, 2800)
