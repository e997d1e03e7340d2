"""What stands around: buildings, trees, lamp posts. All of it behind or beside the traffic."""

import cv2
import numpy as np

from simulator.arrays import Colour, Floats, Picture
from simulator.camera import Camera
from simulator.junction import Junction
from simulator.look import Look, haze_share

_SHIFT = 4
_FACADES: tuple[Colour, ...] = (
    (186, 168, 146), (162, 120, 98), (204, 200, 190), (150, 150, 152), (176, 142, 110), (136, 108, 94),
    (198, 184, 150), (120, 128, 138), (214, 206, 196), (168, 90, 74),
)  # fmt: skip


def draw_skyline(picture: Picture, camera: Camera, junction: Junction, look: Look, rng: np.random.Generator) -> None:
    """Draw everything that stands on the verge, far things first."""
    things: list[tuple[float, int, tuple[float, ...]]] = []
    edge = junction.half_main + junction.pavement + 2.0
    kerb = junction.half_cross + junction.pavement + 2.0
    far = junction.cross_y + kerb
    for side in (-1.0, 1.0):
        y = far + float(rng.uniform(1, 6))
        while y < 190:
            depth, width = float(rng.uniform(12, 26)), float(rng.uniform(12, 24))
            x = side * (edge + float(rng.uniform(0, 7)))
            if rng.random() < 0.82:
                things.append((y + depth / 2, 0, (x, x + side * width, y, y + depth, float(rng.uniform(6, 24)))))
            y += depth + float(rng.uniform(0, 9))
        x = edge + float(rng.uniform(10, 24))
        while x < 120:
            width = float(rng.uniform(12, 24))
            if rng.random() < 0.8:
                back = far + float(rng.uniform(0, 8))
                things.append(
                    (back + 10.0, 0, (side * x, side * (x + width), back, back + 14, float(rng.uniform(6, 20))))
                )
            x += width + float(rng.uniform(0, 8))
    things.append((230.0, 0, (-26.0, 26.0, 222.0, 240.0, float(rng.uniform(8, 26)))))
    for _ in range(int(rng.integers(8, 24))):
        side = float(rng.choice([-1.0, 1.0]))
        x = side * (edge - 1.0 + float(rng.exponential(8.0)))
        y = far + float(rng.uniform(0, 90))
        things.append((y, 1, (x, y, float(rng.uniform(4.5, 9.0)), float(rng.integers(1 << 30)))))
    for _ in range(int(rng.integers(2, 10))):  # hedges and bushes on the near side
        side = float(rng.choice([-1.0, 1.0]))
        x = side * (edge + 1.5 + float(rng.exponential(7.0)))
        y = float(rng.uniform(12, junction.cross_y - kerb - 1.0))
        things.append((y, 1, (x, y, float(rng.uniform(1.0, 2.4)), float(rng.integers(1 << 30)))))
    for _, kind, numbers in sorted(things, key=lambda thing: -thing[0]):
        if kind == 0:
            _building(picture, camera, look, rng, numbers)
        else:
            _tree(picture, camera, look, numbers)


def _tint(look: Look, colour: Colour, normal: tuple[float, float, float], distance: float) -> Floats:
    facing = max(0.0, float(np.dot(normal, look.sun)))
    light = np.array(look.ambient) * (0.8 + 0.2 * normal[2]) + facing * np.array(look.direct)
    haze = haze_share(look, distance)
    return np.asarray(np.array(colour) * light * (1 - haze) + np.array(look.haze) * haze)


def _polygon(picture: Picture, camera: Camera, corners: Floats, colour: Floats) -> bool:
    pixels, depth = camera.project(corners)
    if depth.min() < 3.0:
        return False
    fixed = np.round(np.clip(pixels, -30000, 30000) * (1 << _SHIFT)).astype(np.int32)
    r, g, b = (float(c) for c in np.clip(colour, 0, 255))
    cv2.fillConvexPoly(picture, fixed, (r, g, b), cv2.LINE_AA, _SHIFT)
    return True


