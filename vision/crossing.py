"""Which tracks go over a line, when, which way and how fast: the common part of the rules about lines."""

import math
from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from schemas.analysis import Point
from schemas.messages import Box
from vision.anchor import anchor, margin, reach
from vision.geometry import Vec, meeting, side, to_ground
from vision.scene import Earlier, Scene

Direction = Literal["forward", "backward"]

_SPEED_WINDOW_NS: Final = 1_000_000_000
_SPEED_STEP_NS: Final = 60_000_000
"""places closer in time say little more about the speed: bounds the state at any frame rate"""
_SPEED_SPAN_NS: Final = 150_000_000
"""what has been seen for less time has no speed yet"""
_FORGET_NS: Final = 30_000_000_000
_MAX_TRACKS: Final = 512


class Walker(Struct, frozen=True):
    """One track with respect to one line."""

    track: str
    seen_ns: int
    x: float
    y: float
    """last anchor, in fractions of the picture"""
    side: int
    """the side it is on for certain: 1 right, -1 left, 0 not known"""
    over_ns: int = 0
    """when it went over, while it is not certain to be over; 0: it is not over"""
    over_within: bool = False
    """that was between the line's ends"""
    path: tuple[tuple[int, float, float], ...] = ()
    """capture time and metres on the ground, over the last second"""


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
    """Anchors against the line from `start` to `end` (fractions), one crossing for each time that a track gets over.

    A track is over once it is beyond the line by a margin for its box's jitter, and got there between the line's ends
    or little beside them. To cross again the other way it has to come back by the same margin.
    """
    line = (start[0] * scene.width, start[1] * scene.height), (end[0] * scene.width, end[1] * scene.height)
    known = {walker.track: walker for walker in watch.walkers}
    crossings = []
    for box in scene.boxes:
        if box.track is None:
            continue
        walker = known.get(box.track)
        places: list[tuple[int, Box | Earlier]] = [(scene.captured_ns, box)]
        if walker is None:
            places[:0] = [(place.captured_ns, place) for place in scene.earlier if place.track == box.track]
        for captured_ns, place in places:
            if walker is None:
                walker = _first(box.track, captured_ns, place, scene, line)
                continue
            walker, crossed = _moved(walker, captured_ns, place, scene, line)
            if crossed is not None:
                crossings.append(Crossing(box, *crossed, speed(walker.path)))
        if walker is not None:
            known[box.track] = walker
    return LineWatch(_remembered(list(known.values()), scene.captured_ns)), tuple(crossings)


def speed(path: Sequence[tuple[int, float, float]]) -> float | None:
    """Metres per second, to 0.01: the slope of the straight line through the places, by least squares."""
    if len(path) < 2 or path[-1][0] - path[0][0] < _SPEED_SPAN_NS:
        return None
    seconds = [(captured_ns - path[0][0]) / 1e9 for captured_ns, _, _ in path]
    middle = math.fsum(seconds) / len(seconds)
    spread = math.fsum((second - middle) ** 2 for second in seconds)
    slopes = [
        math.fsum((second - middle) * place[axis] for second, place in zip(seconds, path, strict=True)) / spread
        for axis in (1, 2)
    ]
    return round(math.hypot(*slopes), 2)


def _first(track: str, captured_ns: int, place: Box | Earlier, scene: Scene, line: tuple[Vec, Vec]) -> Walker:
    x, y = _fractions(place, scene)
    beyond = side(*line, (x * scene.width, y * scene.height))
    return Walker(track, captured_ns, x, y, _sign(beyond), path=_path((), captured_ns, (x, y), scene))


def _moved(
    walker: Walker, captured_ns: int, place: Box | Earlier, scene: Scene, line: tuple[Vec, Vec]
) -> tuple[Walker, tuple[int, Direction] | None]:
    x, y = _fractions(place, scene)
    before = walker.x * scene.width, walker.y * scene.height
    after = x * scene.width, y * scene.height
    beyond = side(*line, after)
    now = _sign(beyond)
    path = _path(walker.path, captured_ns, (x, y), scene)
    stays = Walker(walker.track, captured_ns, x, y, walker.side or now, path=path)
    if now == 0 or now == stays.side:
        return stays, None
    over_ns, within = walker.over_ns, walker.over_within
    if over_ns == 0:
        share, outside = meeting(*line, before, after) or (1.0, math.inf)
        within = outside <= reach(place)
        over_ns = walker.seen_ns + round(share * (captured_ns - walker.seen_ns))
    if abs(beyond) < margin(place, scene):
        return replace(stays, over_ns=over_ns, over_within=within), None
    crossed: tuple[int, Direction] = over_ns, "forward" if now > 0 else "backward"
    return replace(stays, side=now), crossed if within else None


def _fractions(place: Box | Earlier, scene: Scene) -> Vec:
    x, y = anchor(place)
    return round(x / scene.width, 6), round(y / scene.height, 6)


def _sign(value: float) -> int:
    return (value > 0.0) - (value < 0.0)


def _path(
    path: tuple[tuple[int, float, float], ...], captured_ns: int, place: Vec, scene: Scene
) -> tuple[tuple[int, float, float], ...]:
    if scene.ground is None:
        return ()
    ground = to_ground(scene.ground, place)
    if ground is None or (path and captured_ns - path[-1][0] < _SPEED_STEP_NS):
        return path
    recent = tuple(known for known in path if captured_ns - known[0] <= _SPEED_WINDOW_NS)
    return (*recent, (captured_ns, round(ground[0], 3), round(ground[1], 3)))


def _remembered(walkers: Sequence[Walker], now_ns: int) -> tuple[Walker, ...]:
    """Without those unseen for long; of those out of sight only what a return needs."""
    kept = [walker for walker in walkers if now_ns - walker.seen_ns <= _FORGET_NS]
    if len(kept) > _MAX_TRACKS:
        oldest = sorted(walker.seen_ns for walker in kept)[-_MAX_TRACKS]
        kept = [walker for walker in kept if walker.seen_ns >= oldest][-_MAX_TRACKS:]
    return tuple(
        replace(walker, path=()) if walker.path and now_ns - walker.seen_ns > _SPEED_WINDOW_NS else walker
        for walker in kept
    )
