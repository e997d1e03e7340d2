"""The empty room as the camera sees it: floor, walls, ceiling, each pixel's ray followed to what it meets first."""

from typing import Final

import numpy as np

from simulator.arrays import Colour, Floats, Picture
from simulator.camera import Camera
from simulator.shop.figure import cloth
from simulator.shop.floor import Floor

CEILING: Final = 3.7
_POSTERS: Final = 9
_TABLE: Final = 64


class Paint:
    """Colours and patterns of one room, drawn once."""

    def __init__(self, rng: np.random.Generator) -> None:
        def pale(low: int, high: int) -> Floats:
            return np.clip(rng.uniform(low, high) + rng.uniform(-16, 16, 3), 0, 255)

        self.pattern = ("tiles", "planks", "carpet")[int(rng.integers(3))]
        self.floor = (
            pale(110, 205) if self.pattern != "planks" else np.array([176.0, 138.0, 98.0]) * rng.uniform(0.6, 1.15)
        )
        self.wall = pale(160, 235)
        self.accent = np.array(cloth(rng), float)
        self.ceiling = pale(190, 235)
        self.size = float(rng.uniform(0.4, 0.9)) if self.pattern == "tiles" else float(rng.uniform(0.12, 0.22))
        self.tones = rng.normal(1.0, 0.035 if self.pattern != "carpet" else 0.015, (_TABLE, _TABLE))
        self.lamps = float(rng.uniform(1.8, 2.8))
        self.pools = float(rng.uniform(0.04, 0.2))
        self.posters = [
            (int(rng.integers(4)), float(rng.random()), float(rng.uniform(1.1, 1.9)), float(rng.uniform(0.5, 1.4)),
             float(rng.uniform(0.5, 1.2)), cloth(rng), cloth(rng))
            for _ in range(_POSTERS)
        ]  # fmt: skip


def room_picture(camera: Camera, floor: Floor, paint: Paint) -> tuple[Picture, Floats]:
    """Picture uint8 [H, W, 3], and which pixels show the floor, float64 [H, W] 0 or 1."""
    h, w = camera.picture_height, camera.picture_width
    matrix = camera.matrix()
    columns, rows = np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)
    rays = np.stack([columns, rows, np.ones_like(columns)], axis=-1) @ np.linalg.inv(matrix[:, :3]).T
    eye = camera.position
    left, near, right, far = floor.room
    planes = ((2, 0.0), (2, CEILING), (0, left), (0, right), (1, near), (1, far))
    reach = np.full((len(planes), h, w), np.inf)
    for k, (axis, level) in enumerate(planes):
        with np.errstate(divide="ignore", invalid="ignore"):
            far_off = (level - eye[axis]) / rays[..., axis]
        reach[k] = np.where(far_off > 1e-6, far_off, np.inf)
    met = reach.argmin(axis=0)
    points = eye + rays * reach.min(axis=0)[..., None]
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    colours = np.zeros((h, w, 3))
    colours[met == 0] = _floor(x[met == 0], y[met == 0], paint)
    colours[met == 1] = _ceiling(x[met == 1], y[met == 1], paint)
    for k in range(2, 6):
        here = met == k
        along, level = (y, z) if k < 4 else (x, z)
        shade = (0.93, 0.88, 0.8, 1.0)[k - 2]
        colours[here] = _wall(along[here], level[here], k - 2, floor, paint) * shade
    # away from the lamps and into the corners it gets darker
    away = np.minimum(np.minimum(x - left, right - x), np.minimum(y - near, far - y))
    colours *= (0.86 + 0.14 * np.clip(away / 1.2, 0, 1))[..., None]
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8), np.asarray(met == 0, float)


def _floor(x: Floats, y: Floats, paint: Paint) -> Floats:
    if paint.pattern == "planks":
        column = np.floor(x / paint.size).astype(int)
        row = np.floor(y / 1.3 + (column * 7919 % 13) / 13).astype(int)
        edge = (np.abs((x / paint.size) % 1 - 0.5) > 0.47) | (
            np.abs((y / 1.3 + (column * 7919 % 13) / 13) % 1 - 0.5) > 0.494
        )
    else:
        column, row = np.floor(x / paint.size).astype(int), np.floor(y / paint.size).astype(int)
        edge = np.maximum(np.abs((x / paint.size) % 1 - 0.5), np.abs((y / paint.size) % 1 - 0.5)) > 0.485
        if paint.pattern == "carpet":
            edge = np.zeros_like(edge)
    tone = paint.tones[row % _TABLE, column % _TABLE]
    pools = np.cos(2 * np.pi * x / paint.lamps) * np.cos(2 * np.pi * y / paint.lamps)
    tone = tone * np.where(edge, 0.86, 1.0) * (1 - paint.pools + paint.pools * pools)
    return np.asarray(paint.floor * tone[:, None])


def _ceiling(x: Floats, y: Floats, paint: Paint) -> Floats:
    lamp = (np.abs((x / paint.lamps + 0.5) % 1 - 0.5) < 0.1) & (np.abs((y / paint.lamps + 0.5) % 1 - 0.5) < 0.26)
    return np.where(lamp[:, None], 252.0, paint.ceiling * 0.85)


def _wall(along: Floats, level: Floats, wall: int, floor: Floor, paint: Paint) -> Floats:
    left, near, right, far = floor.room
    begin, end = (near, far) if wall < 2 else (left, right)
    colours = np.tile(paint.accent if wall == 3 else paint.wall, (len(along), 1))
    colours = colours * (0.82 + 0.06 * level)[:, None]
    for on, share, low, wide, tall, ground, figure in paint.posters:
        middle = begin + 0.8 + share * (end - begin - 1.6)
        u, v = (along - middle) / wide * 2, (level - low) / tall
        inside = (np.abs(u) < 1) & (v > 0) & (v < 1)
        if on == wall:
            colours[inside] = ground
            colours[inside & (u**2 + (2 * v - 1.1) ** 2 < 0.35)] = figure
            colours[inside & ((np.abs(u) > 0.94) | (np.abs(v - 0.5) > 0.47))] = (46, 46, 48)
    if wall == 3:  # the mirror: the room's colours, dull
        inside = (along > floor.mirror[0]) & (along < floor.mirror[1]) & (level > 0.15) & (level < 2.0)
        grey = 0.55 * paint.floor + 0.35 * paint.wall
        colours[inside] = (grey * (0.75 + 0.12 * level[:, None]))[inside]
        frame = inside & ((np.abs(along - sum(floor.mirror) / 2) > 0.76) | (np.abs(level - 1.075) > 0.88))
        colours[frame] = (96, 84, 66)
    colours[level < 0.1] = _dark(paint.wall)
    return np.asarray(colours)


def _dark(colour: Floats) -> Colour:
    return int(colour[0] * 0.62), int(colour[1] * 0.6), int(colour[2] * 0.58)