def _building(
    picture: Picture, camera: Camera, look: Look, rng: np.random.Generator, numbers: tuple[float, ...]
) -> None:
    x0, x1, y0, y1, tall = numbers
    x0, x1 = min(x0, x1), max(x0, x1)
    facade = _FACADES[int(rng.integers(len(_FACADES)))]
    storeys = max(2, int(tall / 3.1))
    dark: Colour = (58, 64, 72)
    glow = rng.random((storeys, 40))
    walls: list[tuple[Floats, Floats, tuple[float, float, float]]] = [
        (np.array([x0, y0]), np.array([x1, y0]), (0.0, -1.0, 0.0))
    ]
    if x0 > camera.x:
        walls.insert(0, (np.array([x0, y1]), np.array([x0, y0]), (-1.0, 0.0, 0.0)))
    elif x1 < camera.x:
        walls.insert(0, (np.array([x1, y0]), np.array([x1, y1]), (1.0, 0.0, 0.0)))
    for a, b, normal in walls:
        distance = float(np.hypot(*((a + b) / 2 - camera.position[:2])))
        corners = np.array([[*a, 0], [*b, 0], [*b, tall], [*a, tall]])
        if not _polygon(picture, camera, corners, _tint(look, facade, normal, distance)):
            continue
        columns = max(2, int(float(np.hypot(*(b - a))) / 3.2))
        pane = _tint(look, dark, normal, distance)
        ground_floor = _tint(look, (84, 78, 72), normal, distance)
        for floor in range(storeys):
            z0 = floor * 3.1 + (0.3 if floor == 0 else 1.0)
            z1 = min(floor * 3.1 + 2.5, tall - 0.3)
            for k in range(columns):
                p = a + (b - a) * ((k + 0.22) / columns)
                q = a + (b - a) * ((k + 0.78) / columns)
                quad = np.array([[*p, z0], [*q, z0], [*q, z1], [*p, z1]])
                colour = ground_floor if floor == 0 else pane
                if look.lamps and look.variant != "rain" and glow[floor, k % 40] < 0.3:
                    warm = 0.6 + glow[floor, k % 40]
                    colour = np.array([236.0, 190.0, 120.0]) * warm * (0.85 if look.variant == "night" else 0.9)
                _polygon(picture, camera, quad, colour)


def _tree(picture: Picture, camera: Camera, look: Look, numbers: tuple[float, ...]) -> None:
    x, y, tall, style = numbers
    rng = np.random.Generator(np.random.PCG64(int(style)))
    distance = float(np.hypot(x - camera.x, y))
    base, depth = camera.project(np.array([[x, y, 0.0], [x, y, tall]]))
    if depth.min() < 6.0:
        return
    scale = camera.focal / float(depth[0])
    bush = tall < 3.0
    if not bush:
        trunk = _tint(look, (84, 66, 50), (0, -1, 0.2), distance)
        foot, head = (int(base[0][0]), int(base[0][1])), (int(base[1][0]), int((base[0][1] + base[1][1]) / 2))
        cv2.line(picture, foot, head, tuple(float(c) for c in trunk), max(1, int(0.3 * scale)), cv2.LINE_AA)
    green = np.array([(70, 98, 44), (86, 110, 50), (58, 88, 52), (112, 104, 48)][int(rng.integers(4))], float)
    crown = 0.30 * tall if not bush else 0.5 * tall
    centre_z = tall - crown if not bush else crown * 0.7
    count = 110
    spread = np.clip(rng.normal(0, 0.42, (count, 3)), -0.85, 0.85)
    order = np.argsort(spread[:, 2])
    for dx, dy, dz in spread[order]:
        px, _ = camera.project(np.array([[x + dx * crown * 1.25, y + dy * crown, centre_z + dz * crown]]))
        shade = 0.62 + 0.42 * np.clip(dz + 0.25 * dx * np.sign(look.sun[0]), -1, 1) + float(rng.normal(0, 0.07))
        colour = _tint(
            look, (int(green[0] * shade), int(green[1] * shade), int(green[2] * shade)), (0, -0.5, 0.8), distance
        )
        radius = max(1, int(crown * scale * float(rng.uniform(0.10, 0.24))))
        rgb = tuple(float(c) for c in np.clip(colour, 0, 255))
        cv2.circle(picture, (int(px[0][0]), int(px[0][1])), radius, rgb, -1, cv2.LINE_AA)
