"""Plane geometry of picture and ground. Picture coordinates: x to the right, y down."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from schemas.analysis import GroundPoint

Vec: TypeAlias = tuple[float, float]
Homography: TypeAlias = tuple[float, float, float, float, float, float, float, float, float]
"""3 x 3, row by row"""


def side(start: Vec, end: Vec, point: Vec) -> float:
    """Signed distance of a point from the line through start and end: positive on the right-hand side of somebody
    who walks from start to end in the picture. In the unit of the coordinates; 0 for a line without length."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.sqrt(dx * dx + dy * dy)
    if length == 0.0:
        return 0.0
    return (dx * (point[1] - start[1]) - dy * (point[0] - start[0])) / length


def meeting(start: Vec, end: Vec, before: Vec, after: Vec) -> tuple[float, float] | None:
    """Where the way from before to after meets the line through start and end: the share of the way (0..1) until
    there, and how far that is beyond the nearer of the two ends (0 between them). None for a way that stays on one
    side."""
    a, b = side(start, end, before), side(start, end, after)
    if a == b or (a < 0.0 and b < 0.0) or (a > 0.0 and b > 0.0):
        return None
    share = a / (a - b)
    x = before[0] + share * (after[0] - before[0])
    y = before[1] + share * (after[1] - before[1])
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.sqrt(dx * dx + dy * dy)
    along = ((x - start[0]) * dx + (y - start[1]) * dy) / length
    return share, max(0.0, -along, along - length)


def border_distance(polygon: Sequence[Vec], point: Vec) -> float:
    """How far a point is from the nearest edge, inside or outside."""
    best = math.inf
    x1, y1 = polygon[-1]
    for x2, y2 in polygon:
        dx, dy = x2 - x1, y2 - y1
        square = dx * dx + dy * dy
        share = 0.0 if square == 0.0 else ((point[0] - x1) * dx + (point[1] - y1) * dy) / square
        share = min(1.0, max(0.0, share))
        gap_x, gap_y = point[0] - x1 - share * dx, point[1] - y1 - share * dy
        best = min(best, gap_x * gap_x + gap_y * gap_y)
        x1, y1 = x2, y2
    return math.sqrt(best)


def inside(polygon: Sequence[Vec], point: Vec) -> bool:
    """Even-odd rule; each edge contains its upper end and not its lower one, so that a point on a border shared by
    two polygons is inside exactly one of them."""
    x, y = point
    within = False
    x1, y1 = polygon[-1]
    for x2, y2 in polygon:
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            within = not within
        x1, y1 = x2, y2
    return within


def homography(points: Sequence[GroundPoint]) -> Homography | None:
    """The mapping from fractions of the picture to metres on the ground; least squares over all points.

    None for no points. ValueError for fewer than four, or where they do not fix a mapping (three on a line).
    Direct linear transform with normalised coordinates: Hartley and Zisserman, Multiple View Geometry, 2nd ed., 4.4.
    """
    if not points:
        return None
    if len(points) < 4:
        raise ValueError(f"{len(points)} ground points, but a ground plane takes four or more")
    image, into_image = _normalised([point.image for point in points])
    metres, into_metres = _normalised([point.metres for point in points])
    rows = []
    for (x, y), (u, v) in zip(image, metres, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, -u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, -v])
    _, strength, basis = np.linalg.svd(np.array(rows))
    # rank 8 fixes the mapping up to scale; less means that points coincide or lie on one line
    if strength[7] < 1e-6 * strength[0]:
        raise ValueError("the ground points do not span a plane: three of four lie on one line")
    mapping = np.linalg.inv(into_metres) @ basis[8].reshape(3, 3) @ into_image
    centre = mapping @ (*np.mean([point.image for point in points], axis=0), 1.0)
    mapping = mapping / centre[2]
    if abs(np.linalg.det(mapping)) < 1e-12:
        raise ValueError("the ground points do not span a plane: three of four lie on one line")
    # the last digits depend on the machine's linear algebra; no speed does
    flat = [float(f"{value:.9e}") for value in mapping.ravel().tolist()]
    return (flat[0], flat[1], flat[2], flat[3], flat[4], flat[5], flat[6], flat[7], flat[8])


def to_ground(mapping: Homography, point: Vec) -> Vec | None:
    """Metres on the ground; None for a point on or above the horizon."""
    x, y = point
    w = mapping[6] * x + mapping[7] * y + mapping[8]
    if w <= 1e-9:
        return None
    return (
        (mapping[0] * x + mapping[1] * y + mapping[2]) / w,
        (mapping[3] * x + mapping[4] * y + mapping[5]) / w,
    )


def _normalised(points: Sequence[Vec]) -> tuple[list[Vec], "np.ndarray[tuple[int, int], np.dtype[np.float64]]"]:
    """Points moved to mean 0 and mean distance sqrt 2, and the 3 x 3 matrix that does it."""
    table = np.array(points, np.float64)
    mean = table.mean(axis=0)
    spread = float(np.sqrt(((table - mean) ** 2).sum(axis=1)).mean())
    if spread == 0.0:
        raise ValueError("the ground points are all the same")
    scale = math.sqrt(2.0) / spread
    moved = (table - mean) * scale
    matrix = np.array([[scale, 0.0, -scale * mean[0]], [0.0, scale, -scale * mean[1]], [0.0, 0.0, 1.0]])
    return [(float(x), float(y)) for x, y in moved], matrix
