"""Statistics held against known values, and against chance over many seeds."""

import math
import os
import random

import numpy as np
import pytest
from scipy import stats

from experiments.significance import ALPHA, MIN_WINDOWS, holm, paired, unpaired

SEED = int(os.environ.get("REWATCH_TEST_SEED") or random.randrange(10**6))


@pytest.fixture
def dice() -> np.random.Generator:
    print(f"seed {SEED}; repeat with REWATCH_TEST_SEED={SEED}")
    return np.random.default_rng(SEED)


def most(trials: int, chance: float) -> int:
    """So many hits are exceeded by chance once in a hundred thousand runs."""
    return int(stats.binom.ppf(1 - 1e-5, trials, chance))


def test_twenty_pairs_of_which_six_differ_one_way() -> None:
    """Of the 64 ways to turn six pairs round, two are as extreme."""
    found = paired([0.0] * 20, [1.0] * 6 + [0.0] * 14, seed=1)
    assert found.p == pytest.approx(2 / 64)
    assert (found.mean_a, found.mean_b, found.difference) == (0.0, 0.3, 0.3)


def test_four_cameras_against_four() -> None:
    """Of the 70 ways to deal eight cameras, two are as extreme."""
    found = unpaired([1.0, 2.0, 3.0, 4.0], [11.0, 12.0, 13.0, 14.0], seed=1)
    assert found.p == pytest.approx(2 / 70)
    assert found.difference == pytest.approx(10.0)


def test_intervals_are_student_s_and_welch_s(dice: np.random.Generator) -> None:
    a, b = dice.normal(3, 1, 25), dice.normal(4, 2, 25)
    difference = b - a
    half = stats.t.ppf(0.975, 24) * difference.std(ddof=1) / math.sqrt(25)
    found = paired(a.tolist(), b.tolist(), seed=1)
    assert (found.low, found.high) == pytest.approx((difference.mean() - half, difference.mean() + half))
    parts = [sample.var(ddof=1) / len(sample) for sample in (a, b[:15])]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 24 + parts[1] ** 2 / 14)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(parts))
    mean = b[:15].mean() - a.mean()
    found = unpaired(a.tolist(), b[:15].tolist(), seed=1)
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half))


def test_drawn_permutations_agree_with_the_normal_limit(dice: np.random.Generator) -> None:
    a = dice.normal(0, 1, 400)
    b = a + dice.normal(0.08, 1, 400)
    # p of one seed has a standard deviation of up to 0.01, that of 9,999 draws; the mean of nine a third of it
    ps = [paired(a.tolist(), b.tolist(), seed).p for seed in range(9)]
    assert np.mean([p for p in ps if p is not None]) == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.03)
    assert None not in ps


def test_the_same_seed_gives_the_same_answer(dice: np.random.Generator) -> None:
    a, b = dice.poisson(3, 200).tolist(), dice.poisson(3, 200).tolist()
    assert paired(a, b, seed=5) == paired(a, b, seed=5)
    assert unpaired(a, b, seed=5) == unpaired(a, b, seed=5)


def test_a_planted_difference_of_pairs_is_found(dice: np.random.Generator) -> None:
    """A misses a fifth of what B finds."""
    found = 0
    for seed in range(12):
        b = dice.poisson(4, 120)
        a = dice.binomial(b, 0.8)
        effect = paired(a.tolist(), b.tolist(), seed)
        found += effect.significant and (effect.difference or 0.0) > 0
    assert found == 12


def test_a_planted_difference_of_cameras_is_found(dice: np.random.Generator) -> None:
    found = sum(
        unpaired(dice.normal(20, 3, 6).tolist(), dice.normal(40, 3, 6).tolist(), seed).significant for seed in range(12)
    )
    assert found == 12


def test_no_difference_is_claimed_no_oftener_than_promised(dice: np.random.Generator) -> None:
    trials, pairs, cameras = 150, 0, 0
    for seed in range(trials):
        traffic = dice.gamma(2, 0.5, 24)
        pairs += paired(dice.poisson(traffic).tolist(), dice.poisson(traffic).tolist(), seed).significant
        busy = dice.gamma(2, 10, 10)
        cameras += unpaired(busy[:5].tolist(), busy[5:].tolist(), seed).significant
    print(f"claimed wrongly: {pairs} and {cameras} of {trials}")
    assert pairs <= most(trials, ALPHA)
    assert cameras <= most(trials, ALPHA)


def test_too_little_is_said_and_not_tested() -> None:
    few = paired([0.0] * (MIN_WINDOWS - 1), [9.0] * (MIN_WINDOWS - 1), seed=1)
    assert (few.p, few.missing) == (None, "19 windows, 20 are wanted")
    assert not few.significant
    assert few.difference == 9.0
    three = unpaired([1.0, 2.0, 3.0], [11.0, 12.0, 13.0], seed=1)
    assert three.p is None
    assert three.missing.startswith("3 and 3 cameras")
    many = unpaired([1.0, 2.0, 3.0, 4.0], [11.0, 12.0, 13.0, 14.0], seed=1, tests=2)
    assert many.p is None
    nothing = paired([], [], seed=1)
    assert (nothing.mean_a, nothing.difference, nothing.low) == (None, None, None)
    assert unpaired([], [1.0], seed=1).missing


def test_where_nothing_differs_there_is_no_difference() -> None:
    same = paired([2.0] * 30, [2.0] * 30, seed=1)
    assert (same.p, same.low, same.high) == (1.0, 0.0, 0.0)
    assert unpaired([2.0] * 5, [2.0] * 5, seed=1).p == 1.0


def test_holm_s_own_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_an_arm_of_cameras_that_are_alike_to_a_last_digit() -> None:
    alike = [0.1 + 0.2, 0.3, 0.3, 0.3, 0.3]
    effect = unpaired(alike, [1.0, 2.0, 3.0, 4.0, 5.0], 0)
    assert effect.low is not None
    assert effect.high is not None
    assert effect.difference == pytest.approx(2.7)
    assert effect.low < 2.7 < effect.high
