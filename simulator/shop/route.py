"""Ways on foot around the fixtures: shortest on a grid, then smoothed."""

import heapq
import math
from typing import Final

import numpy as np

from simulator.arrays import Floats
from simulator.shop.floor import Floor

_CELL: Final = 0.25
_MARGIN: Final = 0.24
"""metres from a fixture that nobody's middle comes nearer than on his way"""
_STEPS: Final = tuple((dx, dy, math.hypot(dx, dy)) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy)


class Ways:
    """Finds ways on one floor."""

    def __init__(self, floor: Floor) -> None:
        self._left, self._near, right, far = floor.room
        self._columns = int((right - self._left) / _CELL) + 1
        self._rows = int((far - self._near) / _CELL) + 1
        y, x = np.mgrid[0 : self._rows, 0 : self._columns]
        x, y = self._left + x * _CELL, self._near + y * _CELL
        free = np.ones((self._rows, self._columns), bool)
        nearness = np.zeros((self._rows, self._columns))
        for fixture in floor.fixtures:
            c, s = math.cos(fixture.heading), math.sin(fixture.heading)
            along = np.abs((x - fixture.x) * c + (y - fixture.y) * s) - fixture.length / 2
            across = np.abs((y - fixture.y) * c - (x - fixture.x) * s) - fixture.width / 2
            away = np.maximum(along, across)
            free &= away > _MARGIN
            nearness += np.clip(0.7 - away, 0, None)
        self._free = free
        self._cost = 1 + 2 * nearness  # the middle of an aisle is walked, not a rack's edge

    def way(self, start: tuple[float, float], end: tuple[float, float]) -> Floats:
        """Points [n, 2] from start to end, at least these two."""
        first, last = self._cell(start), self._cell(end)
        before = self._search(first, last)
        cells = [last]
        while cells[-1] != first and cells[-1] in before:
            cells.append(before[cells[-1]])
        inner = [(self._left + c * _CELL, self._near + r * _CELL) for r, c in reversed(cells)]
        points = np.array([start, *inner[1:-1:2], end])
        for _ in range(2):  # Chaikin's corner cutting
            if len(points) > 2:
                early, late = points[:-1] * 0.75 + points[1:] * 0.25, points[:-1] * 0.25 + points[1:] * 0.75
                middle = np.stack([early, late], axis=1).reshape(-1, 2)
                points = np.vstack([points[:1], middle[1:-1], points[-1:]])
        return points

    def _cell(self, point: tuple[float, float]) -> tuple[int, int]:
        row = min(max(round((point[1] - self._near) / _CELL), 0), self._rows - 1)
        column = min(max(round((point[0] - self._left) / _CELL), 0), self._columns - 1)
        return row, column

    def _search(self, first: tuple[int, int], last: tuple[int, int]) -> dict[tuple[int, int], tuple[int, int]]:
        """A* to `last`: each cell's predecessor."""
        before: dict[tuple[int, int], tuple[int, int]] = {}
        best = {first: 0.0}
        queue = [(0.0, first)]
        while queue:
            _, cell = heapq.heappop(queue)
            if cell == last:
                break
            for dr, dc, length in _STEPS:
                other = cell[0] + dr, cell[1] + dc
                if not (0 <= other[0] < self._rows and 0 <= other[1] < self._columns):
                    continue
                cost = best[cell] + length * (float(self._cost[other]) if self._free[other] else 25.0)
                if cost < best.get(other, math.inf):
                    best[other], before[other] = cost, cell
                    heapq.heappush(queue, (cost + math.hypot(other[0] - last[0], other[1] - last[1]), other))
        return before
