from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.timeline import Timeline

TB = Fraction(1, 90_000)
STEP = 3600
NS = 10**9


def placed(
    pts: Sequence[int | None], live: bool = False, entries: Sequence[int] = (0,), arrivals: Sequence[float] = ()
) -> list[int]:
    timeline = Timeline(TB, live, Fraction(25))
    seconds = arrivals or [number / 25 for number in range(len(pts))]
    return [timeline.place(at, int(seconds[i] * NS), i in entries) for i, at in enumerate(pts)]


def test_a_sound_source_is_left_alone() -> None:
    decode_order = [0, 4 * STEP, 2 * STEP, STEP, 3 * STEP, 8 * STEP, 6 * STEP, 5 * STEP, 7 * STEP]
    assert placed(decode_order) == decode_order
    assert placed(decode_order, live=True) == decode_order


def test_the_first_timestamp_is_missing_as_with_rtsp() -> None:
    assert placed([None, 3749, 7499, 11250], live=True) == [0, 3749, 7499, 11250]
    reordered = [None, 3 * STEP, STEP, 2 * STEP, 6 * STEP]
    assert placed(reordered, live=True) == [0, 3 * STEP, STEP, 2 * STEP, 6 * STEP]


def test_the_first_is_missing_and_the_clock_does_not_begin_at_zero() -> None:
    timeline = Timeline(TB, True, Fraction(25))
    got = [timeline.place(pts, 0, i == 0) for i, pts in enumerate([None, 2**31, 2**31 + STEP])]
    assert got == [0, STEP, 2 * STEP]
    assert timeline.jumps == 0


def test_missing_ones_in_between() -> None:
    assert placed([0, None, None, 3 * STEP, None]) == [0, STEP, 2 * STEP, 3 * STEP, 4 * STEP]


def test_all_missing() -> None:
    assert placed([None] * 4) == [0, STEP, 2 * STEP, 3 * STEP]


def test_twice_the_same() -> None:
    assert placed([0, STEP, STEP, 2 * STEP]) == [0, STEP, STEP + 1, 2 * STEP]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("restart", [0, -5 * STEP, 10 * STEP])
def test_restart_of_the_clock_at_a_keyframe(live: bool, restart: int) -> None:
    pts = [i * STEP for i in range(20)] + [restart + i * STEP for i in range(5)]
    assert placed(pts, live, entries=(0, 20)) == [i * STEP for i in range(25)]


def test_restart_of_the_clock_within_a_group() -> None:
    pts = [i * STEP for i in range(40)] + [i * STEP for i in range(5)]
    assert placed(pts, live=True) == [i * STEP for i in range(45)]


@pytest.mark.parametrize("bits", [32, 33])
def test_wrap(bits: int) -> None:
    first = 2**bits - 3 * STEP
    assert placed([(first + i * STEP) % 2**bits for i in range(6)], live=True) == [first + i * STEP for i in range(6)]


def test_a_live_clock_that_leaps_is_held_against_arrival() -> None:
    timeline = Timeline(TB, True, Fraction(25))
    assert [timeline.place(pts, i * NS // 25, False) for i, pts in enumerate([0, STEP, 10**9, 10**9 + STEP])] == [
        0,
        STEP,
        2 * STEP,
        3 * STEP,
    ]
    assert timeline.jumps == 1


def test_a_live_pause_is_a_pause() -> None:
    pts = [0, STEP, STEP + 20 * 90_000]
    assert placed(pts, live=True, arrivals=[0, 0.04, 20.04]) == pts


def test_a_file_may_pause_for_minutes_but_not_for_days() -> None:
    minutes = [0, STEP, 600 * 90_000]
    assert placed(minutes) == minutes
    assert placed([0, STEP, 30 * 3600 * 90_000]) == [0, STEP, 2 * STEP]


def test_a_live_source_without_any_timestamps_goes_by_arrival_over_pauses() -> None:
    assert placed([None, None, None], live=True, arrivals=[0, 0.04, 5.04]) == [0, STEP, STEP + 5 * 90_000]


def test_a_loop_follows_on() -> None:
    timeline = Timeline(TB, False, Fraction(25))
    for i in range(3):
        timeline.place(100 + i * STEP, 0, i == 0)
    timeline.follow_on()
    assert [timeline.place(100 + i * STEP, 0, i == 0) for i in range(3)] == [100 + i * STEP for i in range(3, 6)]
    assert timeline.jumps == 0


@given(st.lists(st.none() | st.integers(-(2**40), 2**40), max_size=60), st.booleans())
def test_whatever_comes_no_two_pictures_share_a_place(pts: list[int | None], live: bool) -> None:
    got = placed(pts, live)
    assert len(set(got)) == len(got)


@given(st.integers(0, 2**33 - 1), st.lists(st.integers(1, 90_000), min_size=1, max_size=40))
def test_distances_survive_a_wrap(first: int, steps: list[int]) -> None:
    true = [first]
    for step in steps:
        true.append(true[-1] + step)
    arrivals = [(at - first) / 90_000 for at in true]
    assert placed([at % 2**33 for at in true], live=True, arrivals=arrivals) == true
