import itertools
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.analysis import GroundPoint, LineRule
from schemas.messages import Box
from tests.vision.scenes import HEIGHT, SECOND, START, WIDTH, box, ran, scene, tracked
from vision import trajectories
from vision.geometry import homography
from vision.rules import line
from vision.scene import Fact, Scene

UP = LineRule("gate", (0.5, 1.0), (0.5, 0.0))
"""the vertical through the middle, walked upwards: its right side is the picture's right"""


def walk(xs: list[float], y: float = 300, rate: float = 25, size: float = 50) -> list[Scene]:
    return [scene(i / rate, box(x, y, size=size, track="t")) for i, x in enumerate(xs)]


def said(facts: list[Fact]) -> list[str]:
    return [str(fact.details["direction"]) for fact in facts]


def steps(start: float, stop: float, step: float) -> list[float]:
    count = round(abs(stop - start) / step)
    return [start + (stop - start) * i / count for i in range(count + 1)]


def test_left_to_right_is_forward() -> None:
    assert said(ran(line, walk(steps(450, 550, 5)), UP)) == ["forward"]
    assert said(ran(line, walk(steps(550, 450, 5)), UP)) == ["backward"]


def test_what_a_fact_says() -> None:
    (fact,) = ran(line, walk([480, 490, 500, 510]), UP)
    assert (fact.kind, fact.rule, fact.track, fact.label) == ("line_crossed", "gate", "t", "car")
    assert fact.captured_ns == START + 3 * SECOND // 25
    assert fact.details == {"direction": "forward", "crossed_ns": START + 2 * SECOND // 25}
    assert fact.box.x1 == 485.0


def test_the_moment_lies_between_frames() -> None:
    (fact,) = ran(line, walk([470, 530], rate=1), UP)
    assert fact.details["crossed_ns"] == START + SECOND // 2


@pytest.mark.parametrize(("direction", "expected"), [("forward", 2), ("backward", 1), ("both", 3)])
def test_directions(direction: str, expected: int) -> None:
    rule = msgspec.convert({**msgspec.to_builtins(UP), "direction": direction}, LineRule)
    way = [*steps(450, 550, 10), *steps(550, 450, 10), *steps(450, 550, 10)]
    assert len(ran(line, walk(way), rule)) == expected


def test_labels() -> None:
    scenes = [
        scene(i / 25, box(480 + 10 * i, 300, track="t"), box(480 + 10 * i, 100, track="u", label="bus"))
        for i in range(9)
    ]
    assert [fact.label for fact in ran(line, scenes, UP)] == ["car", "bus"]
    assert [fact.label for fact in ran(line, scenes, msgspec.structs.replace(UP, labels=("bus",)))] == ["bus"]


def test_beside_the_line_is_not_across_it() -> None:
    short = LineRule("gate", (0.5, 1.0), (0.5, 0.7))
    assert said(ran(line, walk(steps(450, 550, 5), y=400), short)) == ["forward"]
    assert said(ran(line, walk(steps(450, 550, 5), y=345), short)) == ["forward"], "a little beside still counts"
    assert ran(line, walk(steps(450, 550, 5), y=300), short) == []


def test_round_the_end_and_back_across() -> None:
    short = LineRule("gate", (0.5, 1.0), (0.5, 0.7))
    way = [scene(i / 25, box(x, 300, track="t")) for i, x in enumerate(steps(450, 550, 5))]
    back = [scene(1 + i / 25, box(x, 420, track="t")) for i, x in enumerate(steps(550, 450, 5))]
    assert said(ran(line, way + back, short)) == ["backward"]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.floats(-2, 2))
def test_standing_on_the_line_is_no_crossing(seed: int, offset: float) -> None:
    rng = random.Random(seed)
    jitter = [500 + offset + rng.uniform(-2.5, 2.5) for _ in range(200)]
    assert len(ran(line, walk(jitter), UP)) <= 1
    assert len(ran(line, walk(steps(400, 500 + offset, 10) + jitter), UP)) <= 1


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_slow_ways_with_jitter_count_once(seed: int) -> None:
    rng = random.Random(seed)
    way = [x + rng.uniform(-2.5, 2.5) for x in steps(450, 550, rng.uniform(0.5, 20))]
    assert said(ran(line, walk(way), UP)) == ["forward"]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_directions_alternate_and_agree_with_where_it_ends(seed: int) -> None:
    rng = random.Random(seed)
    way = [420.0]
    for _ in range(150):
        way.append(min(900.0, max(100.0, way[-1] + rng.gauss(0, 30))))
    way.append(700.0 if rng.random() < 0.5 else 300.0)
    facts = said(ran(line, walk(way), UP))
    assert all(one != two for one, two in itertools.pairwise(facts))
    assert facts[:1] in ([], ["forward"])
    assert len(facts) % 2 == (way[-1] > 500)


