"""Who is analysed less, and when no more: bounded, in order of priority, back to nothing, without swinging."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from processors.shedding import (
    KEYFRAMES_ONLY,
    LONGEST_PATIENCE_SECONDS,
    PATIENCE_SECONDS,
    SETTLE_SECONDS,
    TRIAL_SECONDS,
    Load,
    Shedding,
    step,
)

BUDGET = 1.0


def walk(state: Shedding, loads: list[Load], begin: float, seconds: float) -> Shedding:
    """The same loads at each quarter of a second."""
    for tick in range(round(seconds * 4)):
        state = step(state, loads, begin + tick / 4, BUDGET)
    return state


def test_the_least_camera_goes_first_and_every_step_is_given_time() -> None:
    slow = [Load("full", 2.0, 0, 9), Load("empty", 2.0, 0, 0), Load("gate", 2.0, 5, 0)]
    state, order = Shedding(), []
    for tick in range(200):
        before, state = state, step(state, slow, tick / 4, BUDGET)
        order += [(tick / 4, camera) for camera in state.levels if state.levels[camera] > before.levels.get(camera, 0)]
    assert [camera for _, camera in order] == ["empty", "full"] * 3 + ["gate"] * 3
    times = [at for at, _ in order]
    assert all(later - earlier >= SETTLE_SECONDS for earlier, later in pairwise(times))


def test_the_most_important_camera_comes_back_first() -> None:
    state = walk(Shedding(), [Load("a", 2.0, 0), Load("gate", 2.0, 5)], 0, 60)
    assert state.levels == {"a": KEYFRAMES_ONLY, "gate": KEYFRAMES_ONLY}
    order = []
    for tick in range(400):
        before, state = state, step(state, [Load("a", 0.1, 0), Load("gate", 0.1, 5)], 60 + tick / 4, BUDGET)
        order += [camera for camera in state.levels if state.levels[camera] < before.levels[camera]]
    assert order == ["gate"] * 3 + ["a"] * 3


def test_under_the_budget_but_not_well_under_it_everything_stays() -> None:
    state = walk(Shedding(), [Load("a", 2.0)], 0, 1)
    assert walk(state, [Load("a", 0.8)], 1, 600).levels == {"a": 1}


def test_who_is_new_comes_after_those_who_are_shed_already() -> None:
    state = walk(Shedding(), [Load("gate", 2.0, 5)], 0, 1)
    assert step(state, [Load("gate", 0.8, 5), Load("yard", 0.8, 0)], 2, BUDGET).levels == {
        "gate": 1,
        "yard": KEYFRAMES_ONLY,
    }


CAMERAS = st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 30)), min_size=1, max_size=6)


@given(CAMERAS, st.lists(st.tuples(st.floats(0, 5), st.integers(1, 40)), max_size=30))
def test_levels_are_bounded_follow_priority_and_come_back(
    cameras: list[tuple[int, int]], stretches: list[tuple[float, int]]
) -> None:
    state, now = Shedding(), 0.0

    def loads(seconds: float) -> list[Load]:
        return [Load(f"c{number}", seconds, priority, objects) for number, (priority, objects) in enumerate(cameras)]

    for seconds, ticks in stretches:
        for _ in range(ticks):
            before, now = state, now + 0.25
            state = step(state, loads(seconds), now, BUDGET)
            moves = [state.levels[name] - before.levels.get(name, 0) for name in state.levels]
            assert sum(map(abs, moves)) <= 1
            assert all(0 <= level <= KEYFRAMES_ONLY for level in state.levels.values())
            for one in loads(seconds):
                for other in loads(seconds):
                    if one.priority < other.priority and state.levels[other.camera] > 0:
                        assert state.levels[one.camera] == KEYFRAMES_ONLY
    longest = LONGEST_PATIENCE_SECONDS * 2 + 2 * PATIENCE_SECONDS * KEYFRAMES_ONLY * len(cameras)
    assert set(walk(state, loads(0.0), now, longest).levels.values()) == {0}


@settings(max_examples=15)
@given(CAMERAS, st.floats(0.1, 3.0))
def test_a_lasting_load_is_met_without_swinging(cameras: list[tuple[int, int]], too_much: float) -> None:
    """A worker that would need `too_much` seconds for each: it falls behind while what is left is more than it can do,
    and catches up otherwise."""
    work, seconds = (1.0, 0.5, 0.25, 0.1), 1800
    state, behind, trials = Shedding(), 0.0, 0
    for tick in range(4 * seconds):
        levels = list(state.levels.values()) or [0] * len(cameras)
        asked = too_much * sum(work[level] for level in levels) / len(levels)
        behind = max(0.0, behind + (asked - 1.0) / 4)
        loads = [Load(f"c{n}", behind + 0.1, *camera) for n, camera in enumerate(cameras)]
        before, state = state, step(state, loads, tick / 4, BUDGET)
        trials += state.raised > before.raised and before.lowered > before.raised
    # what does not even last for TRIAL_SECONDS is tried twice as seldom each time: after 10, 20, 40 ... 320 seconds
    assert trials <= 6 + seconds / (TRIAL_SECONDS + PATIENCE_SECONDS)
    if too_much < 1.0:
        assert set(state.levels.values()) <= {0}
