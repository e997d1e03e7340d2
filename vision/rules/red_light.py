"""Says who crosses the stop line while the light is red."""

from msgspec import Struct

from schemas.analysis import RedLightRule
from vision import crossing, phases
from vision.rules.line import fact_of
from vision.scene import Fact, Phase, Scene


class State(Struct, frozen=True):
    watch: crossing.LineWatch = crossing.LineWatch()
    light: phases.PhaseWatch = phases.PhaseWatch()


def initial() -> State:
    return State()


def step(state: State, scene: Scene, rule: RedLightRule) -> tuple[State, tuple[Fact, ...]]:
    """Facts of kind `red_light`; details: those of a crossing, signal, phase ("red"), and red_for_seconds: how long the
    light had been red, as far as it was seen, when the line was crossed. Amber and an unreadable light accuse nobody.
    """
    light = phases.step(state.light, _phase(scene.signals.get(rule.signal)), scene.captured_ns)
    watch, crossings = crossing.step(state.watch, scene, rule.start, rule.end)
    facts = []
    for crossed in crossings:
        if crossed.direction != rule.direction or (rule.labels and crossed.box.label not in rule.labels):
            continue
        shown = phases.shown_at(light, crossed.crossed_ns)
        if shown is None or shown.phase != "red":
            continue
        red_for = (crossed.crossed_ns - shown.since_ns) / 1e9
        if red_for < rule.grace_seconds:
            continue
        fact = fact_of(crossed, "red_light", rule.name, scene)
        fact.details.update(signal=rule.signal, phase="red", red_for_seconds=round(red_for, 3))
        facts.append(fact)
    return State(watch, light), tuple(facts)


def _phase(reading: str | None) -> Phase:
    match reading:
        case "red" | "amber" | "green":
            return reading
        case _:
            return "off"
