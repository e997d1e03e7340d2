"""Which tracks go over a line, when, which way and how fast: the common part of the rules about lines."""

import math
from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from schemas.analysis import Point
from schemas.messages import Box
from vision.anchor import margin, reach
from vision.geometry import Vec, meeting, side
from vision.scene import GroundPath, Move, Scene

Direction = Literal["forward", "backward"]

_SPEED_SPAN_NS: Final = 150_000_000
"""what has been seen for less time has no speed yet"""


class Walker(Struct, frozen=True):
    """One track with respect to one line."""

    track: str
    side: int
    """the side it is on for certain: 1 right, -1 left, 0 not known"""
    over_ns: int = 0
    """when it went over, while it is not certain to be over; 0: it is not over"""
    over_within: bool = False
    """that was between the line's ends"""


class LineWatch(Struct, frozen=True):
    walkers: tuple[Walker, ...] = ()


class Crossing(Struct, frozen=True):
    box: Box
    crossed_ns: int
    """between two frames: when the straight way between them was on the line"""
    direction: Direction
    speed: float | None
    """metres per second"""


def step(watch: LineWatch, scene: Scene, start: Point, end: Point) -> tuple[LineWatch, tuple[Crossing, ...]]:
    """Moves against the line from `start` to `end` (fractions), one crossing for each time that a track gets over.

    A track is over once it is beyond the line by a margin for its box's jitter, and got there between the line's ends
    or little beside them. To cross again the other way it has to come back by the same margin.
    """
    line = (start[0] * scene.width, start[1] * scene.height), (end[0] * scene.width, end[1] * scene.height)
    known = {walker.track: walker for walker in watch.walkers}
    changed = False
    crossings = []
    for move in scene.moves:
        track = move.box.track
        assert track is not None
        walker = known.get(track)
        after, crossed = _moved(walker, track, move, scene, line)
        if after is not walker:
            known[track], changed = after, True
        if crossed is not None:
            crossings.append(Crossing(move.box, *crossed, speed(move.path)))
    for track in scene.gone:
        changed |= known.pop(track, None) is not None
    return LineWatch(tuple(known.values())) if changed else watch, tuple(crossings)


def speed(path: GroundPath) -> float | None:
    """Metres per second, to 0.01: the slope of the straight line through the places, by least squares."""
    if len(path) < 2 or path[-1][0] - path[0][0] < _SPEED_SPAN_NS:
        return None
    seconds = [(captured_ns - path[0][0]) / 1e9 for captured_ns, _, _ in path]
    middle = math.fsum(seconds) / len(seconds)
    spread = math.fsum((second - middle) ** 2 for second in seconds)
    slopes = [_slope(seconds, middle, [place[axis] for place in path]) / spread for axis in (1, 2)]
    return round(math.hypot(*slopes), 2)


def _slope(seconds: Sequence[float], middle: float, metres: Sequence[float]) -> float:
    return math.fsum((second - middle) * at for second, at in zip(seconds, metres, strict=True))


def _moved(
    walker: Walker | None, track: str, move: Move, scene: Scene, line: tuple[Vec, Vec]
) -> tuple[Walker, tuple[int, Direction] | None]:
    """The same walker where nothing has changed."""
    after = move.at[0] * scene.width, move.at[1] * scene.height
    beyond = side(*line, after)
    now = (beyond > 0.0) - (beyond < 0.0)
    if walker is None:
        return Walker(track, now), None
    if now in (0, walker.side) or walker.side == 0:
        certain = walker.side or now
        return walker if certain == walker.side and walker.over_ns == 0 else Walker(track, certain), None
    over_ns, within = walker.over_ns, walker.over_within
    if over_ns == 0:
        assert move.before is not None
        before = move.before[0] * scene.width, move.before[1] * scene.height
        share, outside = meeting(*line, before, after) or (1.0, math.inf)
        within = outside <= reach(move.place)
        over_ns = move.before_ns + round(share * (move.captured_ns - move.before_ns))
    if abs(beyond) < margin(move.place, scene):
        return Walker(track, walker.side, over_ns, within), None
    crossed: tuple[int, Direction] = over_ns, "forward" if now > 0 else "backward"
    return Walker(track, now), crossed if within else None
