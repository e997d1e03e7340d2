"""Ways through the junction: polylines that can be walked by distance."""

import math

import numpy as np

from simulator.arrays import Floats

_STEP = 0.25


class Path:
    """A smooth way on the ground, sampled every 0.25 m.

    `lane_in` and `lane_out` name the stretches it shares with other paths: paths with the same `lane_in`
    start at the same point, paths with the same `lane_out` end at the same point, so that cars can follow each
    other over them. `leaves_at` and `joins_at` are the distances where the shared stretches end and begin: a bend's
    beginning and end, or the junction's middle on a straight way.
    """

    def __init__(
        self,
        corners: list[tuple[float, float]],
        lane_in: str = "",
        lane_out: str = "",
        radius: float = 0.0,
        middle: tuple[float, float] | None = None,
    ) -> None:
        points, marks = _rounded(corners, radius)
        gaps = np.hypot(*np.diff(points, axis=0).T)
        along = np.concatenate([[0.0], np.cumsum(gaps)])
        self.length = float(along[-1])
        stations = np.arange(0.0, self.length + _STEP, _STEP)
        self._x = np.interp(stations, along, points[:, 0]).tolist()
        self._y = np.interp(stations, along, points[:, 1]).tolist()
        headings = np.unwrap(np.arctan2(np.gradient(self._y), np.gradient(self._x)))
        self._heading = headings.tolist()
        self.lane_in = lane_in
        self.lane_out = lane_out
        self.leaves_at, self.joins_at = float(along[marks[0]]), float(along[marks[1]])
        if middle is not None:
            self.leaves_at = self.joins_at = math.dist(corners[0], middle)
        self.turns = len(corners) > 2

    def at(self, distance: float, offset: float = 0.0) -> tuple[float, float, float]:
        """(x, y, heading) at a distance from the start, `offset` metres to the left; heading from +x, radians."""
        place = min(max(distance, 0.0), self.length - _STEP) / _STEP
        i = int(place)
        i = min(i, len(self._x) - 2)
        f = place - i
        x = self._x[i] + f * (self._x[i + 1] - self._x[i])
        y = self._y[i] + f * (self._y[i + 1] - self._y[i])
        heading = self._heading[i] + f * (self._heading[i + 1] - self._heading[i])
        return x - offset * math.sin(heading), y + offset * math.cos(heading), heading

    def distance_to(self, x: float | None = None, y: float | None = None) -> float:
        """Distance at which the path first crosses the line x = const or y = const; -1 if it never does."""
        values = np.asarray(self._x if x is not None else self._y) - (x if x is not None else y)
        crossing = np.nonzero(np.diff(np.sign(values)))[0]
        if not len(crossing):
            return -1.0
        i = int(crossing[0])
        a, b = float(values[i]), float(values[i + 1])
        return (i + (a / (a - b) if a != b else 0.0)) * _STEP


def _rounded(corners: list[tuple[float, float]], radius: float) -> tuple[Floats, tuple[int, int]]:
    """The corners joined by straight lines, inner corners replaced by arcs; and the indices around the bends."""
    if len(corners) == 2:
        return np.array([corners[0], corners[1]], dtype=float), (0, 1)
    points: list[tuple[float, float]] = [corners[0]]
    first = last = 0
    for before, here, after in zip(corners, corners[1:], corners[2:], strict=False):
        a = np.array(before, float) - here
        b = np.array(after, float) - here
        a /= np.hypot(*a)
        b /= np.hypot(*b)
        start, end = np.array(here) + a * radius, np.array(here) + b * radius
        t = np.linspace(0.0, 1.0, 17)[:, None]
        arc = (1 - t) ** 2 * start + 2 * t * (1 - t) * np.array(here, float) + t**2 * end
        if not first:
            first = len(points)
        points.extend((float(p[0]), float(p[1])) for p in arc)
        last = len(points) - 1
    points.append(corners[-1])
    return np.array(points), (first, last)
