"""Traffic in fixed steps: car-following, signals, yielding, and those who run the red light."""

import math

import msgspec
import numpy as np

from simulator.actors import Label, Pedestrian, Vehicle
from simulator.junction import Junction
from simulator.path import Path
from simulator.walkways import Walkways

#: Physics step, seconds. Frames of any rate are interpolated between steps, so that the same seed
#: gives the same traffic at every frame rate, resolution and variant.
STEP = 0.05

_LENGTHS: dict[Label, tuple[float, float]] = {
    "car": (3.9, 4.8),
    "van": (5.0, 6.2),
    "bus": (10.6, 12.0),
    "two_wheeler": (1.75, 2.15),
}
_WIDTHS: dict[Label, tuple[float, float]] = {
    "car": (1.70, 1.86),
    "van": (1.90, 2.05),
    "bus": (2.50, 2.55),
    "two_wheeler": (0.60, 0.75),
}
_KINDS: tuple[Label, ...] = ("car", "van", "bus", "two_wheeler")


class TrafficConfig(msgspec.Struct, frozen=True):
    """What can be asked of the traffic.

    violation_probability: chance per lane of our approach and signal cycle that somebody comes along who runs the
    light in the first seconds of red (if the way is free).
    demand: factor on the number of arriving vehicles and pedestrians.
    bus_share: share of buses among the vehicles (they hide others).
    """

    violation_probability: float = 0.7
    demand: float = 1.0
    bus_share: float = 0.07


