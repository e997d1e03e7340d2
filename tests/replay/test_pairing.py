"""Two runs side by side: what both saw, what one saw, what was true."""

from collections.abc import Sequence

import pytest

from replay.pairing import Paired, Side, agreement, pair
from replay.scoring import Occurrence, Score
from replay.shadow import Arm, Shadow, Stretch, report
from schemas.messages import Box, Detections, Event, Flow, Provenance

SECOND = 1_000_000_000
FROM = 1_700_000_000 * SECOND
WHERE = Provenance("frames", 0, 0, 0, 0, "m", "1", "c")


def box(left: float, label: str = "car", score: float = 0.9) -> Box:
    return Box(label, score, left, 0.0, left + 10.0, 10.0)


def frame(seconds: float, *boxes: Box) -> Detections:
    return Detections("cam", FROM + round(seconds * SECOND), "s", 0, 0, 64, 64, boxes, {}, WHERE)


def event(seconds: float, kind: str = "line_crossed", rule: str = "north") -> Event:
    at = FROM + round(seconds * SECOND)
    return Event(f"{kind}{rule}{seconds}", "cam", kind, rule, at, "t", "car", None, {"direction": "forward"}, WHERE)


def true(seconds: float, rule: str = "north") -> Occurrence:
    return Occurrence(("cam", "line_crossed", rule, "forward"), FROM / SECOND + seconds)


def seen(events: Sequence[Event], until: int = 30) -> Side:
    frames = [frame(second) for second in range(until)]
    return Side.of([*frames, *events], FROM, FROM + until * SECOND)


def paired(a: Side, b: Side, truth: list[Occurrence] | None = None, count: int = 3) -> Paired:
    return pair("cam", FROM, 10 * SECOND, count, a, b, truth)


def test_boxes_agree_where_they_overlap_and_are_called_the_same() -> None:
    a = Side.of([frame(1, box(0), box(20), box(40), box(60, score=0.3))], FROM, FROM + SECOND * 9)
    b = Side.of([frame(1, box(1), box(20, "bus"), box(80))], FROM, FROM + SECOND * 9)
    (window,) = paired(a, b).windows
    assert window.boxes == Score(3, 3, 1)
    assert agreement([window.boxes]) == pytest.approx(1 / 3)
    assert agreement([]) is None


def test_frames_that_only_one_has_are_counted_and_left_out() -> None:
    a = Side.of([frame(1), frame(2, box(0)), frame(25)], FROM, FROM + SECOND * 30)
    b = Side.of([frame(1), frame(12), frame(25)], FROM, FROM + SECOND * 30)
    found = paired(a, b)
    assert (found.frames, found.only_a, found.only_b) == (2, 1, 1)
    assert [window.index for window in found.windows] == [0, 2]
    assert found.windows[0].boxes == Score(0, 0, 0)


def test_what_lies_outside_the_stretch_and_what_no_model_finds_is_left_out() -> None:
    flow = Flow("cam", "north", FROM, "car", "forward", 1, None, WHERE)
    side = Side.of(
        [frame(-1), frame(5), frame(30), event(-1), event(5), event(6, "gap"), flow], FROM, FROM + SECOND * 30
    )
    assert len(side.frames) == 1
    assert [each.kind for each in side.events] == ["line_crossed"]


def test_events_of_both_are_matched_one_to_one_within_reach() -> None:
    found = paired(seen([event(3), event(14), event(25)]), seen([event(3.4), event(18), event(25, rule="south")]))
    assert [window.events for window in found.windows] == [Score(1, 1, 1), Score(1, 1, 0), Score(1, 1, 0)]
    assert found.kinds == ({"line_crossed": 3}, {"line_crossed": 3})
    assert found.against_truth is None


def test_against_the_truth_what_did_not_happen_and_what_was_missed_are_errors() -> None:
    a = seen([event(3), event(14), event(15), event(24, "zone_entered")])
    b = seen([event(3)])
    found = paired(a, b, [true(3.5), true(14.2), true(28)])
    assert [window.errors for window in found.windows] == [(0, 0), (1, 1), (1, 1)]
    assert found.against_truth == (Score(3, 3, 2), Score(1, 3, 1))


def test_the_first_second_is_nobody_s_fault() -> None:
    found = paired(seen([]), seen([event(0.2)]), [true(0.5)])
    assert [window.errors for window in found.windows] == [(0, 0)] * 3


def arm(known: bool) -> Arm:
    return Arm("m", "1", {}, None, *((0.5, 0.5) if known else (None, None)))


def judged(a: Side, b: Side, truth: list[Occurrence] | None, windows: int = 30) -> Shadow:
    stretch = Stretch(("cam",), FROM, FROM + windows * 10 * SECOND, 10.0)
    found = paired(a, b, truth, windows)
    return report(stretch, arm(truth is not None), arm(truth is not None), [found], {}, seed=1)


EVERY = [event(10 * window + 5) for window in range(30)]
TRUTH = [true(10 * window + 5) for window in range(30)]


@pytest.mark.parametrize(
    ("a", "b", "truth", "verdict"),
    [
        (EVERY[:15], EVERY, TRUTH, "better"),
        (EVERY, EVERY[:15], TRUTH, "worse"),
        (EVERY, EVERY, TRUTH, "no difference"),
        (EVERY[:15], EVERY, None, "more events"),
        (EVERY, EVERY[:15], None, "fewer events"),
        (EVERY[:28], EVERY, None, "no difference"),
    ],
)
def test_verdicts(a: list[Event], b: list[Event], truth: list[Occurrence] | None, verdict: str) -> None:
    found = judged(seen(a, 300), seen(b, 300), truth)
    assert found.verdict == verdict
    assert found.windows == 30
    assert found.judged_by == ("errors per hour" if truth else "events per hour")


def test_an_effect_is_told_by_the_hour() -> None:
    """One window of ten seconds in two has an event more: 180 an hour."""
    assert judged(seen(EVERY[:15], 300), seen(EVERY, 300), None).effect.difference == pytest.approx(180.0)


def test_nineteen_windows_are_not_enough() -> None:
    found = judged(seen(EVERY[:2], 190), seen(EVERY[:19], 190), TRUTH, windows=19)
    assert (found.verdict, found.effect.missing) == ("not enough data", "19 windows, 20 are wanted")


def test_nothing_seen_is_not_enough() -> None:
    assert judged(Side({}, ()), Side({}, ()), None).verdict == "not enough data"
