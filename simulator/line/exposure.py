"""The camera: lamps that age and drift, an uneven field, the sensor's noise."""

import math

import msgspec
import numpy as np

from simulator.arrays import Picture
from simulator.line.chance import chance
from simulator.line.flaw import Canvas
from simulator.line.surface import Plane


class Lamps(msgspec.Struct, frozen=True):
    """Light at one time: `gain`, its fall-off over the picture (`across`, `down`; share from edge to edge), how warm
    it is, and the sensor's noise (of 255)."""

    gain: float
    across: float
    down: float
    warmth: float
    noise: float


class LampDrift(msgspec.Struct, frozen=True):
    """How a line's light changes: it warms up for minutes, swings with the day, and is uneven from the start."""

    base: Lamps
    swing: float
    period: float
    phase: float

    def at(self, time_s: float) -> Lamps:
        """The light `time_s` seconds after the line was started."""
        day = math.sin(2 * math.pi * time_s / self.period + self.phase)
        warm_up = 1 - 0.06 * math.exp(-time_s / 240)
        return msgspec.structs.replace(
            self.base,
            gain=self.base.gain * warm_up * (1 + self.swing * day),
            across=self.base.across + 0.3 * self.swing * day,
            warmth=self.base.warmth + 0.2 * self.swing * day,
        )


def lamp_drift(seed: int) -> LampDrift:
    """The lamps of the line `seed`."""
    rng = chance(seed, "light")
    base = Lamps(
        gain=float(rng.uniform(0.85, 1.15)),
        across=float(rng.uniform(-0.16, 0.16)),
        down=float(rng.uniform(-0.16, 0.16)),
        warmth=float(rng.uniform(-0.05, 0.05)),
        noise=float(rng.uniform(1.0, 2.6)),
    )
    swing, period = float(rng.uniform(0.03, 0.12)), float(rng.uniform(300, 2400))
    return LampDrift(base, swing, period, float(rng.uniform(0, 2 * math.pi)))


def noise(seed: int, number: int, height: int, width: int) -> Plane:
    """Standard normal, [H, W]: one picture's."""
    return chance(seed, "noise", number).standard_normal((height, width), np.float32)


def expose(light: Canvas, lamps: Lamps, grain: Plane, place: tuple[int, int, int, int]) -> Picture:
    """Reflected light [h, w, 3] to bytes. `place`: its left and top in the whole picture, and that one's size.

    Each pixel depends on itself alone, so that a part of a picture can be exposed by itself.
    """
    left, top, width, height = place
    rows, columns = light.shape[:2]
    across = (np.arange(left, left + columns, dtype=np.float32) + 0.5) / width - 0.5
    down = (np.arange(top, top + rows, dtype=np.float32) + 0.5) / height - 0.5
    field = 1 + lamps.across * across - 0.12 * across**2 + (lamps.down * down - 0.12 * down**2)[:, None]
    tint = np.array([1 + lamps.warmth, 1.0, 1 - lamps.warmth], np.float32) * np.float32(255 * lamps.gain)
    value = light * field[..., None] * tint
    # shot noise grows with the root of the light; grey noise, as after a demosaicked sensor's smoothing
    value += (grain * lamps.noise)[..., None] * np.sqrt(0.3 + np.clip(value, 0, None) / 180)
    return np.asarray(np.clip(np.rint(value), 0, 255), np.uint8)
