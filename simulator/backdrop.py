"""The still part of the picture: ground, markings, buildings, trees, sky. Rendered once per scene."""

import cv2
import numpy as np
import numpy.typing as npt

from simulator.arrays import Colour, Floats, Picture, stream
from simulator.camera import Camera
from simulator.junction import Junction
from simulator.look import Look
from simulator.skyline import draw_skyline

_FAR = 200.0
_SHIFT = 4


class Ground:
    """Draws flat polygons (metres) onto a picture."""

    def __init__(self, picture: Picture, camera: Camera) -> None:
        self.picture = picture
        self._camera = camera

    def fill(self, corners: Floats | list[tuple[float, float]], colour: Colour) -> None:
        """Fill a ground polygon; what lies behind the camera is cut away."""
        points = _clip_front(np.asarray(corners, dtype=float), self._camera)
        if len(points) < 3:
            return
        pixels, _ = self._camera.project(np.column_stack([points, np.zeros(len(points))]))
        pixels = np.clip(pixels, -30000, 30000)
        cv2.fillPoly(self.picture, [np.round(pixels * (1 << _SHIFT)).astype(np.int32)], colour, cv2.LINE_AA, _SHIFT)

    def bar(self, a: tuple[float, float], b: tuple[float, float], width: float, colour: Colour) -> None:
        """A painted line from a to b (metres)."""
        direction = np.array(b) - np.array(a)
        side = np.array([-direction[1], direction[0]]) / max(float(np.hypot(*direction)), 1e-9) * width / 2
        self.fill(np.array([a + side, b + side, b - side, a - side]), colour)

    def dashes(
        self, a: tuple[float, float], b: tuple[float, float], width: float, dash: float, gap: float, colour: Colour
    ) -> None:
        """A broken line."""
        start, end = np.array(a), np.array(b)
        length = float(np.hypot(*(end - start)))
        unit = (end - start) / length
        for at in np.arange(0.0, length, dash + gap):
            p, q = start + unit * at, start + unit * min(at + dash, length)
            self.bar((float(p[0]), float(p[1])), (float(q[0]), float(q[1])), width, colour)


