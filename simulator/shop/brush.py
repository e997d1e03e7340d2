"""Paints a figure: every piece is the hull of its balls' outlines, dark at the rim and light towards the lamps."""

import cv2
import numpy as np
import numpy.typing as npt

from simulator.arrays import Floats, Picture
from simulator.camera import Camera
from simulator.placement import Placed
from simulator.shop.figure import SHOWS, Build, Figure
from simulator.shop.skeleton import FACE, Joints

Ids = npt.NDArray[np.uint16]
"""[H, W]: 0 nobody, else PIECES * (place + 1) + bone of whoever is seen there"""

PIECES = 32
_SHIFT = 4
_ONE = 1 << _SHIFT
_TURN = np.linspace(0, 2 * np.pi, 12, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


class Sitter:
    """Somebody in one frame, projected and ready to be painted. Pixels."""

    def __init__(self, camera: Camera, spot: tuple[float, float, float], build: Build, joints: Joints, shape: Figure):
        x, y, heading = spot
        self.placed = Placed(0, "pedestrian", x, y, heading)
        self.build, self.shape = build, shape
        turn, foot = self.placed.rotation().T, np.array([x, y, 0.0])
        balls = shape.balls @ turn + foot
        centres, depths = camera.project(balls)
        self.nearest = float(depths.min())
        radii = shape.radii * camera.focal / np.maximum(depths, 0.5)
        self._rims = centres[:, None] + radii[:, None, None] * _CIRCLE
        light = centres - np.stack([0.22 * radii, 0.26 * radii], axis=1)
        self._lights = light[:, None] + 0.62 * radii[:, None, None] * _CIRCLE
        low, high = self._rims.min(axis=(0, 1)), self._rims.max(axis=(0, 1))
        self.placed.box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        self.placed.depth = float(depths.mean())
        reach = np.array([[0.2, -0.22], [0.2, 0.22], [-0.2, 0.22], [-0.2, -0.22]])
        self.placed.footprint = reach @ turn[:2, :2] + foot[:2]
        middles = np.add.reduceat(depths, shape.starts[:-1]) / np.diff(shape.starts)
        # flat pieces lie on what they decorate
        self._order = np.argsort(-middles + np.where(shape.flat, 0.02, 0.0), kind="stable").tolist()
        self._radius = np.add.reduceat(radii, shape.starts[:-1]) / np.diff(shape.starts)
        world = joints.points @ turn + foot
        self.keypoints = camera.project(world)[0]
        # a part of the face is hidden by the head itself unless it is turned to the camera
        outward = world - (joints.head @ turn + foot)
        self._turned = ((camera.position - world) * outward).sum(axis=1) > 0
        flat = world * [1, 1, 0] + world[:, 2:] * [0.16, -0.1, 0.0]
        self.shadow = camera.project(flat)[0]
        self.feet = camera.project(np.concatenate([joints.toes, joints.points[[10, 13]]]) @ turn * [1, 1, 0] + foot)[0]

    def paint(self, picture: Picture, ids: Ids, place: int, light: float) -> None:
        """Into the picture, and which of his pieces is seen where into `ids`."""
        starts, colours = self.shape.starts.tolist(), self.shape.colours
        for piece in self._order:
            part = slice(starts[piece], starts[piece + 1])
            hull = _hull(self._rims[part])
            colour = np.minimum(colours[piece] * light, 255)
            flat = self.shape.flat[piece]
            if flat and self._radius[piece] < 0.6:
                continue
            shade = 1.0 if flat else 0.74
            cv2.fillConvexPoly(picture, hull, (colour * shade).tolist(), cv2.LINE_AA, _SHIFT)
            cv2.fillConvexPoly(ids, hull, PIECES * (place + 1) + int(self.shape.bones[piece]), cv2.LINE_8, _SHIFT)
            if not flat and self._radius[piece] > 1.2:
                cv2.fillConvexPoly(picture, _hull(self._lights[part]), colour.tolist(), cv2.LINE_AA, _SHIFT)

    def seen(self, ids: Ids, place: int) -> list[tuple[float, float, int]]:
        """Each keypoint: x, y, and 2 seen, 1 hidden, 0 outside."""
        h, w = ids.shape
        found = []
        for k, (x, y) in enumerate(self.keypoints.tolist()):
            if not (0 <= x < w and 0 <= y < h):
                found.append((round(x, 2), round(y, 2), 0))
                continue
            owner, bone = divmod(int(ids[int(y), int(x)]), PIECES)
            shown = owner == place + 1 and bool(SHOWS[k, bone]) and (k not in FACE or bool(self._turned[k]))
            found.append((round(x, 2), round(y, 2), 2 if shown else 1))
        return found

    def inside(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The box cut at the picture's edge, whole pixels."""
        x1, y1, x2, y2 = self.placed.box
        return max(0, int(x1)), max(0, int(y1)), min(width, int(x2) + 1), min(height, int(y2) + 1)


def _hull(points: Floats) -> npt.NDArray[np.int32]:
    flat = np.clip(points.reshape(-1, 2), -4000, 8000)
    return np.asarray(cv2.convexHull(np.rint(flat * _ONE).astype(np.int32))[:, 0, :])
