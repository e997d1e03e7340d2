"""Textures and prints: what a part's surface looks like before anything has happened to it."""

import math
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from simulator.line.design import Design, Mark, Material

#: float32 [S, S] on the canvas.
Plane: TypeAlias = npt.NDArray[np.float32]


def texture(seed: int, side: int, material: Material, angle: float, coarse: float) -> Plane:
    """Reflectance around 1: streaks along `angle` where brushed, fine grains and faint clouds where plastic."""
    rng = np.random.Generator(np.random.PCG64(seed))
    if material == "plastic":
        fine = cv2.GaussianBlur(rng.standard_normal((side, side), np.float32), (3, 3), 0.8)
        clouds = cv2.resize(rng.standard_normal((6, 6), np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        return np.asarray(1 + 0.035 * coarse * fine + 0.012 * clouds, np.float32)
    wide = int(side * 1.45)
    noise = rng.standard_normal((wide, wide), np.float32)
    long = cv2.blur(cv2.blur(noise, (61, 1)), (41, 1))
    short = cv2.blur(noise, (15, 1))
    streaks = np.asarray(long / long.std() + short / (2 * short.std()), np.float32)
    # a few stand out, as after a coarser grain of the grinding belt
    streaks = np.asarray(streaks + 0.12 * np.sign(streaks) * streaks**2, np.float32)
    turn = np.asarray(cv2.getRotationMatrix2D((wide / 2, wide / 2), -math.degrees(angle), 1.0), np.float64)
    turn[:, 2] -= (wide - side) / 2
    turned = cv2.warpAffine(streaks, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(np.clip(1 + 0.032 * coarse * turned, 0.75, 1.25), np.float32)


def print_cover(design: Design, shift: tuple[float, float], side: int, scale: float) -> Plane:
    """How much ink lies where, 0..1, on an upright plate in the middle; `scale` in pixels per millimetre."""
    canvas = np.zeros((side, side), np.uint8)
    for mark in design.marks:
        _draw(canvas, mark, (side / 2 + (mark.x + shift[0]) * scale, side / 2 + (mark.y + shift[1]) * scale), scale)
    return np.asarray(canvas.astype(np.float32) / 255)


def _draw(canvas: npt.NDArray[np.uint8], mark: Mark, at: tuple[float, float], scale: float) -> None:
    x, y, size, weight = at[0], at[1], mark.size * scale, max(1, round(mark.weight * scale))
    if mark.kind == "text":
        font = cv2.FONT_HERSHEY_SIMPLEX
        factor = size / 21.0  # its capitals are 21 pixels high at 1.0
        (width, _), _ = cv2.getTextSize(mark.text, font, factor, weight)
        cv2.putText(
            canvas, mark.text, (round(x - width / 2), round(y + size / 2)), font, factor, 255, weight, cv2.LINE_AA
        )
    elif mark.kind == "rules":
        for step in (-0.5, 0.0, 0.5)[: 1 + len(mark.text) % 3]:
            ends = [(x - size, y + step * size), (x + size, y + step * size)]
            if mark.across:
                ends = [(x + step * size, y - size), (x + step * size, y + size)]
            (x1, y1), (x2, y2) = ((round(a * 16), round(b * 16)) for a, b in ends)
            cv2.line(canvas, (x1, y1), (x2, y2), 255, weight, cv2.LINE_AA, 4)
    elif mark.kind == "dots":
        for step in range(3):
            centre = (round((x + (step - 1) * 1.6 * weight) * 16), round(y * 16))
            cv2.circle(canvas, centre, round(weight * 8), 255, -1, cv2.LINE_AA, 4)
    else:
        cells = 7
        bits = np.random.Generator(np.random.PCG64(sum(mark.text.encode()))).random((cells, cells)) < 0.5
        bits[:, 0] = bits[-1] = True
        for row, column in zip(*np.nonzero(bits), strict=True):
            left, top = x + (column / cells - 0.5) * size, y + (row / cells - 0.5) * size
            right, bottom = left + size / cells, top + size / cells
            cv2.rectangle(canvas, (round(left), round(top)), (round(right) - 1, round(bottom) - 1), 255, -1)
