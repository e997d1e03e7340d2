"""A fixed pinhole camera on a pole, looking down at a flat ground."""

import functools
import math

import msgspec
import numpy as np

from simulator.arrays import Floats


class Mount(msgspec.Struct, frozen=True):
    """How cameras hang: from the least to the most that a scene may draw. Metres above the ground; degrees that the
    camera looks down, and that its picture is wide."""

    height: tuple[float, float] = (7.0, 10.5)
    pitch: tuple[float, float] = (13.0, 19.0)
    field_of_view: tuple[float, float] = (54.0, 66.0)


class Camera(msgspec.Struct, frozen=True):
    """Pinhole model. World: x right, y forward along the main road, z up, metres; the pole stands at y = 0.

    Angles are radians: yaw turns right, pitch looks down, roll tilts clockwise.
    """

    x: float
    height: float
    yaw: float
    pitch: float
    roll: float
    field_of_view: float
    picture_width: int
    picture_height: int

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.picture_width / 2 / math.tan(self.field_of_view / 2)

    @property
    def position(self) -> Floats:
        """Optical centre in world metres, float64 [3]."""
        return np.array([self.x, 0.0, self.height])

    def matrix(self) -> Floats:
        """Projection matrix, float64 [3, 4]: world homogeneous metres to homogeneous pixels."""
        return _matrix(self)

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """World points [N, 3] to (pixels [N, 2], depth along the optical axis [N] in metres)."""
        return project(self.matrix(), points)

    def ground_homography(self) -> Floats:
        """float64 [3, 3]: ground metres (x, y, 1) to homogeneous pixels (z = 0)."""
        return self.matrix()[:, [0, 1, 3]]

    def horizon_row(self) -> float:
        """Picture row of the horizon in the middle column, pixels."""
        return self.picture_height / 2 - self.focal * math.tan(self.pitch)


@functools.lru_cache(maxsize=64)
def _matrix(camera: Camera) -> Floats:
    cy, sy = math.cos(camera.yaw), math.sin(camera.yaw)
    cp, sp = math.cos(camera.pitch), math.sin(camera.pitch)
    right = np.array([cy, -sy, 0.0])
    forward = np.array([sy * cp, cy * cp, -sp])
    down = np.cross(forward, right)
    cr, sr = math.cos(camera.roll), math.sin(camera.roll)
    rotation = np.stack([cr * right + sr * down, cr * down - sr * right, forward])
    focal = camera.focal
    half = camera.picture_width / 2, camera.picture_height / 2
    intrinsic = np.array([[focal, 0, half[0]], [0, focal, half[1]], [0, 0, 1.0]])
    matrix = np.asarray(intrinsic @ np.hstack([rotation, (-rotation @ camera.position)[:, None]]))
    matrix.setflags(write=False)
    return matrix


#: Nothing nearer than this (metres along the axis) is projected truly; it is pushed out to it.
NEAR = 0.8


def project(matrix: Floats, points: Floats) -> tuple[Floats, Floats]:
    """Pixels [N, 2] and depth [N] of world points [N, 3] under a projection matrix [3, 4]."""
    homogeneous = points @ matrix[:, :3].T + matrix[:, 3]
    depth = homogeneous[:, 2]
    pixels = homogeneous[:, :2] / np.maximum(depth, NEAR)[:, None]
    return pixels, depth
