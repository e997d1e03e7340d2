"""The signal head on its pole beside our stop line, whose lamps can be read from the picture."""

import cv2
import numpy as np

from simulator.arrays import Floats, Picture
from simulator.camera import Camera
from simulator.junction import Junction, Phase
from simulator.look import Look
from simulator.painter import Glow

_SHIFT = 4
_ONE = 1 << _SHIFT
#: Lamps from top to bottom: (phase, height of its centre above the ground in metres).
LAMPS: tuple[tuple[Phase, float], ...] = (("red", 4.35), ("amber", 3.95), ("green", 3.55))
_ON = {"red": (255, 52, 40), "amber": (255, 172, 24), "green": (48, 240, 130)}
_OFF = {"red": (64, 16, 16), "amber": (62, 46, 14), "green": (12, 50, 34)}
_LENS = 0.15
_HALF_WIDTH = 0.24


class SignalPost:
    """Geometry and painting of the main signal."""

    def __init__(self, junction: Junction, camera: Camera, look: Look) -> None:
        self.x, self.y = junction.half_main + 0.9, junction.stop_y + 0.5
        self._camera = camera
        self._look = look
        self._glow = Glow()
        # The head faces the traffic that comes along +y.
        self._scale = camera.focal / float(camera.project(np.array([[self.x, self.y, 4.0]]))[1][0])

    def _panel(self, half: float, low: float, high: float) -> Floats:
        return np.array(
            [
                [self.x - half, self.y, low],
                [self.x + half, self.y, low],
                [self.x + half, self.y, high],
                [self.x - half, self.y, high],
            ]
        )

    def region(self) -> tuple[float, float, float, float]:
        """The three lamps' surroundings in pixels: x1, y1, x2, y2."""
        pixels, _ = self._camera.project(self._panel(_HALF_WIDTH, LAMPS[2][1] - 0.2, LAMPS[0][1] + 0.2))
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def footprint(self) -> Floats:
        """A small square on the ground, metres [4, 2], counter-clockwise."""
        corners = np.array([[0.15, -0.15], [0.15, 0.15], [-0.15, 0.15], [-0.15, -0.15]])
        return np.asarray(corners + np.array([self.x, self.y]))

    def extent(self) -> tuple[float, float, float, float]:
        """Pixels covered by pole and head: x1, y1, x2, y2."""
        pixels, _ = self._camera.project(self._panel(_HALF_WIDTH + 0.05, 0.0, 4.75))
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def paint(self, picture: Picture, phase: Phase) -> None:
        """Pole, housing and lamps, the one of the phase lit."""
        look = self._look
        light = np.clip(np.array(look.ambient) + np.array(look.direct) * 0.4, 0.12, 1.2)

        def quad(half: float, low: float, high: float, tone: tuple[int, int, int]) -> None:
            pixels, _ = self._camera.project(self._panel(half, low, high))
            colour = np.clip(np.array(tone) * light, 0, 255).tolist()
            fixed = np.round(pixels * _ONE).astype(np.int32)
            cv2.fillConvexPoly(picture, fixed, colour, cv2.LINE_AA, _SHIFT)

        quad(0.07, 0.0, 3.3, (92, 94, 96))
        quad(_HALF_WIDTH + 0.05, 3.25, 4.65, (226, 226, 222))
        quad(_HALF_WIDTH, 3.29, 4.61, (22, 22, 24))
        for name, height in LAMPS:
            centre = self._camera.project(np.array([[self.x, self.y, height]]))[0][0]
            on = name == phase
            colour = _ON[name] if on else tuple(int(c * max(0.35, float(light[1]))) for c in _OFF[name])
            at = (int(centre[0] * _ONE), int(centre[1] * _ONE))
            if on:  # the bloom lies under the lens, whose own colour stays exact
                spread = 0.42 if look.lamps else 0.22
                self._glow.add(picture, (centre[0], centre[1]), spread * self._scale, _ON[name], 0.4)
            cv2.circle(picture, at, int(_LENS * self._scale * _ONE), colour, -1, cv2.LINE_AA, _SHIFT)
