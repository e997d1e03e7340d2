"""Renders one part without the camera's light: what lies on the belt, its cover, and the shadow it throws."""

import math
from collections.abc import Sequence
from typing import Final

import cv2
import msgspec
import numpy as np

from simulator.line.defect import Defect
from simulator.line.design import PIXELS_PER_MM, SIDE, Design
from simulator.line.flaw import Canvas, Ground, paint_defect, paint_speck
from simulator.line.part import Part
from simulator.line.surface import Plane, print_cover, texture

_OVER: Final = 2
"""canvas pixels per pixel, each way"""
_CANVAS: Final = SIDE * _OVER
_SCALE: Final = PIXELS_PER_MM * _OVER


class Layer(msgspec.Struct, frozen=True):
    """A part's picture, float32: `colour` [SIDE, SIDE, 3] already multiplied by `alpha` [SIDE, SIDE], its cover;
    `shadow` [SIDE, SIDE], the share of light that reaches the belt."""

    colour: Canvas
    alpha: Plane
    shadow: Plane


class Painter:
    """One part; `layer` shows it with any of its defects, everything else being the same to the bit."""

    def __init__(self, part: Part, design: Design) -> None:
        self._part, self._design = part, design
        self.ground = Ground(_CANVAS, _SCALE, part.angle, (part.dx, part.dy), design.light)
        self._outside = _plate_distance(design, self.ground.u, self.ground.v)
        cover = np.clip(0.5 - self._outside * _SCALE, 0, 1)
        holes = self._hole_cover()
        self._solid = np.asarray(cover * (1 - holes), np.float32)
        self._bare = self._surface()
        self._gloss = self._glare()[..., None]
        self._alpha = _developed(self._solid, design.blur)
        self._shade = self._shadow(holes)

    def layer(self, defects: Sequence[Defect]) -> Layer:
        """The part with these defects and no others."""
        colour = self._bare.copy()
        for defect in defects:
            paint_defect(colour, self.ground, defect)
        for speck in self._part.specks:  # dust lies on top
            paint_speck(colour, self.ground, speck)
        colour += self._gloss
        np.clip(colour, 0.02, 1.3, out=colour)
        colour *= self._solid[..., None]
        return Layer(_developed(colour, self._design.blur), self._alpha, self._shade)

    def _surface(self) -> Canvas:
        """Material, chamfer, countersinks and print."""
        part, design, ground = self._part, self._design, self.ground
        grain = texture(part.grain, _CANVAS, design.material, design.grain + part.angle, design.coarse)
        if part.tool_marks and design.holes:
            # a cutter's rings around a hole
            hole = design.holes[0]
            window = ground.window(hole.x, hole.y, hole.radius + 2.0)
            away = np.hypot(ground.u[window] - hole.x, ground.v[window] - hole.y)
            rings = np.sin(away * 38) * np.exp(-(away - hole.radius) / 0.5) * (away > hole.radius)
            grain[window] *= 1 + np.float32(part.tool_marks) * rings
        # the light falls off a little across the plate
        slope = 1 + 0.012 * (ground.u * math.cos(ground.light) + ground.v * math.sin(ground.light))
        colour = np.array(design.tone, np.float32) * np.float32(part.tint) * (grain * slope)[..., None]
        colour = colour.astype(np.float32)
        ink = self._print()[..., None] * np.float32(part.print_strength)
        colour = np.asarray(colour + ink * (np.array(design.ink, np.float32) - colour), np.float32)
        return np.asarray(colour * self._bevels()[..., None], np.float32)

    def _print(self) -> Plane:
        upright = print_cover(self._design, self._part.print_shift, _CANVAS, _SCALE)
        turn = np.asarray(
            cv2.getRotationMatrix2D((_CANVAS / 2 - 0.5, _CANVAS / 2 - 0.5), -math.degrees(self._part.angle), 1.0),
            np.float64,
        )
        turn[:, 2] += np.array([self._part.dx, self._part.dy]) * _SCALE
        return np.asarray(cv2.warpAffine(upright, turn, (_CANVAS, _CANVAS), flags=cv2.INTER_LINEAR), np.float32)

    def _bevels(self) -> Plane:
        """Chamfer and countersinks: bright where they face the light, dark where they turn away."""
        ground, design = self.ground, self._design
        rows, columns = np.gradient(self._outside, 1 / _SCALE)
        # canvas axes to plate axes is a turn, and light is told in the plate's: turn it back
        light = design.light
        facing = columns * math.cos(light) + rows * math.sin(light)
        within = np.clip((self._outside + design.chamfer) * _SCALE + 0.5, 0, 1)
        factor = 1 + within * 0.38 * facing
        for hole in design.holes:
            if hole.sink:
                window = ground.window(hole.x, hole.y, hole.radius + hole.sink + 2 / _SCALE)
                x, y = ground.u[window] - hole.x, ground.v[window] - hole.y
                away = np.maximum(np.hypot(x, y), 1e-3)
                inwards = -(x * math.cos(ground.light) + y * math.sin(ground.light)) / away
                ring = np.clip((hole.radius + hole.sink - away) * _SCALE + 0.5, 0, 1)
                factor[window] *= 1 + ring * 0.35 * inwards
        return np.asarray(factor, np.float32)

    def _hole_cover(self) -> Plane:
        cover = np.zeros((_CANVAS, _CANVAS), np.float32)
        for hole in self._design.holes:
            window = self.ground.window(hole.x, hole.y, hole.radius + 2 / _SCALE)
            away = np.hypot(self.ground.u[window] - hole.x, self.ground.v[window] - hole.y)
            cover[window] = np.clip(0.5 + (hole.radius - away) * _SCALE, 0, 1)
        return cover

    def _glare(self) -> Plane:
        """The lamp's reflection, drawn out across the grain where brushed."""
        x, y, width, strength = self._part.glare
        along = 3.0 if self._design.material == "brushed" else 1.0
        angle = self._design.grain + math.pi / 2
        u, v = self.ground.u - x, self.ground.v - y
        far = (u * math.cos(angle) + v * math.sin(angle)) / (width * along)
        near = (v * math.cos(angle) - u * math.sin(angle)) / width
        return np.asarray(strength * np.exp(-(far**2 + near**2)), np.float32)

    def _shadow(self, holes: Plane) -> Plane:
        """Soft, on the side away from the light; within holes it is deep."""
        light, drop = self._design.light, 0.35 * _SCALE
        move = np.array([[1, 0, -math.cos(light) * drop], [0, 1, -math.sin(light) * drop]])
        thrown = cv2.warpAffine(self._solid, move, (_CANVAS, _CANVAS), flags=cv2.INTER_LINEAR)
        soft = cv2.blur(thrown, (9, 9))
        return _developed(np.asarray(1 - 0.55 * soft - 0.25 * holes, np.float32), self._design.blur)


def _developed(plane: Canvas, blur: float) -> Canvas:
    """The lens's blur (pixels), and pixels of the sensor's size."""
    blurred = cv2.GaussianBlur(plane, (7, 7), blur * _OVER)
    return np.asarray(cv2.resize(blurred, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)


def _plate_distance(design: Design, u: Plane, v: Plane) -> Plane:
    """Signed distance to a rectangle with round corners, millimetres; below 0 inside."""
    x = np.abs(u) - np.float32(design.width / 2 - design.corner)
    y = np.abs(v) - np.float32(design.height / 2 - design.corner)
    outside = np.hypot(np.maximum(x, 0), np.maximum(y, 0))
    return np.asarray(outside + np.minimum(np.maximum(x, y), 0) - np.float32(design.corner), np.float32)


def nominal_area(kind: str, size: float, length: float) -> float:
    """Pixels that a defect covers."""
    square = size * (length - size) + math.pi / 4 * size**2 if kind == "scratch" else math.pi / 4 * size**2
    return square * PIXELS_PER_MM**2
