"""Says what enters a zone, stays, and leaves."""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from schemas.analysis import ZoneRule
from schemas.messages import Box
from vision.anchor import anchor, margin
from vision.geometry import border_distance, inside
from vision.scene import Earlier, Fact, Scene

_LOST_NS: Final = 5_000_000_000
"""A track unseen for so long is gone; longer than trackers wait for a lost one by default."""
_MAX_TRACKS: Final = 512


class Visitor(Struct, frozen=True):
    """A track inside the zone."""

    track: str
    entered_ns: int
    seen_ns: int
    box: Box
    told: bool = False


class State(Struct, frozen=True):
    visitors: tuple[Visitor, ...] = ()


def initial() -> State:
    return State()


def step(state: State, scene: Scene, rule: ZoneRule) -> tuple[State, tuple[Fact, ...]]:
    """Facts of kind `zone_entered` (details: entered_ns, dwell_seconds so far) once a track has stood in the zone for
    the rule's dwell; and for each of these one `zone_left` (entered_ns, left_ns, stayed_seconds, reason `left`, or
    `lost` for a track that was not seen again).

    A track is in when its anchor is within the polygon, and out again when that is a margin beyond the border.
    """
    corners = [(x * scene.width, y * scene.height) for x, y in rule.polygon]
    visitors = {visitor.track: visitor for visitor in state.visitors}
    facts: list[Fact] = []
    for box in scene.boxes:
        if box.track is None:
            continue
        places: list[tuple[int, Box | Earlier]] = [(scene.captured_ns, box)]
        if box.track not in visitors:
            places[:0] = [(place.captured_ns, place) for place in scene.earlier if place.track == box.track]
        for captured_ns, place in places:
            visitor = visitors.get(box.track)
            if inside(corners, anchor(place)):
                entered_ns = captured_ns if visitor is None else visitor.entered_ns
                told = visitor is not None and visitor.told
                visitors[box.track] = Visitor(box.track, entered_ns, captured_ns, box, told)
            elif visitor is None:
                continue
            elif border_distance(corners, anchor(place)) < margin(place, scene):
                visitors[box.track] = replace(visitor, seen_ns=captured_ns, box=box)
            else:
                del visitors[box.track]
                if visitor.told:
                    facts.append(_left(visitor, scene, rule, captured_ns, "left"))
    after: list[Visitor] = []
    for visitor in visitors.values():
        if scene.captured_ns - visitor.seen_ns > _LOST_NS:
            if visitor.told:
                facts.append(_left(visitor, scene, rule, visitor.seen_ns, "lost"))
            continue
        seconds = (scene.captured_ns - visitor.entered_ns) / 1e9
        here = visitor.seen_ns == scene.captured_ns and (not rule.labels or visitor.box.label in rule.labels)
        if here and not visitor.told and seconds >= rule.dwell_seconds:
            visitor = replace(visitor, told=True)
            facts.append(_fact("zone_entered", visitor, scene, rule, {"dwell_seconds": round(seconds, 3)}))
        after.append(visitor)
    return State(tuple(after[-_MAX_TRACKS:])), tuple(facts)


def _left(visitor: Visitor, scene: Scene, rule: ZoneRule, left_ns: int, reason: str) -> Fact:
    stayed = round((left_ns - visitor.entered_ns) / 1e9, 3)
    return _fact("zone_left", visitor, scene, rule, {"left_ns": left_ns, "stayed_seconds": stayed, "reason": reason})


def _fact(kind: str, visitor: Visitor, scene: Scene, rule: ZoneRule, details: dict[str, str | float | int]) -> Fact:
    return Fact(
        kind=kind,
        rule=rule.name,
        track=visitor.track,
        label=visitor.box.label,
        captured_ns=scene.captured_ns,
        box=visitor.box,
        details={"entered_ns": visitor.entered_ns, **details},
    )
