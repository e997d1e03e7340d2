import math
import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.analysis import Tracking
from schemas.messages import Box
from tests.vision.scenes import SECOND, START, box, tracked
from vision import tracker

DEFAULT = Tracking()
Frames = Sequence[tuple[int, tuple[Box, ...]]]


def names(frames: Sequence[tuple[float, tuple[Box, ...]]], config: Tracking = DEFAULT) -> list[list[str | None]]:
    return [[one.track for one in scene.boxes] for scene in tracked(frames, config)]


def run(frames: Frames, config: Tracking, state: tracker.TrackerState) -> tuple[tracker.TrackerState, list[bytes]]:
    out = []
    for captured_ns, boxes in frames:
        state, named = tracker.step(state, boxes, captured_ns, "cam", config)
        out.append(msgspec.json.encode(named))
    return state, out


def test_a_track_is_named_after_its_first_frame_and_shown_from_its_confirmation() -> None:
    shown = names([(i / 25, (box(100 + 4 * i, 200),)) for i in range(5)])
    assert shown == [[None], [None], [f"cam-{START:x}-0"], [f"cam-{START:x}-0"], [f"cam-{START:x}-0"]]


def test_where_a_track_was_before_its_confirmation_comes_with_it_once() -> None:
    scenes = tracked([(i / 25, (box(100 + 4 * i, 200),)) for i in range(5)])
    assert [[(place.captured_ns, place.x1) for place in scene.earlier] for scene in scenes] == [
        [],
        [],
        [(START, 75.0), (START + SECOND // 25, 79.0)],
        [],
        [],
    ]


def test_confirmed_at_once_where_one_frame_is_enough() -> None:
    scenes = tracked([(0.0, (box(100, 200),))], Tracking(confirm_frames=1))
    assert scenes[0].boxes[0].track == f"cam-{START:x}-0"
    assert scenes[0].earlier == ()


def test_boxes_keep_their_order_and_their_numbers() -> None:
    boxes = (box(100, 100), box(500, 300, score=0.3), box(800, 200, score=0.05))
    (scene,) = tracked([(0.0, boxes)])
    assert scene.boxes == boxes


@pytest.mark.parametrize("rate", [4, 10, 25, 60])
@pytest.mark.parametrize("speed", [0, 30, 120, 250])
def test_one_object_is_one_track_at_any_rate(rate: int, speed: int) -> None:
    """Up to five of its own sizes a second, seen a few times a second or often."""
    rng = random.Random(rate * speed)
    frames = [
        (i / rate, (box(50 + speed * i / rate + rng.gauss(0, 1), 300 + rng.gauss(0, 1)),)) for i in range(3 * rate)
    ]
    shown = names(frames)
    assert {name for frame in shown[2:] for name in frame} == {f"cam-{START:x}-0"}


def test_a_variable_frame_rate() -> None:
    rng = random.Random(5)
    seconds = 0.0
    frames: list[tuple[float, tuple[Box, ...]]] = []
    for _ in range(80):
        frames.append((seconds, (box(50 + 120 * seconds, 300),)))
        seconds += rng.choice((0.02, 0.04, 0.2, 0.3))
    assert len({name for frame in names(frames)[2:] for name in frame}) == 1


def test_two_that_meet_keep_their_names() -> None:
    frames = [(i / 25, (box(100 + 6 * i, 200), box(700 - 6 * i, 230))) for i in range(100)]
    for row, left_to_right in ((50, True), (99, True)):
        shown = names(frames)[row]
        assert shown == [f"cam-{START:x}-0", f"cam-{START:x}-1"], left_to_right


def test_a_hidden_track_comes_back_under_its_name_within_its_time() -> None:
    def frames(hidden: int) -> list[tuple[float, tuple[Box, ...]]]:
        return [(i / 25, () if 10 <= i < 10 + hidden else (box(100 + 5 * i, 200),)) for i in range(60)]

    assert names(frames(20))[40] == [f"cam-{START:x}-0"]
    assert names(frames(26))[40] != [f"cam-{START:x}-0"]
    assert names(frames(26), Tracking(max_lost_seconds=2))[40] == [f"cam-{START:x}-0"]


def test_doubtful_boxes_keep_a_track_and_open_none() -> None:
    frames = [(i / 25, (box(100 + 5 * i, 200, score=0.9 if i < 5 else 0.2),)) for i in range(60)]
    assert names(frames)[59] == [f"cam-{START:x}-0"]
    assert names([(i / 25, (box(100, 200, score=0.4),)) for i in range(20)])[19] == [None]
    below = [(i / 25, (box(100 + 5 * i, 200, score=0.9 if i < 5 else 0.05),)) for i in range(60)]
    assert names(below)[59] == [None]


def test_a_flicker_is_no_track() -> None:
    frames = [(i / 25, (box(100, 200),) if i % 4 == 0 else ()) for i in range(40)]
    assert {name for frame in names(frames) for name in frame} == {None}


def test_one_missing_frame_does_not_start_the_confirmation_again() -> None:
    frames = [(i / 25, () if i == 1 else (box(100, 200),)) for i in range(4)]
    assert names(frames)[3] == [f"cam-{START:x}-0"]


def test_one_vehicle_read_as_two_classes_is_one_track() -> None:
    frames = [(i / 25, (box(100 + 4 * i, 200, 0.9, "car"), box(101 + 4 * i, 200, 0.6, "truck"))) for i in range(30)]
    assert {name for frame in names(frames)[3:] for name in frame} == {f"cam-{START:x}-0", None}


def test_the_label_is_what_most_of_the_scores_say() -> None:
    labels = ["truck", "car", "car", "truck", "car", "car"]
    scenes = tracked([(i / 25, (box(100, 200, 0.8, label),)) for i, label in enumerate(labels)])
    assert [scene.boxes[0].label for scene in scenes] == ["truck", "car", "car", "car", "car", "car"]


def test_equal_votes_are_decided_by_the_alphabet() -> None:
    scenes = tracked([(i / 25, (box(100, 200, 0.8, label),)) for i, label in enumerate(["van", "car", "car", "van"])])
    assert scenes[3].boxes[0].label == "car"


def test_after_a_gap_nothing_is_the_same() -> None:
    frames = [(i / 25 if i < 10 else 60 + i / 25, (box(100, 200),)) for i in range(20)]
    shown = names(frames)
    assert shown[9] == [f"cam-{START:x}-0"]
    assert shown[10] == [None]
    assert shown[19] == [f"cam-{START + round(60.4 * SECOND):x}-0"]


def test_a_clock_that_stands_still_or_goes_back_breaks_nothing() -> None:
    frames = [(START - (i % 3) * SECOND, (box(100 + i, 200),)) for i in range(12)]
    state, _ = run(frames, DEFAULT, tracker.initial())
    assert len(state.tracks) == 1
    assert all(math.isfinite(value) for value in state.tracks[0].motion)


def test_boxes_without_extent() -> None:
    flat = Box("car", 0.9, 10.0, 10.0, 10.0, 10.0)
    state, _ = run([(START + i * SECOND // 25, (flat, flat)) for i in range(10)], DEFAULT, tracker.initial())
    assert all(math.isfinite(value) for track in state.tracks for value in track.motion)


def test_the_state_does_not_grow() -> None:
    rng = random.Random(1)
    frames = [
        (START + i * SECOND // 10, tuple(box(rng.uniform(0, 900), rng.uniform(60, 490)) for _ in range(15)))
        for i in range(300)
    ]
    state, _ = run(frames, Tracking(confirm_frames=60), tracker.initial())
    assert len(state.tracks) < 400
    assert len(msgspec.json.encode(state)) < 400_000


# --- exact resumption ------------------------------------------------------------------------------------------------


@st.composite
def traffic(draw: st.DrawFn) -> Frames:
    """Objects on straight ways with jitter, misses, doubtful scores, changing labels and a changing frame rate."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    objects = [
        (rng.uniform(0, 1000), rng.uniform(50, 500), rng.gauss(0, 150), rng.gauss(0, 60), rng.uniform(10, 120))
        for _ in range(draw(st.integers(0, 12)))
    ]
    frames: list[tuple[int, tuple[Box, ...]]] = []
    now = START
    for _ in range(draw(st.integers(2, 25))):
        seconds = (now - START) / SECOND
        boxes = []
        for x, y, vx, vy, size in objects:
            if rng.random() < 0.85:
                score = round(rng.choice((0.05, 0.2, 0.45, 0.7, 0.95)), 3)
                label = rng.choice(("car", "car", "car", "truck"))
                boxes.append(
                    box(x + vx * seconds + rng.gauss(0, 2), y + vy * seconds + rng.gauss(0, 2), score, label, size)
                )
        rng.shuffle(boxes)
        frames.append((now, tuple(boxes)))
        now += rng.choice((20, 40, 40, 40, 200, 1500)) * 1_000_000
    return frames


@settings(max_examples=150, deadline=None)
@given(frames=traffic(), cut=st.integers(0, 25), confirm=st.integers(1, 5))
def test_a_state_from_json_goes_on_bit_for_bit(frames: Frames, cut: int, confirm: int) -> None:
    config = Tracking(confirm_frames=confirm)
    straight, expected = run(frames, config, tracker.initial())
    half, first = run(frames[:cut], config, tracker.initial())
    saved = msgspec.json.encode(half)
    loaded = msgspec.json.decode(saved, type=tracker.TrackerState)
    assert loaded == half
    assert msgspec.json.encode(loaded) == saved
    resumed, second = run(frames[cut:], config, loaded)
    assert first + second == expected
    assert msgspec.json.encode(resumed) == msgspec.json.encode(straight)


@settings(max_examples=100, deadline=None)
@given(frames=traffic())
def test_what_always_holds(frames: Frames) -> None:
    state = tracker.initial()
    shown: dict[str, int] = {}
    for captured_ns, boxes in frames:
        state, named = tracker.step(state, boxes, captured_ns, "cam", DEFAULT)
        assert [msgspec.structs.replace(one, track=None, label="") for one in named] == [
            msgspec.structs.replace(one, label="") for one in boxes
        ]
        ids = [one.track for one in named if one.track is not None]
        assert len(ids) == len(set(ids)), "one track, one box"
        for name in ids:
            shown[name] = shown.get(name, 0) + 1
        held = [track.id for track in state.tracks]
        assert len(held) == len(set(held))
        assert set(ids) <= set(held)
        for place in tracker.earlier(state, DEFAULT):
            assert place.track in ids
            assert place.captured_ns < captured_ns
