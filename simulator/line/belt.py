"""The belt that parts lie on: rubber with a fine weave, endless."""

import cv2
import numpy as np

from simulator.line.chance import chance
from simulator.line.design import Design
from simulator.line.flaw import Canvas
from simulator.line.layer import Layer

#: Pixels after which the belt repeats itself, along and across.
PERIOD = 512


def belt_tile(seed: int, design: Design) -> Canvas:
    """float32 [PERIOD, PERIOD, 3]; repeats without a seam."""
    rng = chance(seed, "belt")
    noise = rng.standard_normal((PERIOD, PERIOD), np.float32)
    fine = cv2.GaussianBlur(noise, (3, 3), 0.7, borderType=cv2.BORDER_REFLECT)
    wave = np.sin(np.arange(PERIOD) * 2 * np.pi * 64 / PERIOD).astype(np.float32)
    weave = 1 + 0.10 * fine + 0.05 * wave[None] * wave[:, None]
    wear = cv2.resize(rng.standard_normal((8, 8), np.float32), (PERIOD, PERIOD), interpolation=cv2.INTER_CUBIC)
    tone = np.array(design.belt, np.float32)
    return np.asarray(np.clip(tone * (weave + 0.03 * np.cos(wear))[..., None], 0.01, 1), np.float32)


def lay(belt: Canvas, layer: Layer) -> Canvas:
    """A part's layer on a piece of belt of its size."""
    return np.asarray(layer.colour + belt * ((1 - layer.alpha) * layer.shadow)[..., None], np.float32)
