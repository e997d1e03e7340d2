"""What a scene is doing, over time, with answers made by hand."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision.activity import Answer, Change, State, due, initial, memory, step
from vision.memory import FORGOTTEN_NS

LABELS = ("empty", "standing", "flowing", "crossing")
TICK = 250_000_000
SIZE = 6


def answer(at: int, activity: str) -> Answer:
    probabilities = np.full(len(LABELS), 0.1, np.float32)
    probabilities[LABELS.index(activity)] = 0.7
    kept = np.linspace(-1, 1, SIZE, dtype=np.float32) * np.float32(at % 7 + 0.1)
    return Answer(at, probabilities, kept, kept * 3)


def run(said: list[str], state: State | None = None, first: int = 0) -> tuple[State, list[Change]]:
    state, changes = state or initial(), []
    for place, activity in enumerate(said, first):
        state, change = step(state, answer(TICK * (place + 1), activity), LABELS)
        changes += [change] if change else []
    return state, changes


def test_a_change_is_told_once_it_has_held() -> None:
    _, changes = run(["empty"] * 5 + ["flowing"] * 5)
    assert [(change.before, change.activity) for change in changes] == [("", "empty"), ("empty", "flowing")]
    assert changes[1] == Change("flowing", 6 * TICK, 9 * TICK, "empty", TICK)


def test_what_does_not_hold_is_not_told() -> None:
    _, changes = run(["empty"] * 5 + ["flowing", "flowing", "empty"] * 4)
    assert [change.activity for change in changes] == ["empty"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(LABELS), min_size=1, max_size=30), st.integers(0, 30))
def test_cut_anywhere_and_resumed_from_its_saved_state_it_tells_the_same(said: list[str], cut: int) -> None:
    whole, changes = run(said)
    before, first = run(said[:cut])
    restored = msgspec.json.decode(msgspec.json.encode(before), type=State)
    assert restored == before
    after, then = run(said[cut:], restored, len(said[:cut]))
    assert (after, first + then) == (whole, changes)


def test_the_memory_comes_back_bit_for_bit() -> None:
    given_back = answer(TICK, "empty")
    state, _ = step(initial(), given_back, LABELS)
    saved = msgspec.json.decode(msgspec.json.encode(state), type=State)
    h, c = memory(saved, 2 * TICK, SIZE)
    np.testing.assert_array_equal(h, given_back.h)
    np.testing.assert_array_equal(c, given_back.c)


def test_there_is_nothing_to_remember_at_first_and_after_a_gap() -> None:
    state, _ = run(["flowing"])
    for remembered in (memory(initial(), TICK, SIZE), memory(state, TICK + FORGOTTEN_NS + 1, SIZE)):
        for kept in remembered:
            np.testing.assert_array_equal(kept, np.zeros(SIZE, np.float32))


def test_a_gap_does_not_count_as_holding() -> None:
    state, _ = run(["empty"] * 5 + ["flowing"])
    late = 6 * TICK + FORGOTTEN_NS + 1
    assert step(state, answer(late, "flowing"), LABELS)[1] is None


def test_which_pictures_are_due_depends_on_their_times_alone() -> None:
    times = [round(place * 1e9 / 30) + 10**18 for place in range(60)]
    begun, late = State(), State()
    seen: tuple[list[int], list[int]] = ([], [])
    for at in times:
        if due(begun, at, 4.0):
            begun, _ = step(begun, answer(at, "empty"), LABELS)
            seen[0].append(at)
        if at >= times[20] and due(late, at, 4.0):
            late, _ = step(late, answer(at, "empty"), LABELS)
            seen[1].append(at)
    assert len(seen[0]) == 8
    assert set(seen[1][1:]) <= set(seen[0])


def test_what_another_network_said_is_not_remembered() -> None:
    state, _ = run(["flowing"])
    for kept in memory(state, 2 * TICK, 480):
        np.testing.assert_array_equal(kept, np.zeros(480, np.float32))


def test_wherever_a_reading_began_half_a_minute_later_the_memory_is_the_same() -> None:
    turn = 30_000_000_000
    state, _ = step(initial(), answer(turn - TICK, "flowing"), LABELS)
    assert memory(state, turn - 1, SIZE)[0].any()
    assert not memory(state, turn, SIZE)[0].any()


@pytest.mark.parametrize("probabilities", [[0.5, 0.5], [0.5, 0.5, float("nan"), 0.0]])
def test_answers_that_are_none_are_refused(probabilities: list[float]) -> None:
    kept = np.zeros(SIZE, np.float32)
    with pytest.raises(ValueError, match="for the activities empty, standing"):
        step(initial(), Answer(TICK, np.array(probabilities, np.float32), kept, kept), LABELS)