class Traffic:
    """All vehicles and pedestrians of one junction, stepped in time."""

    def __init__(self, junction: Junction, config: TrafficConfig, rng: np.random.Generator) -> None:
        self.junction = junction
        self.config = config
        self.time = 0.0
        self.vehicles: list[Vehicle] = []
        self.pedestrians: list[Pedestrian] = []
        self._rng = rng
        self._next_track = 1
        self._cycle = -1
        self._reserved: set[str] = set()
        self._plans: list[tuple[str, float, float]] = []
        self._paths = junction.paths()
        self._walkways = Walkways(junction)
        self._stops = {name: _stop_distance(junction, name, path) for name, path in self._paths.items()}
        self._yields = {name: _yield_points(junction, name, path) for name, path in self._paths.items()}
        per_lane = 0.12 * config.demand * junction.demand
        self._arrivals = {
            name: per_lane * (0.35 if path.turns else 1.0) * (0.75 if name[0] in "ew" else 1.0)
            for name, path in self._paths.items()
        }
        self._foot_rate = 0.10 * config.demand * junction.demand

    def step(self) -> None:
        """Advance by STEP seconds."""
        self.time += STEP
        for vehicle in self.vehicles:
            vehicle.previous_s, vehicle.previous_v = vehicle.s, vehicle.v
        for person in self.pedestrians:
            person.previous_s = person.s
        accelerations = [self._acceleration(vehicle) for vehicle in self.vehicles]
        for vehicle, a in zip(self.vehicles, accelerations, strict=True):
            v = max(0.0, vehicle.v + a * STEP)
            moved = (v + vehicle.v) / 2 * STEP
            vehicle.s += moved
            vehicle.roll += moved
            vehicle.v = v
            vehicle.braking = a < -0.7 or v < 0.3
        for person in self.pedestrians:
            self._walk(person)
        self.vehicles = [v for v in self.vehicles if v.s - v.length < v.path.length - 1.0]
        self.pedestrians = [p for p in self.pedestrians if p.s < p.path.length - 0.6]
        self._arrive()

    # ------------------------------------------------------------------ vehicles

    def _acceleration(self, me: Vehicle) -> float:
        """Intelligent Driver Model (Treiber, Hennecke, Helbing 2000) with the nearest of all obstacles."""
        desired = me.desired
        if me.path.turns and me.s - me.length < me.path.joins_at:
            # Slow enough at the bend's beginning for 1.8 m/s2 of braking.
            to_bend = max(0.0, me.path.leaves_at - me.s)
            desired = min(desired, math.sqrt(5.0**2 + 2 * 1.8 * to_bend))
        gap, closing = 1e9, 0.0
        for other in self.vehicles:
            if other is me or (other.offset < -1.0) != (me.offset < -1.0):
                continue
            distance = self._gap(me, other)
            if distance + other.length >= 0.0 and distance < gap:
                gap, closing = distance, me.v - other.v
        stop = self._stop_ahead(me)
        if stop < gap:
            gap, closing = stop, me.v
        free = 1.0 - (me.v / max(desired, 0.1)) ** 4
        wanted = 1.6 + max(0.0, me.v * 1.1 + me.v * closing / (2 * math.sqrt(me.accel * 2.2)))
        push = (wanted / max(gap, 0.1)) ** 2 if gap < 1e8 else 0.0
        return max(-7.5, min(me.accel * (free - push), me.accel))

    @staticmethod
    def _gap(me: Vehicle, other: Vehicle) -> float:
        """Free road between my front and the other's rear on the way we share; 1e9 if we share none."""
        mine, theirs = me.path, other.path
        if mine is theirs or (
            mine.lane_in == theirs.lane_in and other.s - other.length < theirs.leaves_at + 3.5 and me.s < mine.leaves_at
        ):
            ahead = other.s - me.s
        elif mine.lane_out == theirs.lane_out and other.s > theirs.joins_at - 2.0:
            ahead = (mine.length - me.s) - (theirs.length - other.s)
        else:
            return 1e9
        return ahead - other.length if ahead > 0 else 1e9

    def _stop_ahead(self, me: Vehicle) -> float:
        """Distance to the nearest line I must stop at, or 1e9."""
        nearest = 1e9
        distance = me.stop_s - me.s
        if distance > -0.3 and (self._must_stop(me, distance) or self._no_room(me, distance)):
            nearest = max(distance, 0.0) + 1.0  # the model keeps 1.6 m; stop with the bumper near the line
        for at, crossing in me.yields:
            to_line = at - me.s
            if -0.5 < to_line < 25.0 and any(person.on(crossing) for person in self.pedestrians):
                nearest = min(nearest, max(to_line, 0.0) + 0.8)
        return nearest

    def _no_room(self, me: Vehicle, distance: float) -> bool:
        """Behind the line there is no room for my whole length, and who is there does not move."""
        if not 0.0 < distance < 15.0:
            return False
        for other in self.vehicles:
            if other is not me and other.v < 2.0 and other.s > other.stop_s and other.road == me.road:
                gap = self._gap(me, other)
                if gap < 1e8 and gap - distance < me.length + 2.4:
                    return True
        return False

    def _must_stop(self, me: Vehicle, distance: float) -> bool:
        timing = self.junction.timing
        phase, elapsed = timing.phase(me.road, self.time)
        cycle = int((self.time + timing.offset) // timing.cycle) * 2 + (1 if me.road == "cross" else 0)
        if phase == "green":
            me.decided = -1
            return elapsed < 6.0 and distance < 12.0 and me.v < 4.0 and not self._box_clear(me)
        if phase == "amber":
            if me.decided != cycle:
                me.decided = cycle
                # Whoever goes on is wholly across a good second before red.
                pace = min(max(me.v, 3.0), 5.5 if me.path.turns else 99.0)
                me.runs = distance + me.length < pace * (timing.amber - 1.2) and distance < 26.0
            if me.runs and elapsed > timing.amber - 1.1 and me.v**2 / 10.0 < distance:
                me.runs = False  # held up on the way; still able to stop
            return not me.runs and not (me.sneaks and me.v > 4.0)
        if me.runs and not me.sneaks and me.v**2 / 10.0 < distance:
            me.runs = False
        if me.runs:
            return False
        if me.sneaks and distance < max(4.0, me.v * 1.6) and me.v > 4.0 and elapsed > 0.5:
            if self._box_clear(me, margin=True) and not self._blocked(me):
                me.runs = True
                return False
            me.sneaks = False
        if me.v < 2.0:
            me.sneaks = False
        # A driver who will run the light does not brake for it beforehand.
        return not (me.sneaks and distance < 60.0)

    def _blocked(self, me: Vehicle) -> bool:
        return any(
            -1.0 < self._gap(me, other) < me.stop_s - me.s + 4.0 and other.v < 3.0
            for other in self.vehicles
            if other is not me
        ) or any(person.on("near") for person in self.pedestrians)

    def _box_clear(self, me: Vehicle, margin: bool = False) -> bool:
        """No traffic of the other road in the junction (or, with `margin`, about to enter it moving)."""
        reach = 14.0 if margin else 0.0
        for other in self.vehicles:
            if other.road == me.road or other.path.turns:
                continue
            inside = other.s > other.stop_s + (0.5 if not margin else -reach)
            if margin and other.s <= other.stop_s and other.v < 2.5:
                inside = False
            clear_at = other.stop_s + 2 * self.junction.half_main + 10.0
            if inside and other.s - other.length < clear_at:
                return False
        return True

    # ------------------------------------------------------------------ people

    def _walk(self, me: Pedestrian) -> None:
        me.moving = True
        for start, end, crossing in me.gates:
            if start - 0.5 < me.s < start and not self._may_walk(crossing, (end - start) / me.pace):
                me.moving = False
        pace = me.pace if me.moving else 0.0
        me.s += pace * STEP
        me.stride += pace * STEP

    def _may_walk(self, crossing: str, needed: float) -> bool:
        timing = self.junction.timing
        road = "main" if crossing in ("near", "far") else "cross"
        phase, elapsed = timing.phase(road, self.time)  # type: ignore[arg-type]
        red = timing.cycle - timing.amber - (timing.main_green if road == "main" else timing.cross_green)
        if phase != "red" or elapsed < 2.2 or red - elapsed < needed * 0.75:
            return False
        return not any(
            at - v.s + v.length > -1.0 and at - v.s < (35.0 if v.sneaks else 12.0) and v.v > 1.5
            for v in self.vehicles
            for at, name in v.yields
            if name == crossing
        )

    # ------------------------------------------------------------------ arrivals

    def _send_violators(self) -> None:
        """Per lane and cycle, perhaps one driver timed to reach the stop line shortly after it turned red."""
        timing = self.junction.timing
        clock = self.time + timing.offset
        cycle = int(clock // timing.cycle)
        if cycle != self._cycle:
            self._cycle = cycle
            self._plans = []
            for i in range(self.junction.main_lanes):
                certain, pace, after = self._rng.random(), self._rng.uniform(0.95, 1.15), self._rng.uniform(0.7, 2.0)
                if certain < self.config.violation_probability:
                    self._plans.append((f"nn{i}", float(pace) * self.junction.speed_limit, float(after)))
        to_red = timing.main_green + timing.amber - clock % timing.cycle
        self._reserved = set()
        for plan in list(self._plans):
            name, pace, after = plan
            needed = (self._stops[name] - 4.5) / pace
            if to_red + after < needed + 3.6:
                self._reserved.add(self._paths[name].lane_in)
            if to_red + after <= needed and (to_red + after < needed - 1.0 or self._enter(name, pace)):
                self._plans.remove(plan)

    def _arrive(self) -> None:
        self._send_violators()
        draws = self._rng.random(len(self._arrivals) + 1)
        for draw, (name, rate) in zip(draws, self._arrivals.items(), strict=False):
            if draw < rate * STEP and self._paths[name].lane_in not in self._reserved:
                self._enter(name)
        if draws[-1] < self._foot_rate * STEP and len(self.pedestrians) < 18:
            for _ in range(int(self._rng.choice([1, 1, 2]))):
                path, gates = self._walkways.draw(self._rng)
                self.pedestrians.append(
                    Pedestrian(
                        track=self._track(),
                        path=path,
                        s=0.0,
                        pace=float(self._rng.uniform(1.0, 1.7)),
                        offset=float(self._rng.uniform(-0.9, 0.9)),
                        style=int(self._rng.integers(1 << 30)),
                        stature=float(self._rng.uniform(1.5, 1.9)),
                        gates=gates,
                    )
                )

    def _enter(self, name: str, pace: float = 0.0) -> bool:
        """A vehicle of random kind begins a path, if there is room; one with a given pace will run the light."""
        rng = self._rng
        share = self.config.bus_share
        rest = 1.0 - share
        label = _KINDS[int(rng.choice(4, p=[0.68 * rest, 0.15 * rest, share, 0.17 * rest]))]
        path = self._paths[name]
        if label == "bus" and path.turns:
            label = "van"
        length, width = float(rng.uniform(*_LENGTHS[label])), float(rng.uniform(*_WIDTHS[label]))
        slow = label == "two_wheeler" and not path.turns and bool(rng.random() < 0.5) and name[1:] == name[0] + "0"
        limit = self.junction.speed_limit
        desired = float(rng.uniform(4.0, 6.5)) if slow else float(rng.uniform(0.85, 1.15)) * limit
        edge = -(self.junction.lane_width / 2 - 0.35)
        offset = float(rng.normal(0.0, 0.12)) + (edge if slow else 0.1)
        accel = float(rng.uniform(1.3, 2.2)) * (0.6 if label == "bus" else 1.0)
        style = int(rng.integers(1 << 30))
        if pace:
            desired, offset = pace, 0.1
        me = Vehicle(
            track=0,
            label=label,
            path=path,
            way=name,
            length=length,
            width=width,
            s=length,
            v=desired if pace else 0.85 * desired,
            desired=desired,
            accel=accel,
            offset=max(offset, edge) if slow else offset,
            style=style,
            sneaks=pace > 0,
            stop_s=self._stops[name],
            road="main" if name[0] in "ns" else "cross",
            yields=self._yields[name],
            previous_s=length,
        )
        for other in self.vehicles:
            gap = self._gap(me, other)
            if gap < 1e8 and gap < 8.0:
                return False
            if other.path.lane_in == path.lane_in and other.s - other.length < length + 8.0:
                return False
            if gap < 25.0 and other.v < me.v:
                me.v = other.v
        me.track = self._track()
        me.previous_v = me.v
        self.vehicles.append(me)
        return True

    def _track(self) -> int:
        self._next_track += 1
        return self._next_track - 1


def _stop_distance(junction: Junction, name: str, path: Path) -> float:
    far_stop = 2 * junction.cross_y - junction.stop_y
    return {
        "n": lambda: path.distance_to(y=junction.stop_y),
        "s": lambda: path.distance_to(y=far_stop),
        "e": lambda: path.distance_to(x=-junction.side_stop()),
        "w": lambda: path.distance_to(x=junction.side_stop()),
    }[name[0]]()


def _yield_points(junction: Junction, name: str, path: Path) -> tuple[tuple[float, str], ...]:
    """Where a path meets pedestrian crossings: distances of the line before each, and the crossing's name."""
    near, far, side = junction.near_crossing, junction.far_crossing, junction.side_crossing
    start, end = name[0], ({"nn": "N", "ss": "S", "ee": "E", "ww": "W"}.get(name[:2], name[1].upper()))
    entry = {"n": ("near", None, near[0]), "s": ("far", None, far[1]), "e": ("left", -side[1], None)}
    entry["w"] = ("right", side[1], None)
    leave = {"N": ("far", None, far[0]), "S": ("near", None, near[1]), "E": ("right", side[0], None)}
    leave["W"] = ("left", -side[0], None)
    points = []
    for crossing, x, y in (entry[start], leave[end]):
        at = path.distance_to(x=x, y=y)
        if at > 0:
            points.append((at - 0.8, crossing))
    return tuple(points)
