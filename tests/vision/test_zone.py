import pytest

from schemas.analysis import ZoneRule
from schemas.messages import Box
from tests.vision.scenes import SECOND, START, box, ran, scene, tracked
from vision.rules import zone
from vision.scene import Fact, Scene

MIDDLE = ZoneRule("middle", ((0.4, 0.4), (0.6, 0.4), (0.6, 0.9), (0.4, 0.9)))
"""x 400..600, y 200..450"""
PATIENT = ZoneRule("middle", MIDDLE.polygon, dwell_seconds=1.0)


def walk(xs: list[float], rate: float = 10) -> list[Scene]:
    return [scene(i / rate, box(x, 300, track="t")) for i, x in enumerate(xs)]


def told(facts: list[Fact]) -> list[tuple[str, float]]:
    return [(fact.kind, (fact.captured_ns - START) / SECOND) for fact in facts]


def test_in_and_out() -> None:
    entered, left = ran(zone, walk([380, 390, 410, 450, 590, 610, 640]), MIDDLE)
    assert (entered.kind, entered.rule, entered.track, entered.label) == ("zone_entered", "middle", "t", "car")
    assert entered.details == {"entered_ns": START + SECOND // 5, "dwell_seconds": 0.0}
    assert entered.captured_ns == START + SECOND // 5
    assert left.kind == "zone_left"
    assert left.details == {
        "entered_ns": START + SECOND // 5,
        "left_ns": START + SECOND // 2,
        "stayed_seconds": 0.3,
        "reason": "left",
    }


def test_only_who_stays_is_told() -> None:
    assert ran(zone, walk([390, *[450] * 9, 700]), PATIENT) == []
    facts = ran(zone, walk([390, *[450] * 12, 700]), PATIENT)
    assert told(facts) == [("zone_entered", 1.1), ("zone_left", 1.3)]
    assert facts[0].details["dwell_seconds"] == 1.0


def test_once_however_long() -> None:
    assert told(ran(zone, walk([450] * 100), PATIENT)) == [("zone_entered", 1.0)]


def test_jitter_at_the_border_does_not_start_again() -> None:
    facts = ran(zone, walk([401, 399] * 20), PATIENT)
    assert told(facts) == [("zone_entered", 1.0)]


def test_who_comes_back_is_told_again() -> None:
    facts = ran(zone, walk([450, 450, 700, 450]), MIDDLE)
    assert [fact.kind for fact in facts] == ["zone_entered", "zone_left", "zone_entered"]


def test_who_disappears_has_left_when_it_was_last_seen() -> None:
    scenes = [*walk([450] * 5), scene(3), scene(5.3), scene(5.5)]
    facts = ran(zone, scenes, MIDDLE)
    assert told(facts) == [("zone_entered", 0.0), ("zone_left", 5.5)]
    assert facts[1].details["left_ns"] == START + 2 * SECOND // 5
    assert facts[1].details["reason"] == "lost"


def test_a_short_absence_is_none() -> None:
    scenes = [*walk([450] * 5), scene(3), scene(4, box(450, 300, track="t"))]
    assert told(ran(zone, scenes, PATIENT)) == [("zone_entered", 4.0)]


def test_labels() -> None:
    scenes = [scene(0, box(450, 300, track="t"), box(550, 300, label="person", track="u"))]
    rule = ZoneRule("middle", MIDDLE.polygon, labels=("person",))
    assert [fact.track for fact in ran(zone, scenes, rule)] == ["u"]


def test_time_in_the_zone_before_the_confirmation_counts() -> None:
    facts = ran(zone, tracked([(i / 10, (box(450, 300),)) for i in range(15)]), PATIENT)
    assert told(facts) == [("zone_entered", 1.0)]
    assert facts[0].details["entered_ns"] == START


def test_boxes_without_a_track_are_nobody() -> None:
    assert ran(zone, [scene(0, box(450, 300))], MIDDLE) == []


def test_the_state_is_bounded() -> None:
    state = zone.initial()
    for i in range(100):
        boxes: tuple[Box, ...] = tuple(box(500, 300, track=f"{i}-{k}") for k in range(10))
        state, _ = zone.step(state, scene(i / 100, *boxes), MIDDLE)
    assert len(state.visitors) == 512
    state, facts = zone.step(state, scene(60), MIDDLE)
    assert state.visitors == ()
    assert len(facts) == 512


@pytest.mark.parametrize("rule", [MIDDLE, PATIENT])
def test_a_state_from_json_goes_on_bit_for_bit(rule: ZoneRule) -> None:
    way = [380.0, 410, 450, 399, 398, 450, *[520] * 12, 640, 640, 580]
    scenes = [*walk(way), scene(9)]
    assert ran(zone, scenes, rule, saving=True) == ran(zone, scenes, rule) != []
