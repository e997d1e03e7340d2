"""Pacing, with a clock that only moves when somebody sleeps."""

from replay.pace import Pace

SECOND_NS = 10**9


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def paced(speed: float, clock: Clock) -> Pace:
    return Pace(speed, 50 * SECOND_NS, lambda: clock.now, clock.sleep)


async def test_capture_time_passes_as_fast_as_wanted() -> None:
    clock = Clock()
    pace = paced(2.0, clock)
    for second in (40, 49, 50, 52, 53):
        await pace.wait(second * SECOND_NS)
    assert clock.slept == [1.0, 0.5], "what lies before the beginning does not wait"


async def test_who_is_late_goes_on_at_once_and_waits_again_when_in_time() -> None:
    clock = Clock()
    pace = paced(1.0, clock)
    await pace.wait(50 * SECOND_NS)
    clock.now += 5
    await pace.wait(52 * SECOND_NS)
    await pace.wait(54 * SECOND_NS)
    assert clock.slept == []
    await pace.wait(56 * SECOND_NS)
    assert clock.slept == [1.0]


async def test_a_span_that_begins_in_a_gap_waits_for_what_was_not_there() -> None:
    clock = Clock()
    await paced(1.0, clock).wait(53 * SECOND_NS)
    assert clock.slept == [3.0]
