"""Where each track stood and stands, in the picture and on the ground: followed once, for all rules about lines."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from schemas.messages import Box
from vision.anchor import anchor
from vision.geometry import Vec, to_ground
from vision.scene import Earlier, GroundPath, Move, Scene

_SPEED_WINDOW_NS: Final = 1_000_000_000
_SPEED_STEP_NS: Final = 60_000_000
"""places closer in time say little more about the speed: bounds the state at any frame rate"""
_FORGET_NS: Final = 30_000_000_000
_MAX_TRACKS: Final = 512


class Trajectory(Struct, frozen=True):
    track: str
    seen_ns: int
    x: float
    y: float
    """last anchor, in fractions of the picture"""
    path: GroundPath = ()


class State(Struct, frozen=True):
    trajectories: tuple[Trajectory, ...] = ()


def initial() -> State:
    return State()


def step(state: State, scene: Scene) -> tuple[State, Scene]:
    """One frame on. The scene comes back with `moves` and `gone`."""
    known = {trajectory.track: trajectory for trajectory in state.trajectories}
    moves: list[Move] = []
    for box in scene.boxes:
        if box.track is None:
            continue
        before = known.get(box.track)
        places: list[tuple[int, Box | Earlier]] = [(scene.captured_ns, box)]
        if before is None:
            places[:0] = [(place.captured_ns, place) for place in scene.earlier if place.track == box.track]
        for captured_ns, place in places:
            x, y = anchor(place)
            x, y = round(x / scene.width, 6), round(y / scene.height, 6)
            path = _path(before.path if before is not None else (), captured_ns, (x, y), scene)
            if before is None:
                moves.append(Move(box, place, captured_ns, (x, y), path))
            else:
                moves.append(Move(box, place, captured_ns, (x, y), path, before.seen_ns, (before.x, before.y)))
            known[box.track] = before = Trajectory(box.track, captured_ns, x, y, path)
    kept = _remembered(list(known.values()), scene.captured_ns)
    gone: tuple[str, ...] = ()
    if len(kept) < len(known):
        still = {trajectory.track for trajectory in kept}
        gone = tuple(track for track in known if track not in still)
    return State(kept), replace(scene, moves=tuple(moves), gone=gone)


def _path(path: GroundPath, captured_ns: int, place: Vec, scene: Scene) -> GroundPath:
    if scene.ground is None:
        return ()
    if path and captured_ns - path[-1][0] < _SPEED_STEP_NS:
        return path
    ground = to_ground(scene.ground, place)
    if ground is None:
        return path
    first = 0
    while first < len(path) and captured_ns - path[first][0] > _SPEED_WINDOW_NS:
        first += 1
    return (*path[first:], (captured_ns, round(ground[0], 3), round(ground[1], 3)))


def _remembered(trajectories: Sequence[Trajectory], now_ns: int) -> tuple[Trajectory, ...]:
    """Without those unseen for long; of those out of sight only what a return needs."""
    kept = [trajectory for trajectory in trajectories if now_ns - trajectory.seen_ns <= _FORGET_NS]
    if len(kept) > _MAX_TRACKS:
        oldest = sorted(trajectory.seen_ns for trajectory in kept)[-_MAX_TRACKS]
        kept = [trajectory for trajectory in kept if trajectory.seen_ns >= oldest][-_MAX_TRACKS:]
    return tuple(
        replace(trajectory, path=())
        if trajectory.path and now_ns - trajectory.seen_ns > _SPEED_WINDOW_NS
        else trajectory
        for trajectory in kept
    )
