"""Sees vehicles cross lines, and whether the light was red."""

import math

import numpy as np

from simulator.actors import Vehicle
from simulator.camera import Camera
from simulator.junction import Junction, Phase
from simulator.placement import Placed
from simulator.survey import ground_lines, stop_line
from simulator.truth import EventTruth, Geometry, Point

#: An event whose box never crosses (hidden, out of the picture) is told after this many seconds.
_PATIENCE = 4.0


class _Crossing:
    """What is known of one vehicle and one line."""

    def __init__(self) -> None:
        self.front: tuple[int, float, float, bool, Phase] | None = None
        self.box: float | None = None
        self.told = False


class Witness:
    """Turns positions of consecutive frames into events."""

    def __init__(self, junction: Junction, geometry: Geometry, camera: Camera) -> None:
        self._ground: dict[str, tuple[Point, Point, Point]] = {
            name: (a, b, way) for name, (a, b, way, _, _) in ground_lines(junction).items()
        }
        self._ground["stop"] = (*stop_line(junction), (0.0, 1.0))
        self._picture = {
            name: tuple(camera.project(np.array([[*p, 0.0] for p in ends[:2]]))[0].tolist())
            for name, ends in self._ground.items()
        }
        self._front: dict[int, Point] = {}
        self._anchor: dict[int, Point] = {}
        self._time = -1.0
        self._crossings: dict[tuple[int, str], _Crossing] = {}

    def forget(self) -> None:
        """Time was skipped: drop all positions."""
        self._front.clear()
        self._anchor.clear()
        self._crossings.clear()

    def watch(
        self, frame: int, time_s: float, vehicles: list[Vehicle], blend: float, things: list[Placed], phase: Phase
    ) -> list[EventTruth]:
        """Events that are complete at this frame."""
        placed = {thing.track: thing for thing in things}
        for vehicle in vehicles:
            x, y, heading = vehicle.pose(blend)
            half = vehicle.length / 2
            front = (x + half * math.cos(heading), y + half * math.sin(heading))
            thing = placed.get(vehicle.track)
            anchor = None if thing is None else ((thing.box[0] + thing.box[2]) / 2, thing.box[3])
            self._follow(vehicle, front, anchor, frame, time_s, vehicle.speed(blend), phase)
        self._time = time_s
        return self._tell(vehicles, time_s)

    def _follow(
        self, vehicle: Vehicle, front: Point, anchor: Point | None, frame: int, time_s: float, speed: float, phase: Phase
    ) -> None:
        track = vehicle.track
        was = self._front.get(track)
        if was is not None:
            for name, (a, b, way) in self._ground.items():
                share = _meeting(was, front, a, b)
                if share is not None:
                    ahead = (front[0] - was[0]) * way[0] + (front[1] - was[1]) * way[1] > 0
                    known = self._crossings.setdefault((track, name), _Crossing())
                    if known.front is None:
                        known.front = (frame, self._time + share * (time_s - self._time), speed, ahead, phase)
        self._front[track] = front
        before = self._anchor.pop(track, None)
        if anchor is None:
            return
        self._anchor[track] = anchor
        if before is not None:
            for name, (p, q) in self._picture.items():
                share = _meeting(before, anchor, tuple(p), tuple(q))
                if share is not None:
                    known = self._crossings.setdefault((track, name), _Crossing())
                    known.box = self._time + share * (time_s - self._time)

    def _tell(self, vehicles: list[Vehicle], time_s: float) -> list[EventTruth]:
        events = []
        labels = {vehicle.track: vehicle.label for vehicle in vehicles}
        for (track, name), known in sorted(self._crossings.items()):
            if known.front is None or known.told or track not in labels:
                continue
            frame, when, speed, ahead, phase = known.front
            if known.box is None and time_s - when < _PATIENCE:
                continue
            known.told = True
            kind = "red_light" if name == "stop" else "line_crossing"
            if name == "stop" and (phase != "red" or not ahead):
                continue
            events.append(
                EventTruth(
                    kind="red_light" if kind == "red_light" else "line_crossing",
                    track=track,
                    label=labels[track],
                    line=name,
                    frame=frame,
                    time_s=round(when, 4),
                    speed=round(speed, 3),
                    direction="forward" if ahead else "backward",
                    phase=phase,
                    box_time_s=None if known.box is None else round(known.box, 4),
                )
            )
        return events


def _meeting(p: Point, q: Point, a: Point, b: Point) -> float | None:
    """Where the step p -> q crosses the segment a - b, as a share of the step (0, 1]; None if it does not."""
    dx, dy, ex, ey = q[0] - p[0], q[1] - p[1], b[0] - a[0], b[1] - a[1]
    cross = dx * ey - dy * ex
    if abs(cross) < 1e-12:
        return None
    t = ((a[0] - p[0]) * ey - (a[1] - p[1]) * ex) / cross
    u = ((a[0] - p[0]) * dy - (a[1] - p[1]) * dx) / cross
    return t if 0.0 < t <= 1.0 and 0.0 <= u <= 1.0 else None
