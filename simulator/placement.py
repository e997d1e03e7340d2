"""One thing in one frame: where its surfaces fall in the picture, before anything is painted."""

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from simulator.actors import Label
from simulator.arrays import Floats
from simulator.camera import project
from simulator.mesh import Mesh


class Placed:
    """An object ready to be painted: pixels, depth, outline box and footprint.

    `box` is the full extent of its outline in pixels (x1, y1, x2, y2), not cut at the picture's edge;
    `footprint` [4, 2] its corners on the ground in metres.
    """

    def __init__(self, track: int, label: Label | Literal["post"], x: float, y: float, heading: float) -> None:
        self.track = track
        self.label = label
        self.x, self.y, self.heading = x, y, heading
        self.speed = 0.0
        self.box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
        self.depth = 0.0
        self.footprint: Floats = np.zeros((4, 2))
        self.mesh: Mesh | None = None
        self.world: Floats = np.zeros((0, 3))
        self.pixels: Floats = np.zeros((0, 2))
        self.depths: Floats = np.zeros(0)
        #: Solid bodies: convex outline in pixels [K, 2]; which faces look at the camera [F].
        self.outline: Floats = np.zeros((0, 2))
        self.facing: npt.NDArray[np.bool_] = np.zeros(0, bool)
        self.radii: Floats = np.zeros(0)
        self.colours: Floats = np.zeros((0, 3))
        #: 1 or -1: the camera stands to the left or right of it; 0 ahead or behind.
        self.eye_left = 0
        self.lamps_on: frozenset[str] = frozenset()

    def rotation(self) -> Floats:
        """Own frame to world, float64 [3, 3]."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])

    def place_mesh(self, matrix: Floats, eye: Floats, mesh: Mesh, length: float, width: float) -> None:
        """Project a solid body, seen from `eye` (world metres)."""
        left = (eye[1] - self.y) * np.cos(self.heading) - (eye[0] - self.x) * np.sin(self.heading)
        self.eye_left = 1 if left > width / 2 else -1 if left < -width / 2 else 0
        self.mesh = mesh
        self.world = mesh.vertices @ self.rotation().T + np.array([self.x, self.y, 0.0])
        self.pixels, self.depths = project(matrix, self.world)
        self.depth = float(self.depths.mean())
        rim = self.pixels[mesh.outer]
        low, high = rim.min(axis=0), rim.max(axis=0)
        self.box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        self.outline = np.asarray(cv2.convexHull(rim.astype(np.float32))[:, 0, :], dtype=float)
        local = self.rotation().T @ (eye - np.array([self.x, self.y, 0.0]))
        self.facing = mesh.normals @ local > mesh.planes + 0.02
        self._foot(length, width)

    def place_limbs(
        self, matrix: Floats, focal: float, ends: Floats, radii: Floats, colours: Floats, length: float, width: float
    ) -> None:
        """Project a figure of limbs (ends [N, 2, 3], radii [N] metres), sorted from far to near."""
        n = len(radii)
        self.world = ends.reshape(-1, 3) @ self.rotation().T + np.array([self.x, self.y, 0.0])
        pixels, depths = project(matrix, self.world)
        depth = depths.reshape(n, 2).mean(axis=1)
        self.depth = float(depth.mean())
        order = np.argsort(-depth, kind="stable")
        self.pixels = pixels.reshape(n, 2, 2)[order]
        self.radii = (radii * focal / np.maximum(depth, 1.0))[order]
        self.colours = colours[order]
        reach = self.radii[:, None, None]
        low, high = (self.pixels - reach).min(axis=(0, 1)), (self.pixels + reach).max(axis=(0, 1))
        self.box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        self._foot(length, width)

    def _foot(self, length: float, width: float) -> None:
        a, b = length / 2, width / 2
        corners = np.array([[a, -b], [a, b], [-a, b], [-a, -b]])
        self.footprint = corners @ self.rotation()[:2, :2].T + np.array([self.x, self.y])

    def shadow(self, matrix: Floats, sun: tuple[float, float, float], focal: float) -> Floats:
        """Outline of the shadow on the ground, pixels [K, 2]."""
        world = self.world if self.mesh is None else self.world[self.mesh.outer]
        flat = world.copy()
        flat[:, 0] -= world[:, 2] * sun[0] / sun[2]
        flat[:, 1] -= world[:, 2] * sun[1] / sun[2]
        flat[:, 2] = 0.0
        pixels, depths = project(matrix, flat)
        if depths.min() < 1.5:
            return np.zeros((0, 2))
        return np.asarray(cv2.convexHull(pixels.astype(np.float32))[:, 0, :], dtype=float)


def painting_order(things: list[Placed], camera: Floats) -> list[int]:
    """Indices from back to front, such that whatever hides another is painted after it.

    Depth alone is wrong for long bodies side by side, so where two outlines overlap, a line that separates their
    footprints decides: the one on the camera's side of it is in front.
    """
    n = len(things)
    by_depth = sorted(range(n), key=lambda i: (-things[i].depth, i))
    boxes = np.array([t.box for t in things]) if n else np.zeros((0, 4))
    behind: list[set[int]] = [set() for _ in range(n)]
    eye = (float(camera[0]), float(camera[1]))
    corners = [[(float(x), float(y)) for x, y in t.footprint] for t in things]
    for i in range(n):
        overlapping = (
            (boxes[i + 1 :, 0] < boxes[i, 2])
            & (boxes[i + 1 :, 2] > boxes[i, 0])
            & (boxes[i + 1 :, 1] < boxes[i, 3])
            & (boxes[i + 1 :, 3] > boxes[i, 1])
        )
        for offset in np.nonzero(overlapping)[0]:
            j = i + 1 + int(offset)
            front = _in_front(corners[i], corners[j], eye)
            if front > 0:
                behind[i].add(j)
            elif front < 0:
                behind[j].add(i)
    order: list[int] = []
    done: set[int] = set()
    waiting = by_depth
    while waiting:
        left = []
        for i in waiting:
            if behind[i] <= done:
                order.append(i)
                done.add(i)
            else:
                left.append(i)
        if len(left) == len(waiting):  # a cycle: fall back on depth for the farthest one
            order.append(left[0])
            done.add(left[0])
            left = left[1:]
        waiting = left
    return order


def _in_front(a: list[tuple[float, float]], b: list[tuple[float, float]], eye: tuple[float, float]) -> int:
    """1 if footprint a hides b from the eye, -1 if b hides a, 0 if no edge separates them."""
    for mine, other, sign in ((a, b, 1), (b, a, -1)):
        for k in range(4):
            (x0, y0), (x1, y1) = mine[k], mine[(k + 1) % 4]
            nx, ny = y1 - y0, x0 - x1  # outward for counter-clockwise corners
            level = nx * x0 + ny * y0
            if all(nx * x + ny * y >= level - 0.05 for x, y in other):
                return -sign if nx * eye[0] + ny * eye[1] > level else sign
    return 0
