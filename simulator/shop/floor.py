"""A shop's plan: racks, tables, a counter, a mirror, the door, and where one stands at each of them."""

import math
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np

from simulator.camera import Camera

Kind: TypeAlias = Literal["rack", "table", "shelf", "counter"]
Spot: TypeAlias = tuple[float, float, float]
"""x, y (metres) and heading (radians) of somebody who stands there"""


class Fixture(msgspec.Struct, frozen=True):
    """A piece of furniture; `heading` is where its length points."""

    kind: Kind
    x: float
    y: float
    heading: float
    length: float
    width: float
    height: float
    style: int


class Floor(msgspec.Struct, frozen=True):
    """`room`: left, near, right, far walls. `browsing` spots face fixtures; `fitting` spots face a mirror; the queue's
    places begin at the counter; `door` is where one comes in and goes out."""

    room: tuple[float, float, float, float]
    fixtures: tuple[Fixture, ...]
    browsing: tuple[Spot, ...]
    fitting: tuple[Spot, ...]
    queue: tuple[Spot, ...]
    door: Spot
    mirror: tuple[float, float]
    """on the far wall: where it begins and ends (x)"""


_CELL: Final = 2.35


def random_floor(rng: np.random.Generator) -> tuple[Floor, int]:
    """A plan, and on which side the camera's corner lies: 1 left, -1 right (the plan is then mirrored)."""
    columns, rows = int(rng.integers(2, 4)), int(rng.integers(2, 4))
    width, depth = 3.4 + columns * _CELL, 4.4 + rows * _CELL
    left, near = -0.5, -0.5
    fixtures: list[Fixture] = []
    spots: list[Spot] = []
    for row in range(rows):
        for column in range(columns):
            if rng.random() < 0.12:
                continue
            x = left + 1.9 + (column + 0.5) * _CELL + float(rng.uniform(-0.2, 0.2))
            y = near + 2.6 + (row + 0.5) * _CELL + float(rng.uniform(-0.2, 0.2))
            kind: Kind = ("rack", "rack", "table", "shelf")[int(rng.integers(4))]
            heading = 0.0 if rng.random() < 0.6 else math.pi / 2
            fixtures.append(_fixture(kind, x, y, heading, rng))
            spots += _around(fixtures[-1])
    right, far = left + width, near + depth
    # the counter stands before the right wall, its queue runs towards the camera
    y = far - float(rng.uniform(1.6, 2.4))
    counter = Fixture("counter", right - 0.65, y, math.pi / 2, 1.9, 0.6, 1.0, int(rng.integers(1 << 30)))
    fixtures.append(counter)
    queue = [(right - 1.35, y, 0.0)] + [(right - 1.4 - 0.04 * k, y - 0.78 * k, math.pi / 2) for k in range(1, 8)]
    mirror_x = left + float(rng.uniform(1.0, 2.2))
    fitting = [(mirror_x + 0.4, far - 1.0, math.pi / 2), (mirror_x + 1.2, far - 1.05, math.pi / 2)]
    floor = Floor(
        room=(left, near, right, far),
        fixtures=tuple(fixtures),
        browsing=tuple(s for s in spots if left + 0.5 < s[0] < right - 0.5 and near + 1.6 < s[1] < far - 0.5),
        fitting=tuple(fitting),
        queue=tuple(queue),
        door=(right - float(rng.uniform(0.9, 1.6)), near + 0.4, math.pi / 2),
        mirror=(mirror_x, mirror_x + 1.6),
    )
    side = 1 if rng.random() < 0.5 else -1
    return (floor if side > 0 else _mirrored(floor)), side


def _fixture(kind: Kind, x: float, y: float, heading: float, rng: np.random.Generator) -> Fixture:
    length = float(rng.uniform(1.1, 1.6))
    width = {"rack": 0.5, "table": 0.8, "shelf": 0.42, "counter": 0.6}[kind]
    height = {"rack": 1.45, "table": 0.78, "shelf": 1.5, "counter": 1.0}[kind] * float(rng.uniform(0.9, 1.08))
    return Fixture(kind, x, y, heading, length, width, height, int(rng.integers(1 << 30)))


def _around(fixture: Fixture) -> list[Spot]:
    """Two spots on either long side, facing it."""
    along = (math.cos(fixture.heading), math.sin(fixture.heading))
    across = (-along[1], along[0])
    away = fixture.width / 2 + 0.34
    found = []
    for side in (1, -1):
        for share in (-0.25, 0.25):
            x = fixture.x + across[0] * away * side + along[0] * share * fixture.length
            y = fixture.y + across[1] * away * side + along[1] * share * fixture.length
            found.append((x, y, math.atan2(-across[1] * side, -across[0] * side)))
    return found


def _mirrored(floor: Floor) -> Floor:
    def turned(spot: Spot) -> Spot:
        return -spot[0], spot[1], math.pi - spot[2]

    left, near, right, far = floor.room
    return Floor(
        room=(-right, near, -left, far),
        fixtures=tuple(
            msgspec.structs.replace(f, x=-f.x, heading=math.pi - f.heading if f.heading else 0.0)
            for f in floor.fixtures
        ),
        browsing=tuple(turned(s) for s in floor.browsing),
        fitting=tuple(turned(s) for s in floor.fitting),
        queue=tuple(turned(s) for s in floor.queue),
        door=turned(floor.door),
        mirror=(-floor.mirror[1], -floor.mirror[0]),
    )


def corner_camera(rng: np.random.Generator, floor: Floor, side: int, width: int, height: int) -> Camera:
    """A camera under the ceiling in the near corner, looking across the room."""
    left, _, right, far = floor.room
    across = abs(right - left)
    aim = math.atan2(across * 0.46, far * 0.55)
    tall = float(rng.uniform(2.7, 3.4))
    view = math.radians(float(rng.uniform(74, 88)))
    # narrow pictures show as much from top to bottom as wide ones: the wider the picture, the wider the view
    view = 2 * math.atan(math.tan(view / 2) * (width / height) / (16 / 9)) if width / height < 16 / 9 else view
    return Camera(
        x=0.0,
        height=tall,
        yaw=side * aim * float(rng.uniform(0.85, 1.1)),
        pitch=math.radians(float(rng.uniform(21, 29))),
        roll=math.radians(float(rng.uniform(-1.5, 1.5))),
        field_of_view=view,
        picture_width=width,
        picture_height=height,
    )