def test_a_track_born_on_the_line_counts_from_the_side_it_first_takes() -> None:
    assert ran(line, walk([500, 500, 510, 520, 540]), UP) == []
    assert said(ran(line, walk([500, 495, 510, 520, 540]), UP)) == ["forward"]


def test_a_vehicle_that_crosses_before_its_confirmation_is_counted() -> None:
    frames = [(i / 10, (box(440 + 50 * i, 300),)) for i in range(6)]
    scenes = tracked(frames)
    assert [one.boxes[0].track is not None for one in scenes] == [False, False, True, True, True, True]
    (fact,) = ran(line, scenes, UP)
    assert fact.captured_ns == scenes[2].captured_ns, "said when it is known"
    crossed = fact.details["crossed_ns"]
    assert isinstance(crossed, int)
    assert scenes[1].captured_ns < crossed < scenes[2].captured_ns
    early = tracked([(i / 10, (box(490 + 30 * i, 300),)) for i in range(6)])
    (fact,) = ran(line, early, UP)
    crossed = fact.details["crossed_ns"]
    assert isinstance(crossed, int)
    assert early[0].captured_ns < crossed < early[1].captured_ns


def test_a_track_hidden_on_the_line_is_counted_when_it_comes_out() -> None:
    way = [(i / 25, () if 5 <= i < 20 else (box(450 + 5 * i, 300),)) for i in range(30)]
    assert said(ran(line, tracked(way), UP)) == ["forward"]


def test_boxes_without_a_track_are_nobody() -> None:
    assert ran(line, [scene(i / 25, box(450 + 10 * i, 300)) for i in range(20)], UP) == []


def test_a_resolution_change_moves_nobody() -> None:
    def at(i: int, width: int, height: int, fraction: float) -> Scene:
        x, y = fraction * width, 0.6 * height
        return Scene(
            "cam", START + i * SECOND // 25, width, height, (Box("car", 0.9, x - 9, y - 18, x + 9, y, "t"),), {}
        )

    scenes = [at(i, 1000, 500, 0.45) for i in range(5)] + [at(5 + i, 2000, 1000, 0.45) for i in range(5)]
    assert ran(line, scenes, UP) == []
    assert said(ran(line, [*scenes, at(10, 2000, 1000, 0.55)], UP)) == ["forward"]


def ground() -> tuple[GroundPoint, ...]:
    """20 m of road across the picture's width, 10 m down its height."""
    return tuple(GroundPoint((x, y), (20 * x, 10 * y)) for x in (0.0, 1.0) for y in (0.0, 1.0))


@pytest.mark.parametrize("rate", [5, 12.5, 25, 50])
def test_speed_in_metres_per_second(rate: float) -> None:
    mapping = homography(ground())
    rng = random.Random(2)
    pixels = 400.0  # a second: 8 m/s
    scenes = [
        scene(i / rate, box(250 + pixels * i / rate + rng.gauss(0, 1), 300, track="t"), ground=mapping)
        for i in range(int(1.2 * rate))
    ]
    (fact,) = ran(line, scenes, UP)
    assert fact.details["speed"] == pytest.approx(8.0, rel=0.05)


def test_no_speed_for_what_was_hardly_seen() -> None:
    mapping = homography(ground())
    scenes = [scene(i / 50, box(480 + 20 * i, 300, track="t"), ground=mapping) for i in range(3)]
    (fact,) = ran(line, scenes, UP)
    assert "speed" not in fact.details


def test_the_state_is_bounded_and_forgets() -> None:
    state, ways = line.initial(), trajectories.initial()
    mapping = homography(ground())
    for i in range(1500):
        boxes = tuple(box(10 + 3 * k, 300, track=f"{i}-{k}") for k in range(3))
        ways, moved = trajectories.step(ways, scene(i / 50, *boxes, ground=mapping))
        state, _ = line.step(state, moved, UP)
    assert len(ways.trajectories) == 512
    assert len(state.watch.walkers) == 512
    assert {walker.track for walker in state.watch.walkers} >= {"1499-0", "1499-1", "1499-2"}
    ways, moved = trajectories.step(ways, scene(70))
    state, _ = line.step(state, moved, UP)
    assert ways.trajectories == ()
    assert state.watch.walkers == ()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_a_state_from_json_goes_on_bit_for_bit(seed: int) -> None:
    rng = random.Random(seed)
    mapping = homography(ground())
    ways = [(rng.uniform(0, WIDTH), rng.uniform(60, HEIGHT), rng.gauss(0, 300)) for _ in range(6)]
    scenes = [
        scene(
            i / 13,
            *(
                box(x + v * i / 13 + rng.gauss(0, 4), y, track=f"t{k}")
                for k, (x, y, v) in enumerate(ways)
                if rng.random() < 0.9
            ),
            ground=mapping,
        )
        for i in range(40)
    ]
    assert ran(line, scenes, UP, saving=True) == ran(line, scenes, UP)
