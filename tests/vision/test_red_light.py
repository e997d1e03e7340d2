import pytest
from msgspec.structs import replace

from schemas.analysis import RedLightRule
from tests.vision.scenes import SECOND, START, box, ran, scene
from vision.rules import red_light
from vision.scene import Fact, Scene

STOP = RedLightRule("stop", "main", (0.0, 0.6), (1.0, 0.6), direction="backward")
"""y = 300, walked to the right: its right side is below, so who drives up the picture crosses backward"""
RATE = 25


def drive(
    crossed_at: float, light: dict[float, str], up: bool = True, seconds: float = 6, label: str = "car"
) -> list[Scene]:
    """A car whose anchor is on the line at a moment, at 100 pixels a second; the light as it changes."""
    scenes = []
    for i in range(int(seconds * RATE)):
        now = i / RATE
        phase = [phase for since, phase in sorted(light.items()) if since <= now][-1]
        y = 300 + (-100 if up else 100) * (now - crossed_at)
        scenes.append(scene(now, box(500, y, track="t", label=label), signals={"main": phase}))
    return scenes


def test_who_crosses_at_red_is_told_of() -> None:
    (fact,) = ran(red_light, drive(3.02, {0: "green", 1: "amber", 2: "red"}), STOP)
    assert (fact.kind, fact.rule, fact.track, fact.label) == ("red_light", "stop", "t", "car")
    assert fact.details == {
        "direction": "backward",
        "crossed_ns": START + round(3.02 * SECOND),
        "signal": "main",
        "phase": "red",
        "red_for_seconds": 1.02,
    }
    assert 0 < fact.captured_ns - (START + 3.02 * SECOND) < 0.1 * SECOND


@pytest.mark.parametrize("phase", ["green", "amber", "off"])
def test_any_other_light_accuses_nobody(phase: str) -> None:
    assert ran(red_light, drive(3, {0: "red", 1: phase}), STOP) == []


def test_a_light_nobody_reads_accuses_nobody() -> None:
    scenes = [replace(one, signals={}) for one in drive(3, {0: "red"})]
    assert ran(red_light, scenes, STOP) == []
    assert ran(red_light, drive(3, {0: "red"}), replace(STOP, signal="other")) == []


def test_the_allowed_direction() -> None:
    assert ran(red_light, drive(3, {0: "red"}, up=False), STOP) == []
    assert len(ran(red_light, drive(3, {0: "red"}, up=False), replace(STOP, direction="forward"))) == 1


def test_labels() -> None:
    rule = replace(STOP, labels=("car", "bus"))
    assert len(ran(red_light, drive(3, {0: "red"}, label="bus"), rule)) == 1
    assert ran(red_light, drive(3, {0: "red"}, label="person"), rule) == []


@pytest.mark.parametrize(("crossed_at", "told"), [(2.2, 0), (2.28, 0), (2.34, 1), (2.6, 1)])
def test_grace(crossed_at: float, told: int) -> None:
    assert len(ran(red_light, drive(crossed_at, {0: "amber", 2: "red"}), STOP)) == told


def test_grace_of_seconds() -> None:
    rule = replace(STOP, grace_seconds=2.0)
    assert ran(red_light, drive(3.9, {0: "amber", 2: "red"}), rule) == []
    assert len(ran(red_light, drive(4.1, {0: "amber", 2: "red"}), rule)) == 1


def test_the_light_at_the_crossing_counts_not_the_one_when_it_is_certain() -> None:
    """The light turns green between the line and the margin behind it."""
    (fact,) = ran(red_light, drive(3.0, {0: "red", 3.02: "green"}), STOP)
    assert fact.details["phase"] == "red"
    assert ran(red_light, drive(3.0, {0: "green", 2.98: "red"}), replace(STOP, grace_seconds=0.05)) == []


def test_a_single_wrong_reading_changes_nothing() -> None:
    flicker = drive(3, {0: "red"})
    flicker = [replace(one, signals={"main": "green"}) if i % 5 == 0 else one for i, one in enumerate(flicker) if i]
    assert len(ran(red_light, flicker, STOP)) == 1
    flash = [
        replace(one, signals={"main": "red"}) if i % 5 == 0 else one
        for i, one in enumerate(drive(3, {0: "green"}))
        if i
    ]
    assert ran(red_light, flash, STOP) == []


def facts_with_a_bus_in_front(hidden: float) -> list[Fact]:
    return ran(red_light, drive(2.2 + hidden, {0: "green", 1: "red", 2: "off", 2 + hidden: "red"}, seconds=9), STOP)


def test_a_light_hidden_for_a_moment_has_been_red_all_the_time() -> None:
    (fact,) = facts_with_a_bus_in_front(1.5)
    assert fact.details["red_for_seconds"] == 2.7
    assert facts_with_a_bus_in_front(4.0) == [], "red for 0.2 s as far as anybody saw"


def test_a_slow_camera() -> None:
    """Two readings over 0.2 s are enough."""
    scenes = [one for i, one in enumerate(drive(3, {0: "green", 1.9: "red"})) if i % 5 == 0]
    assert len(ran(red_light, scenes, STOP)) == 1


def test_a_state_from_json_goes_on_bit_for_bit() -> None:
    scenes = drive(3.3, {0: "green", 1: "amber", 1.04: "green", 2: "red", 2.4: "off", 2.8: "red"})
    assert ran(red_light, scenes, STOP, saving=True) == ran(red_light, scenes, STOP) != []
