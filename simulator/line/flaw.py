"""Paints defects, dust and fibres on a part's canvas, each only where it is."""

import itertools
import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from simulator.line.defect import Defect
from simulator.line.part import Speck
from simulator.line.surface import Plane

#: float32 [S, S, 3], reflectance or light; 0..1 and a little above.
Canvas: TypeAlias = npt.NDArray[np.float32]


class Ground:
    """Where each pixel of a square canvas lies on a plate that is turned by `angle` and moved by (dx, dy) mm.

    `u`, `v` [side, side]: millimetres from the plate's middle. `light`: the direction, on the plate, that light comes
    from; radians.
    """

    def __init__(self, side: int, scale: float, angle: float, shift: tuple[float, float], light: float) -> None:
        """`scale` in pixels per millimetre; `light` as seen in the picture."""
        self.scale, self.light = scale, light - angle
        self._side, self._angle, self._shift = side, angle, shift
        axis = (np.arange(side, dtype=np.float32) + 0.5) / np.float32(scale) - np.float32(side / scale / 2)
        columns, rows = np.meshgrid(axis - np.float32(shift[0]), axis - np.float32(shift[1]))
        cos, sin = math.cos(angle), math.sin(angle)
        self.u = np.asarray(columns * cos + rows * sin, np.float32)
        self.v = np.asarray(rows * cos - columns * sin, np.float32)

    def window(self, x: float, y: float, reach: float) -> tuple[slice, slice]:
        """The rows and columns that hold everything within `reach` millimetres of (x, y) on the plate."""
        cos, sin = math.cos(self._angle), math.sin(self._angle)
        column = (x * cos - y * sin + self._shift[0]) * self.scale + self._side / 2
        row = (x * sin + y * cos + self._shift[1]) * self.scale + self._side / 2
        pixels = reach * self.scale
        return self._span(row, pixels), self._span(column, pixels)

    def _span(self, middle: float, pixels: float) -> slice:
        low, high = math.floor(middle - pixels), math.ceil(middle + pixels)
        return slice(min(max(low, 0), self._side), min(max(high, 0), self._side))


def paint_defect(canvas: Canvas, ground: Ground, defect: Defect) -> None:
    """Changes the canvas within `defect.reach`, give or take one canvas pixel for the soft edge."""
    window = ground.window(defect.x, defect.y, defect.reach + 2 / ground.scale)
    u, v, area = ground.u[window], ground.v[window], canvas[window]
    if defect.kind == "scratch":
        _scratch(area, u, v, ground, defect)
        return
    x, y, radius = u - defect.x, v - defect.y, defect.size / 2
    away = np.hypot(x, y)
    towards = (x * math.cos(ground.light) + y * math.sin(ground.light)) / radius
    if defect.kind == "pit":
        # a crater: its floor is dark, the wall that faces the light is bright
        cover = _disc(away, radius, ground.scale)
        wall = np.clip(-towards - 0.35, 0, None) * np.clip(away / radius, 0, 1)
        _shade(area, cover, np.clip(1 + defect.strength + 0.9 * wall, 0.1, 1.5))
    elif defect.kind == "dent":
        # h = -(1 - r^2)^2: smooth, and exactly level at its rim; the shading is h's slope towards the light
        bowl = np.clip(1 - (away / radius) ** 2, 0, 1)
        _shade(area, np.ones_like(away), 1 - 2.6 * defect.strength * bowl * towards)
    else:
        angle = np.arctan2(y, x)
        first, second, much = defect.wobble
        # the outline only shrinks from the circle, so that the size holds
        outline = radius * (1 - much + much * np.sin(2 * angle + first) * 0.6 + much * np.sin(5 * angle + second) * 0.4)
        cover = np.clip(0.5 + (outline - away) * ground.scale, 0, 1)
        ring = 0.75 + 0.25 * np.clip(away / outline, 0, 1) ** 4
        tint = np.array([0.8, 1.0, 1.25], np.float32) * defect.strength
        area *= 1 + (cover * ring)[..., None] * tint


def paint_speck(canvas: Canvas, ground: Ground, speck: Speck) -> None:
    """Dust or a fibre."""
    if speck.length > 0:
        thread = Defect(
            "scratch", speck.x, speck.y, speck.size, speck.length, speck.angle, speck.strength, speck.bend, (0, 0, 0)
        )
        window = ground.window(thread.x, thread.y, thread.reach + 2 / ground.scale)
        away = _distance(ground.u[window], ground.v[window], thread)
        canvas[window] += (_stroke(away, speck.size, ground.scale) * speck.strength)[..., None]
        return
    window = ground.window(speck.x, speck.y, speck.size / 2 + 2 / ground.scale)
    away = np.hypot(ground.u[window] - speck.x, ground.v[window] - speck.y)
    canvas[window] += (_disc(away, speck.size / 2, ground.scale) * speck.strength)[..., None]


def _scratch(area: Canvas, u: Plane, v: Plane, ground: Ground, defect: Defect) -> None:
    """A groove: as light or dark as its strength, one wall a little darker than the other."""
    away = _distance(u, v, defect)
    cover = _stroke(away, defect.size, ground.scale)
    across = -(u - defect.x) * math.sin(defect.angle) + (v - defect.y) * math.cos(defect.angle)
    wall = 1 + 0.25 * np.clip(across / defect.size, -1, 1)
    area += (cover * wall * defect.strength)[..., None]


def _shade(area: Canvas, cover: Plane, factor: Plane) -> None:
    area *= (1 + cover * (factor - 1))[..., None]


def _distance(u: Plane, v: Plane, defect: Defect) -> Plane:
    """Millimetres from each pixel to the spine."""
    spine = np.array(defect.spine(), np.float32)
    best = np.full(u.shape, np.inf, np.float32)
    for (x1, y1), (x2, y2) in itertools.pairwise(spine):
        dx, dy = x2 - x1, y2 - y1
        share = np.clip(((u - x1) * dx + (v - y1) * dy) / max(float(dx * dx + dy * dy), 1e-9), 0, 1)
        np.minimum(best, np.hypot(u - x1 - share * dx, v - y1 - share * dy), out=best)
    return best


def _stroke(away: Plane, width: float, scale: float) -> Plane:
    """The share of a pixel that a stroke covers whose middle line is `away`: the overlap of two intervals."""
    half = 0.5 / scale
    overlap = np.minimum(away + half, width / 2) - np.maximum(away - half, -width / 2)
    return np.asarray(np.clip(overlap * scale, 0, 1), np.float32)


def _disc(away: Plane, radius: float, scale: float) -> Plane:
    """The same of a disc; one smaller than a pixel dims by its area."""
    small = min(1.0, math.pi * (radius * scale) ** 2)
    return np.asarray(np.clip(0.5 + (max(radius, 0.5 / scale) - away) * scale, 0, 1) * small, np.float32)
