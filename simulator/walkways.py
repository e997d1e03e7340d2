"""Where pedestrians walk: pavements around the four corners and the crossings between them."""

import numpy as np

from simulator.junction import Junction
from simulator.path import Path

Gates = tuple[tuple[float, float, str], ...]


class Walkways:
    """Draws random walks through the junction's four corners."""

    def __init__(self, junction: Junction) -> None:
        self._x = junction.half_main + 0.5 + junction.pavement / 2
        far_y = 2 * junction.cross_y
        self._near = sum(junction.near_crossing) / 2
        self._far = far_y - self._near
        self._side = sum(junction.side_crossing) / 2
        self._half_main = junction.half_main
        self._kerb_near = junction.cross_y - junction.half_cross
        self._kerb_far = junction.cross_y + junction.half_cross

    def draw(self, rng: np.random.Generator) -> tuple[Path, Gates]:
        """A random walk: its path and the stretches of it that need a walk signal."""
        x, s = self._x, self._side
        near, far = self._near, self._far
        side = float(rng.choice([-1.0, 1.0]))
        inner = max(x, s)
        kind = int(rng.choice(6, p=[0.34, 0.12, 0.2, 0.12, 0.12, 0.10]))
        gates: list[tuple[float, float, str]] = []
        if kind == 0:  # over the main road at our stop line
            corners = [(side * x, 4.0), (side * x, near), (-side * x, near), (-side * 60.0, self._kerb_near - 2.0)]
            if rng.random() < 0.5:
                corners[0] = (side * 45.0, self._kerb_near - 2.0)
            start = abs(corners[1][1] - corners[0][1]) + abs(corners[1][0] - corners[0][0])
            start = float(np.hypot(corners[1][0] - corners[0][0], corners[1][1] - corners[0][1]))
            gates.append(self._across(start, x, "near"))
        elif kind == 1:  # over the main road on the far side
            corners = [(side * x, 75.0), (side * x, far), (-side * x, far), (-side * x, 80.0)]
            gates.append(self._across(75.0 - far, x, "far"))
        elif kind == 2:  # along the main road, over the cross road
            corners = [(side * x, 4.0), (side * s, self._kerb_near - 2.2), (side * s, self._kerb_far + 2.2)]
            corners.append((side * x, 85.0))
            begin = float(np.hypot(corners[1][0] - corners[0][0], corners[1][1] - corners[0][1]))
            name = "right" if side > 0 else "left"
            length = self._kerb_far - self._kerb_near
            gates.append((begin + 2.0, begin + 2.4 + length, name))
        elif kind == 3:  # the same, towards the camera
            corners = [(side * x, 85.0), (side * s, self._kerb_far + 2.2), (side * s, self._kerb_near - 2.2)]
            corners.append((side * x, 4.0))
            begin = float(np.hypot(corners[1][0] - corners[0][0], corners[1][1] - corners[0][1]))
            name = "right" if side > 0 else "left"
            length = self._kerb_far - self._kerb_near
            gates.append((begin + 2.0, begin + 2.4 + length, name))
        elif kind == 4:  # round the near corner
            corners = [(side * x, 4.0), (side * inner, self._kerb_near - 2.0), (side * 60.0, self._kerb_near - 2.0)]
        else:  # round the far corner
            corners = [(side * 60.0, self._kerb_far + 2.0), (side * inner, self._kerb_far + 2.0), (side * x, 90.0)]
        return Path(corners, radius=0.6), tuple(gates)

    def _across(self, start: float, x: float, name: str) -> tuple[float, float, str]:
        kerb = x - self._half_main
        # The rounded corner is a little shorter than the sharp one; 0.4 m covers it.
        return (start + kerb - 0.9, start + x + self._half_main, name)
