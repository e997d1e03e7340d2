"""Turns the physics' actors of one moment into placed objects."""

import numpy as np

from simulator.actors import Pedestrian, Vehicle
from simulator.arrays import Floats, stream
from simulator.bodies import body
from simulator.camera import Camera
from simulator.figures import Limb, arrays, rider, walker
from simulator.junction import Junction
from simulator.look import Look
from simulator.mesh import Mesh
from simulator.placement import Placed

#: Objects farther than this (metres) are too small to be anything.
_FARTHEST = 170.0
_NEAREST = 4.0
PARKED_TRACKS = 900_000


class Stage:
    """Places vehicles and people; keeps the meshes of those seen before."""

    def __init__(self, seed: int, junction: Junction, camera: Camera, look: Look) -> None:
        self._camera = camera
        self._matrix = camera.matrix()
        self._look = look
        self._meshes: dict[int, Mesh] = {}
        rng = stream(seed, "lamp-use")
        self._early = float(rng.uniform(0.1, 0.5))  # share of drivers with lights on by day
        self._parked = self._park(junction, stream(seed, "parked"))

    def place(self, vehicles: list[Vehicle], people: list[Pedestrian], blend: float, time_s: float) -> list[Placed]:
        """All objects that fall into the picture, in an order of their own (tracks ascending)."""
        if len(self._meshes) > 2 * len(vehicles) + 50:
            here = {vehicle.track for vehicle in vehicles}
            self._meshes = {track: mesh for track, mesh in self._meshes.items() if track in here}
        placed = [p for v in vehicles if (p := self._vehicle(v, blend, time_s)) is not None]
        placed += [p for w in people if (p := self._person(w, blend)) is not None]
        placed += self._parked
        return sorted(placed, key=lambda p: p.track)

    def _vehicle(self, vehicle: Vehicle, blend: float, time_s: float) -> Placed | None:
        x, y, heading = vehicle.pose(blend)
        if not self._near(x, y, vehicle.length):
            return None
        placed = Placed(vehicle.track, vehicle.label, x, y, heading)
        placed.speed = vehicle.speed(blend)
        placed.lamps_on = self._lamps(vehicle, time_s)
        if vehicle.label == "two_wheeler":
            limbs, motor = rider(vehicle.length, vehicle.style, vehicle.roll, self._look.variant == "rain")
            if self._look.lamps:
                limbs = _lit_bike(limbs, vehicle.length, motor, vehicle.braking)
            self._limbs(placed, limbs, vehicle.length, vehicle.width)
        else:
            mesh = self._meshes.get(vehicle.track)
            if mesh is None:
                mesh = body(vehicle.label, vehicle.length, vehicle.width, vehicle.style)
                self._meshes[vehicle.track] = mesh
            placed.place_mesh(self._matrix, self._camera.position, mesh, vehicle.length, vehicle.width)
        return placed if self._inside(placed) else None

    def _person(self, person: Pedestrian, blend: float) -> Placed | None:
        x, y, heading = person.pose(blend)
        if not self._near(x, y, 0.5):
            return None
        placed = Placed(person.track, "pedestrian", x, y, heading)
        placed.speed = person.pace if person.moving else 0.0
        limbs = walker(person.stature, person.style, person.stride, person.moving, self._look.variant == "rain")
        self._limbs(placed, limbs, 0.4, 0.5)
        return placed if self._inside(placed) else None

    def _limbs(self, placed: Placed, limbs: list[Limb], length: float, width: float) -> None:
        ends, radii, colours = arrays(limbs)
        placed.place_limbs(self._matrix, self._camera.focal, ends, radii, colours, length, width)

    def _lamps(self, vehicle: Vehicle, time_s: float) -> frozenset[str]:
        on: set[str] = {"sign"}
        if self._look.lamps or (vehicle.style % 1000) / 1000 < self._early:
            on.add("head")
        if self._look.lamps:
            on.add("tail")
        if vehicle.braking:
            on |= {"tail", "brake"}
        blink = (time_s * 1.4 + vehicle.track * 0.37) % 1.0 < 0.5
        if vehicle.path.turns and vehicle.s < vehicle.path.joins_at + 4.0 and blink:
            on.add("right")
        return frozenset(on)

    def _near(self, x: float, y: float, size: float) -> bool:
        point = self._matrix @ np.array([x, y, 0.5, 1.0])
        return bool(_NEAREST + size / 2 < point[2] < _FARTHEST)

    def _inside(self, placed: Placed) -> bool:
        x1, y1, x2, y2 = placed.box
        shown = x2 > 1 and y2 > 1 and x1 < self._camera.picture_width - 1 and y1 < self._camera.picture_height - 1
        return bool(shown and (placed.mesh is None or placed.depths.min() > 1.0))

    def _park(self, junction: Junction, rng: np.random.Generator) -> list[Placed]:
        """Vehicles that stand beside the road the whole time."""
        parked: list[Placed] = []
        beside = junction.half_main + junction.pavement + 1.4
        far = 2 * junction.cross_y - junction.stop_y + 8.0
        for side in (-1.0, 1.0):
            y = far + float(rng.uniform(0, 10))
            while y < far + 55:
                if rng.random() < 0.28:
                    self._add_parked(parked, side * beside, y, np.pi / 2 * side, rng)
                y += float(rng.uniform(6.0, 9.0))
            if rng.random() < 0.35:
                self._add_parked(parked, side * (beside + 0.4), float(rng.uniform(13.0, 17.0)), np.pi / 2 * side, rng)
        return parked

    def _add_parked(self, parked: list[Placed], x: float, y: float, heading: float, rng: np.random.Generator) -> None:
        label = "van" if rng.random() < 0.2 else "car"
        length, width = (5.4, 1.95) if label == "van" else (float(rng.uniform(3.9, 4.7)), 1.78)
        style = int(rng.integers(1 << 30))
        if not self._near(x, y, length):
            return
        placed = Placed(PARKED_TRACKS + len(parked), "van" if label == "van" else "car", x, y, heading)
        mesh = body(placed.label, length, width, style)  # type: ignore[arg-type]
        placed.place_mesh(self._matrix, self._camera.position, mesh, length, width)
        if self._inside(placed):
            parked.append(placed)

    def pixel(self, ground: Floats) -> Floats:
        """Ground points [N, 2] (metres) to pixels [N, 2]."""
        return self._camera.project(np.column_stack([ground, np.zeros(len(ground))]))[0]


def _lit_bike(limbs: list[Limb], length: float, motor: bool, braking: bool) -> list[Limb]:
    size = 0.09 if motor else 0.05
    front, back = length / 2 - 0.12, -length / 2 + 0.12
    lamp: Limb = ((front, 0.0, 0.88), (front, 0.0, 0.9), size, (900, 880, 780))
    tail: Limb = ((back, 0.0, 0.72), (back, 0.0, 0.74), size * (1.2 if braking else 0.8), (1500, 120, 100))
    return [*limbs, lamp, tail]
