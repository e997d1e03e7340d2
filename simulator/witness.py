"""Sees vehicles cross lines, and whether the light was red."""

import math
from typing import Literal

import numpy as np

from simulator.actors import Vehicle
from simulator.camera import Camera
from simulator.junction import Junction, Phase
from simulator.placement import Placed
from simulator.survey import RED_LIGHT, ground_lines
from simulator.truth import EventTruth, Point

#: An event whose box never crosses (out of the picture) is told after this many seconds.
_PATIENCE = 4.0
#: A box that crosses and whose front has not by then did so before the first frame.
_FRONT_PATIENCE = 1.5


class _Crossing:
    """What is known of one vehicle and one line."""

    def __init__(self) -> None:
        self.front: tuple[int, float, float, bool, Phase] | None = None
        self.box: tuple[int, float, float, bool, Phase] | None = None
        self.told = False


class Witness:
    """Turns positions of consecutive frames into events."""

    def __init__(self, junction: Junction, camera: Camera) -> None:
        self._ground = ground_lines(junction)
        self._picture: dict[str, tuple[Point, Point]] = {}
        for name, (a, b, _) in self._ground.items():
            (x1, y1), (x2, y2) = camera.project(np.array([[*a, 0.0], [*b, 0.0]]))[0].tolist()
            self._picture[name] = ((x1, y1), (x2, y2))
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
        events = self._tell(vehicles, time_s)
        here = {vehicle.track for vehicle in vehicles}
        self._front = {track: point for track, point in self._front.items() if track in here}
        self._crossings = {key: known for key, known in self._crossings.items() if key[0] in here}
        return events

    def _follow(
        self,
        vehicle: Vehicle,
        front: Point,
        anchor: Point | None,
        frame: int,
        time_s: float,
        speed: float,
        phase: Phase,
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
                share = _meeting(before, anchor, p, q)
                if share is not None:
                    known = self._crossings.setdefault((track, name), _Crossing())
                    if known.box is None:
                        way, moved = (
                            self._ground[name][2],
                            (front[0] - was[0], front[1] - was[1]) if was else (0.0, 0.0),
                        )
                        ahead = moved[0] * way[0] + moved[1] * way[1] > 0
                        known.box = (frame, self._time + share * (time_s - self._time), speed, ahead, phase)

    def _tell(self, vehicles: list[Vehicle], time_s: float) -> list[EventTruth]:
        events = []
        labels = {vehicle.track: vehicle.label for vehicle in vehicles}
        for (track, name), known in sorted(self._crossings.items()):
            first = known.front or known.box
            if first is None or known.told or track not in labels:
                continue
            frame, when, speed, ahead, phase = first
            if when <= 0 and known.box is None and time_s - when > 1.0:
                known.told = True  # all of it happened before the first frame
                continue
            waited = time_s - when
            if (known.box is None and waited < _PATIENCE) or (known.front is None and waited < _FRONT_PATIENCE):
                continue
            known.told = True
            kind: Literal["red_light", "line_crossed"] = "red_light" if name == RED_LIGHT else "line_crossed"
            if kind == "red_light" and (phase != "red" or not ahead):
                continue
            events.append(
                EventTruth(
                    kind=kind,
                    track=track,
                    label=labels[track],
                    rule=name,
                    frame=frame,
                    time_s=round(when, 4),
                    speed=round(speed, 3),
                    direction="forward" if ahead else "backward",
                    phase=phase,
                    box_time_s=None if known.box is None else round(known.box[1], 4),
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
