"""Counts what crosses a line."""

from msgspec import Struct

from schemas.analysis import LineRule
from vision import crossing
from vision.scene import Fact, Scene


class State(Struct, frozen=True):
    watch: crossing.LineWatch = crossing.LineWatch()


def initial() -> State:
    return State()


def step(state: State, scene: Scene, rule: LineRule) -> tuple[State, tuple[Fact, ...]]:
    """Facts of kind `line_crossed`; details: direction, crossed_ns, and speed in metres per second where it is known.

    A track's way before its confirmation counts (`Scene.earlier`); a track's label is the one it has when it is over.
    """
    watch, crossings = crossing.step(state.watch, scene, rule.start, rule.end)
    facts = tuple(
        fact_of(crossed, "line_crossed", rule.name, scene)
        for crossed in crossings
        if rule.direction in ("both", crossed.direction) and (not rule.labels or crossed.box.label in rule.labels)
    )
    return State(watch), facts


def fact_of(crossed: crossing.Crossing, kind: str, rule: str, scene: Scene) -> Fact:
    details: dict[str, str | float | int] = {"direction": crossed.direction, "crossed_ns": crossed.crossed_ns}
    if crossed.speed is not None:
        details["speed"] = crossed.speed
    assert crossed.box.track is not None
    return Fact(kind, rule, crossed.box.track, crossed.box.label, scene.captured_ns, crossed.box, details)
