"""What is given back to a network with a camera's next picture."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision.memory import FORGOTTEN_NS, Memory, forgotten, recalled, remembered

SHAPE = (2, 3, 4)
VALUES = np.linspace(-1, 1, 24, dtype=np.float32).reshape(SHAPE)


@settings(deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=24, max_size=24))
def test_it_comes_back_from_a_saved_state_bit_for_bit(values: list[float]) -> None:
    kept = np.array(values, np.float32).reshape(SHAPE)
    saved = msgspec.json.decode(msgspec.json.encode(remembered(kept, 7)), type=Memory)
    assert recalled(saved, 8, SHAPE).tobytes() == kept.tobytes()


def test_without_a_picture_for_long_it_is_gone() -> None:
    memory = remembered(VALUES, 1_000_000_000)
    assert recalled(memory, 1_000_000_000 + FORGOTTEN_NS, SHAPE).any()
    assert not recalled(memory, 1_000_000_001 + FORGOTTEN_NS, SHAPE).any()


def test_it_is_gone_at_the_same_times_wherever_a_reading_began() -> None:
    times = [second * 500_000_000 for second in range(200)]
    begins = [now for before, now in pairwise(times) if forgotten(before, now)]
    assert begins == [30_000_000_000, 60_000_000_000, 90_000_000_000]


@pytest.mark.parametrize("memory", [None, remembered(VALUES, 0), remembered(VALUES[:1], 5)])
def test_where_there_is_nothing_or_another_networks_it_is_empty(memory: Memory | None) -> None:
    given_back = recalled(memory, 10, (2, 3, 5))
    assert given_back.shape == (2, 3, 5)
    assert given_back.dtype == np.float32
    assert not given_back.any()
