"""Solid bodies made of flat faces, in their own frame: x forward, y left, z up, metres."""

from typing import Literal, TypeAlias

import numpy as np

from simulator.arrays import Colour, Floats, Ints

Lamp: TypeAlias = Literal["head", "tail", "left", "right"]
_CORNERS = 12


class Mesh:
    """Faces in drawing order; a face is drawn when it looks at the camera.

    `vertices` [V, 3]; `faces` [F, 12] indices (short faces repeat their last corner); `counts` [F];
    `sides` [F] is +1 or -1 for parts on the left or right that the body hides from the other side;
    `colours` [F, 3]; `normals` [F, 3]; `glows` maps lamps to points; `detail` [F] marks faces that vanish far away.
    """

    def __init__(self) -> None:
        self._vertices: list[tuple[float, float, float]] = []
        self._faces: list[list[int]] = []
        self._colours: list[Colour] = []
        self._detail: list[bool] = []
        self._lit: list[str] = []
        self._sides: list[int] = []
        self.lamps: list[tuple[Lamp, int, float]] = []

    def add(
        self,
        points: Floats | list[list[float]],
        colour: Colour,
        detail: bool = False,
        lamp: str = "",
        side: int = 0,
    ) -> None:
        """A flat convex face; corners counter-clockwise seen from outside."""
        base = len(self._vertices)
        corners = [tuple(float(c) for c in p) for p in points]
        self._vertices.extend(corners)  # type: ignore[arg-type]
        self._faces.append(list(range(base, base + len(corners))))
        self._colours.append(colour)
        self._detail.append(detail)
        self._lit.append(lamp)
        self._sides.append(side)

    def glow(self, lamp: Lamp, point: tuple[float, float, float], radius: float) -> None:
        """A point that shines when that lamp is on."""
        self._vertices.append(point)
        self.lamps.append((lamp, len(self._vertices) - 1, radius))

    def box(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        colour: Colour,
        side: int = 0,
    ) -> None:
        """An axis-parallel box without its bottom."""
        (a, b), (c, d), (e, f) = x, y, z
        for corners in (
            [[a, c, e], [b, c, e], [b, c, f], [a, c, f]],
            [[b, d, e], [a, d, e], [a, d, f], [b, d, f]],
            [[b, c, e], [b, d, e], [b, d, f], [b, c, f]],
            [[a, d, e], [a, c, e], [a, c, f], [a, d, f]],
            [[a, c, f], [b, c, f], [b, d, f], [a, d, f]],
        ):
            self.add(corners, colour, side=side)

    def mirrors(self, x: float, half: float, z: float, tall: float, colour: Colour) -> None:
        """A wing mirror on either side."""
        self.box((x, x + 0.18), (half, half + 0.17), (z, z + tall), colour, side=1)
        self.box((x, x + 0.18), (-half - 0.17, -half), (z, z + tall), colour, side=-1)

    def wheel(self, x: float, side: float, radius: float) -> None:
        """Tyre and rim on one side plane (y = side)."""
        angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        for r, colour, detail in (
            (radius * 1.14, (14, 14, 16), True),
            (radius, (30, 30, 33), False),
            (
                radius * 0.6,
                (136, 138, 142),
                True,
            ),
        ):
            push = np.sign(side) * (0.004 if r > radius else 0.012 if r == radius else 0.02)
            ring = np.stack([x + r * np.cos(angles), np.full(12, side + push), radius + r * np.sin(angles)], 1)
            ring[:, 2] = np.maximum(ring[:, 2], 0.0)
            self.add(ring if side < 0 else ring[::-1], colour, detail)

    def freeze(self) -> "Mesh":
        """Build the arrays; call once when complete."""
        self.vertices: Floats = np.array(self._vertices)
        self.counts: Ints = np.array([len(f) for f in self._faces])
        self.faces: Ints = np.array([f + [f[-1]] * (_CORNERS - len(f)) for f in self._faces])
        self.colours: Floats = np.array(self._colours, dtype=float)
        self.detail = np.array(self._detail)
        self.sides: Ints = np.array(self._sides)
        self.lit_by = list(self._lit)
        first, second, third = (self.vertices[self.faces[:, i]] for i in (0, 1, 2))
        normals = np.cross(second - first, third - second)
        self.normals: Floats = normals / np.maximum(np.linalg.norm(normals, axis=1), 1e-9)[:, None]
        #: Distance of each face's plane from the origin, along its normal.
        self.planes: Floats = (self.normals * first).sum(axis=1)
        self.outer: Ints = _outermost(self.vertices)
        return self


_WAYS = np.array(
    [
        (np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e))
        for a in np.linspace(0, 2 * np.pi, 33)[:-1]
        for e in np.linspace(-1.5, 1.5, 13)
    ]
).T


def _outermost(vertices: Floats) -> Ints:
    """Indices of the vertices that are farthest in some direction: those an outline can be made of."""
    return np.asarray(np.unique((vertices @ _WAYS).argmax(axis=0)))


def inset(quad: Floats, u: tuple[float, float], v: tuple[float, float], lift: float = 0.008) -> Floats:
    """A patch of a quad [4, 3] (corners bottom-left, bottom-right, top-right, top-left), lifted off it (metres)."""
    a, b, c, d = np.asarray(quad, dtype=float)
    normal = np.cross(b - a, c - b)
    normal = normal / max(float(np.linalg.norm(normal)), 1e-9) * lift

    def at(s: float, t: float) -> Floats:
        return np.asarray((1 - t) * ((1 - s) * a + s * b) + t * ((1 - s) * d + s * c) + normal)

    return np.array([at(u[0], v[0]), at(u[1], v[0]), at(u[1], v[1]), at(u[0], v[1])])
