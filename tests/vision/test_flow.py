import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vision.scenes import SECOND, box
from vision import flow
from vision.scene import Fact

MINUTE = 60 * SECOND
START = 28_333_333 * MINUTE


def crossed(line: str = "gate", label: str = "car", direction: str = "forward", speed: float | None = None) -> Fact:
    details: dict[str, str | float | int] = {"direction": direction, "crossed_ns": START}
    if speed is not None:
        details["speed"] = speed
    return Fact("line_crossed", line, "t", label, START, box(1, 1), details)


def test_rows_come_when_the_minute_is_over() -> None:
    state = flow.initial()
    state, rows = flow.step(state, (crossed(speed=10.0), crossed(), crossed(speed=13.0)), START + 5)
    assert rows == ()
    state, rows = flow.step(state, (), START + MINUTE - 1)
    assert rows == ()
    state, rows = flow.step(state, (crossed(),), START + MINUTE)
    assert rows == (flow.FlowRow("gate", START, "car", "forward", 3, 11.5),)
    assert flow.close(state) == (flow.FlowRow("gate", START + MINUTE, "car", "forward", 1, None),)


def test_lines_labels_and_directions_are_apart_and_sorted() -> None:
    facts = (crossed(direction="backward"), crossed(label="bus"), crossed("a"), crossed(), crossed("a", speed=1.0))
    state, _ = flow.step(flow.initial(), facts, START)
    assert [(row.line, row.label, row.direction, row.count, row.mean_speed) for row in flow.close(state)] == [
        ("a", "car", "forward", 2, 1.0),
        ("gate", "bus", "forward", 1, None),
        ("gate", "car", "backward", 1, None),
        ("gate", "car", "forward", 1, None),
    ]


def test_minutes_without_crossings_have_no_rows() -> None:
    state, rows = flow.step(flow.initial(), (), START)
    assert rows == ()
    state, rows = flow.step(state, (), START + 10 * MINUTE)
    assert (rows, flow.close(state)) == ((), ())


def test_a_clock_that_goes_back_stays_in_the_open_minute() -> None:
    state, _ = flow.step(flow.initial(), (crossed(),), START + MINUTE)
    state, rows = flow.step(state, (crossed(),), START)
    assert rows == ()
    assert flow.close(state) == (flow.FlowRow("gate", START + MINUTE, "car", "forward", 2, None),)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_nothing_is_counted_twice_or_lost_also_through_json(seed: int) -> None:
    rng = random.Random(seed)
    plain = saved = flow.initial()
    plain_rows: list[flow.FlowRow] = []
    saved_rows: list[flow.FlowRow] = []
    now, total = START, 0
    for _ in range(60):
        facts = tuple(
            crossed(
                rng.choice("ab"),
                rng.choice(("car", "bus")),
                rng.choice(("forward", "backward")),
                rng.choice((None, round(rng.uniform(0, 30), 2))),
            )
            for _ in range(rng.randrange(4))
        )
        total += len(facts)
        plain, rows = flow.step(plain, facts, now)
        plain_rows += rows
        saved = msgspec.json.decode(msgspec.json.encode(saved), type=flow.FlowState)
        saved, rows = flow.step(saved, facts, now)
        saved_rows += rows
        now += rng.choice((SECOND, 20 * SECOND, 130 * SECOND))
    plain_rows += flow.close(plain)
    saved_rows += flow.close(saved)
    assert plain_rows == saved_rows
    assert sum(row.count for row in plain_rows) == total
    keys = [(row.line, row.minute_ns, row.label, row.direction) for row in plain_rows]
    assert len(keys) == len(set(keys))
