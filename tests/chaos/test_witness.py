"""How long a recovery took is read off the silences between results."""

import math

import pytest

from tests.chaos.witness import recovery

STEADY = [number * 0.25 for number in range(81)]
"""20 s of results"""


def _without(begin: float, end: float) -> list[float]:
    return [at for at in STEADY if not begin < at < end]


def test_nothing_was_interrupted() -> None:
    assert recovery(STEADY, 5.1, math.inf) == 0.0


@pytest.mark.parametrize("begin", [5.0, 5.5, 8.0])
def test_results_that_were_on_their_way_are_no_recovery(begin: float) -> None:
    assert recovery(_without(begin, 12.0), 5.1, math.inf) == pytest.approx(6.9)


def test_the_longest_of_several_silences_counts() -> None:
    arrivals = [at for at in _without(6.0, 9.0) if not 10.0 < at < 11.5]
    assert recovery(arrivals, 5.1, math.inf) == pytest.approx(3.9)


def test_a_silence_before_the_fault_is_not_its_own() -> None:
    assert recovery(_without(1.0, 4.0), 5.1, math.inf) == 0.0


def test_nor_one_that_another_fault_made() -> None:
    assert recovery(_without(16.0, 19.0), 5.1, until=15.9) == 0.0


def test_nothing_is_said_when_another_fault_comes_soon() -> None:
    assert recovery(_without(8.0, 12.0), 5.1, until=7.9) is None


def test_nor_one_that_comes_much_later() -> None:
    assert recovery(_without(16.0, 19.0), 5.1, math.inf) == 0.0


@pytest.mark.parametrize("since", [19.5, 20.0, 30.0])
def test_nothing_is_said_of_the_end(since: float) -> None:
    assert recovery(STEADY, since, math.inf) is None


def test_nothing_is_said_of_a_camera_without_results() -> None:
    assert recovery([], 5.1, math.inf) is None


def test_a_silence_that_never_ended_is_no_recovery() -> None:
    assert recovery([at for at in STEADY if at < 5.5], 5.1, math.inf) is None