def render_backdrop(seed: int, junction: Junction, camera: Camera, look: Look) -> Picture:
    """The empty scene, uint8 [H, W, 3] RGB, drawn at twice the size and scaled down for smooth edges."""
    rng = stream(seed, "backdrop")
    big = _enlarged(camera, 2)
    h, w = big.picture_height, big.picture_width
    picture = np.empty((h, w, 3), np.uint8)
    _draw_sky(picture, big, look, stream(seed, "sky"))
    ground = Ground(picture, big)
    _draw_ground(ground, junction, rng)
    _roughen(picture, big, stream(seed, "rough"))
    _shade(picture, big, junction, look, stream(seed, "lamps"))
    draw_skyline(picture, big, junction, look, stream(seed, "skyline"))
    small = cv2.resize(picture, (camera.picture_width, camera.picture_height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def _enlarged(camera: Camera, factor: int) -> Camera:
    return Camera(
        x=camera.x,
        height=camera.height,
        yaw=camera.yaw,
        pitch=camera.pitch,
        roll=camera.roll,
        field_of_view=camera.field_of_view,
        picture_width=camera.picture_width * factor,
        picture_height=camera.picture_height * factor,
    )


def _draw_sky(picture: Picture, camera: Camera, look: Look, rng: np.random.Generator) -> None:
    h, w = picture.shape[:2]
    horizon = max(2, int(camera.horizon_row()) + 4)
    ramp = np.clip(np.arange(h) / horizon, 0, 1)[:, None] ** 1.5
    column = np.array(look.sky_top) * (1 - ramp) + np.array(look.sky_low) * ramp
    picture[:] = np.round(column)[:, None, :].astype(np.uint8)
    small = rng.random((6, 10)).astype(np.float32)
    clouds = cv2.resize(small, (w, horizon), interpolation=cv2.INTER_CUBIC)
    finer = cv2.resize(rng.random((14, 30)).astype(np.float32), (w, horizon), interpolation=cv2.INTER_CUBIC)
    cover = np.clip((clouds * 0.7 + finer * 0.3 - 0.5) * 2.4, 0, 0.65)[..., None]
    bright = np.clip(np.array(look.sky_low) * 1.06, 0, 255)
    sky = picture[:horizon].astype(np.float32)
    picture[:horizon] = (sky * (1 - cover) + bright * cover).astype(np.uint8)


def _draw_ground(ground: Ground, junction: Junction, rng: np.random.Generator) -> None:
    """Flat colours under neutral light: verges, pavements, asphalt and paint."""
    far_y = 2 * junction.cross_y
    hm, hc, yc, pave = junction.half_main, junction.half_cross, junction.cross_y, junction.pavement
    tone = int(rng.integers(96, 136))
    asphalt: Colour = (tone, tone, tone + int(rng.integers(0, 7)))
    stone_tone = int(rng.integers(150, 190))
    stone: Colour = (stone_tone, stone_tone - int(rng.integers(0, 10)), stone_tone - int(rng.integers(4, 20)))
    kerb: Colour = (stone_tone + 22, stone_tone + 20, stone_tone + 16)
    verge = ((96, 124, 62), (112, 128, 76), (146, 140, 128), (126, 120, 108))[int(rng.integers(4))]
    paint_tone = int(rng.integers(212, 240))
    paint: Colour = (paint_tone, paint_tone, paint_tone - 6)
    yellow: Colour = (224, 182, 60)
    y0, y1, x1 = -5.0, _FAR, 110.0
    ground.fill([(-160, y0), (160, y0), (160, 900.0), (-160, 900.0)], verge)
    edge = 0.45
    for grow, colour in ((pave, stone), (edge, kerb), (0.0, asphalt)):
        ground.fill([(-hm - grow, y0), (hm + grow, y0), (hm + grow, y1), (-hm - grow, y1)], colour)
        cross = [(-x1, yc - hc - grow), (x1, yc - hc - grow), (x1, yc + hc + grow), (-x1, yc + hc + grow)]
        ground.fill(cross, colour)
        for sx in (-1, 1):  # rounded corners: a square patch with a disc of pavement cut out
            for sy in (-1, 1):
                _corner(ground, sx, sy, hm + grow, yc, hc + grow, 4.2 - grow * 0.6, colour)
    # Patches of newer and older asphalt.
    for _ in range(int(rng.integers(2, 7))):
        px, py = float(rng.uniform(-hm, hm - 2)), float(rng.uniform(12, 70))
        shade = tone + int(rng.integers(-14, 10))
        ground.fill(
            [(px, py), (px + float(rng.uniform(1, 3)), py), (px + 2.0, py + 5.0), (px, py + float(rng.uniform(3, 9)))],
            (shade, shade, shade + 2),
        )
    near, far = junction.near_crossing, junction.far_crossing
    gap_near, gap_far = junction.stop_y, far_y - junction.stop_y
    middle = yellow if rng.random() < 0.35 else paint
    for a, b in ((y0, gap_near), (gap_far, y1)):
        ground.bar((0.08, a), (0.08, b), 0.11, middle)
        ground.bar((-0.12, a), (-0.12, b), 0.11, middle)
        for i in range(1, junction.main_lanes):
            for side in (-1, 1):
                x = side * i * junction.lane_width
                ground.dashes((x, a), (x, b), 0.12, 3.0, 4.0, paint)
    side_stop = junction.side_stop()
    for sx in (-1, 1):
        ground.bar((sx * side_stop, yc), (sx * x1, yc), 0.13, middle)
        for j in range(1, junction.cross_lanes):
            for sy in (-1, 1):
                y = yc + sy * j * junction.lane_width
                ground.dashes((sx * side_stop, y), (sx * x1, y), 0.12, 3.0, 4.0, paint)
    ground.bar((0.15, junction.stop_y), (hm - 0.05, junction.stop_y), 0.42, paint)
    ground.bar((-0.15, gap_far), (-hm + 0.05, gap_far), 0.42, paint)
    ground.bar((-side_stop, yc - 0.1), (-side_stop, yc - hc + 0.05), 0.42, paint)
    ground.bar((side_stop, yc + 0.1), (side_stop, yc + hc - 0.05), 0.42, paint)
    for a, b in (near, far):
        for x in np.arange(-hm + 0.35, hm - 0.3, 1.0):
            ground.fill([(x, a + 0.2), (x + 0.5, a + 0.2), (x + 0.5, b - 0.2), (x, b - 0.2)], paint)
    for sx in (-1, 1):
        a, b = (sx * v for v in junction.side_crossing)
        for y in np.arange(yc - hc + 0.35, yc + hc - 0.3, 1.0):
            ground.fill([(a, y), (b, y), (b, y + 0.5), (a, y + 0.5)], paint)
    for i in range(junction.main_lanes):
        x = (i + 0.5) * junction.lane_width
        if junction.main_lanes > 1 or rng.random() < 0.6:
            _arrow(ground, x, junction.stop_y - 8.0, paint, turn=i == junction.main_lanes - 1)
    for _ in range(int(rng.integers(3, 9))):  # manholes and drains
        x, y = float(rng.uniform(-hm, hm)), float(rng.uniform(12, 60))
        turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        ground.fill(np.stack([x + 0.33 * np.cos(turn), y + 0.33 * np.sin(turn)], 1), (tone - 34, tone - 36, tone - 34))


def _corner(ground: Ground, sx: int, sy: int, x: float, yc: float, half: float, radius: float, colour: Colour) -> None:
    """Fill between the two road edges and an arc that rounds them."""
    turn = np.linspace(0, np.pi / 2, 10)
    arc = np.stack([sx * (x + radius - radius * np.sin(turn)), yc + sy * (half + radius - radius * np.cos(turn))], 1)
    ground.fill(np.vstack([[(sx * x, yc + sy * half)], arc]), colour)


def _arrow(ground: Ground, x: float, y: float, paint: Colour, turn: bool) -> None:
    ground.fill([(x - 0.08, y), (x + 0.08, y), (x + 0.08, y + 2.6), (x - 0.08, y + 2.6)], paint)
    ground.fill([(x - 0.32, y + 2.5), (x + 0.32, y + 2.5), (x, y + 4.0)], paint)
    if turn:
        ground.fill([(x, y + 1.2), (x + 0.6, y + 1.7), (x + 0.6, y + 1.95), (x, y + 1.5)], paint)
        ground.fill([(x + 0.55, y + 1.3), (x + 1.1, y + 1.9), (x + 0.55, y + 2.3)], paint)


def _roughen(picture: Picture, camera: Camera, rng: np.random.Generator) -> None:
    """Grain, stains and wheel tracks: noise lying on the ground, seen in perspective."""
    h, w = picture.shape[:2]
    homography = camera.ground_homography()
    top = int(np.clip(camera.horizon_row() + camera.picture_height * 0.012, 0, h - 1))
    ground = picture[top:]
    for cells, size, strength in ((1400, 70.0, 0.16), (500, 160.0, 0.12)):
        tile = rng.standard_normal((cells, cells), dtype=np.float32)
        tile = tile * 0.55 + cv2.GaussianBlur(tile, (0, 0), 3.0) * 4.0 + cv2.GaussianBlur(tile, (0, 0), 9.0) * 9.0
        tile8 = np.clip(128 + tile * 34 * strength, 0, 255).astype(np.uint8)
        # Texture pixels to metres: x in [-size/2, size/2], y in [2, 2 + size]; then to the rows from `top` on.
        to_ground = np.array([[size / cells, 0, -size / 2], [0, size / cells, 2.0], [0, 0, 1.0]])
        shift = np.array([[1.0, 0, 0], [0, 1.0, -top], [0, 0, 1.0]])
        layer = cv2.warpPerspective(
            tile8, shift @ homography @ to_ground, (w, h - top), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        cv2.multiply(ground, cv2.cvtColor(layer, cv2.COLOR_GRAY2RGB), dst=ground, scale=1 / 128)


def _shade(picture: Picture, camera: Camera, junction: Junction, look: Look, rng: np.random.Generator) -> None:
    """Light the ground: sun and sky, street lamps, wetness and haze."""
    h = picture.shape[0]
    top = int(np.clip(camera.horizon_row(), 0, h - 2))
    light = np.array(look.ambient) + np.array(look.direct) * look.sun[2]
    light = light * (1.0 - 0.35 * look.wet)
    ground = picture[top:].astype(np.float32)
    if look.variant in ("night", "dusk"):
        share = 1.0 if look.variant == "night" else 0.22
        lamps = lamp_field(camera, junction, rng)[top:]
        tint = np.array([1.0, 0.80, 0.52]) * share
        field = cv2.merge([lamps * np.float32(t) + np.float32(base) for t, base in zip(tint, light, strict=True)])
        cv2.multiply(ground, field, dst=ground)
    else:
        ground *= light.astype(np.float32)
    rows = np.arange(top, h) - camera.horizon_row()
    distance = camera.height * camera.focal / np.maximum(rows, 1.0)
    veil = (1.0 - np.exp(-distance / look.haze_length))[:, None, None].astype(np.float32)
    if look.wet:
        # Wet asphalt mirrors the sky at grazing angles.
        veil = veil + look.wet * 0.30 * np.exp(-(((rows / h) / 0.35) ** 2))[:, None, None].astype(np.float32)
    ground *= 1 - veil
    ground += np.array(look.haze, np.float32) * veil
    picture[top:] = np.minimum(ground, 255, out=ground).astype(np.uint8)


def lamp_field(camera: Camera, junction: Junction, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Light from the street lamps on the ground, float32 [H, W], about 0..0.6."""
    cells, size = 260, 130.0
    grid = np.zeros((cells, cells), np.float32)
    for x, y in lamp_places(junction, rng):
        ys, xs = np.mgrid[0:cells, 0:cells]
        gx, gy = xs * size / cells - size / 2, ys * size / cells
        square = (gx - x * 0.8) ** 2 + (gy - y) ** 2
        grid += (0.55 / (1.0 + square / 45.0) ** 1.5).astype(np.float32)
    to_ground = np.array([[size / cells, 0, -size / 2], [0, size / cells, 0.0], [0, 0, 1.0]])
    field = cv2.warpPerspective(
        grid,
        camera.ground_homography() @ to_ground,
        (camera.picture_width, camera.picture_height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0.0,
    )
    return np.asarray(field, dtype=np.float32)


def lamp_places(junction: Junction, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Where street lamps stand (metres)."""
    side = junction.half_main + 1.0
    spacing = float(rng.uniform(20, 30))
    start = float(rng.uniform(6, 14))
    places = []
    for k in range(5):
        places.append((side if k % 2 == 0 else -side, start + k * spacing * 0.7))
    places += [(34.0, junction.cross_y - junction.half_cross - 1), (-34.0, junction.cross_y + junction.half_cross + 1)]
    return places


def _clip_front(points: Floats, camera: Camera) -> Floats:
    """Cut a ground polygon at a line a little in front of the camera."""
    matrix = camera.matrix()[2]
    depth = points @ matrix[:2] + matrix[3]
    limit = 1.5
    kept = []
    for i in range(len(points)):
        j = (i + 1) % len(points)
        if depth[i] >= limit:
            kept.append(points[i])
        if (depth[i] >= limit) != (depth[j] >= limit):
            t = (limit - depth[i]) / (depth[j] - depth[i])
            kept.append(points[i] + t * (points[j] - points[i]))
    return np.array(kept) if kept else np.empty((0, 2))
